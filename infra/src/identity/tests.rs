//! The local identity over doors in memory: the suite, and what goes wrong on its way.

use std::path::Path;
use std::sync::Arc;

use schemas::name::UserName;
use schemas::topic::Topic;

use super::{Error, Identity, LocalIdentity, Proof, Secret, suite};
use crate::fakes::{Installation, LONG, Mood};
use crate::kept::SqliteKept;
use crate::log::{Append, Options, SqliteLog};

fn name(text: &str) -> UserName {
    text.parse().unwrap()
}

fn proof(name_: &str, password: &str) -> Proof {
    Proof::Password { name: name(name_), password: password.into() }
}

const GOOD: &str = "correct horse";

#[tokio::test]
async fn the_local_identity_holds_to_the_suite() {
    let installation = Installation::new().await;
    let (here, there) = (installation.identity().await, installation.identity().await);
    suite::check_all(&*here, &*there).await;
    installation.supervisor.drain(LONG).await;
}

/// An instance on the embedded log and tables in this folder.
async fn embedded(installation: &Installation, folder: &Path) -> Arc<LocalIdentity> {
    let clock = installation.clock.clone();
    let log = SqliteLog::open(&folder.join("log"), Options::default(), clock).await.unwrap();
    let kept = Arc::new(SqliteKept::open(&folder.join("kept")).await.unwrap());
    log.ensure(&Topic::directory()).await.unwrap();
    let log = Arc::new(log);
    let directory = installation.directory_over(log.clone()).await;
    installation.identity_over(directory, kept, log).await
}

#[tokio::test]
async fn on_the_embedded_doors_it_holds_to_the_suite_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let installation = Installation::new().await;
    let identity = embedded(&installation, folder.path()).await;
    suite::check_all(&*identity, &*identity).await;
    identity.enrol(name("ann"), GOOD.into()).await.unwrap();
    let alive = identity.sign_in(proof("ann", GOOD)).await.unwrap();
    let dead = identity.sign_in(proof("ann", GOOD)).await.unwrap();
    identity.sign_out(&dead.caller).await.unwrap();
    drop(identity);
    assert_eq!(installation.supervisor.drain(LONG).await.aborted, [""; 0]);

    let installation = Installation::new().await;
    let identity = embedded(&installation, folder.path()).await;
    assert_eq!(identity.caller(alive.access_token.expose()).unwrap(), alive.caller);
    assert_eq!(identity.caller(dead.access_token.expose()), Err(Error::InvalidToken));
    identity.sign_in(proof("ann", GOOD)).await.expect("the password is kept");
    let again = identity.enrol(name("ann"), GOOD.into()).await;
    assert_eq!(again, Err(Error::NameTaken));
}

#[tokio::test]
async fn a_token_dies_after_its_hour() {
    let installation = Installation::new().await;
    let identity = installation.identity().await;
    identity.enrol(name("ann"), GOOD.into()).await.unwrap();
    let token = identity.sign_in(proof("ann", GOOD)).await.unwrap();
    assert_eq!(token.expires_in_s, 3_600);
    let bearer = token.access_token.expose();
    installation.clock.advance(3_599_999);
    // The clock has jumped: the directory has not been confirmed at this time yet.
    assert!(matches!(identity.caller(bearer), Err(Error::Unavailable { .. })));
    installation.identity().await.caller(bearer).expect("alive on an instance that is fresh");
    installation.clock.advance(1);
    assert_eq!(identity.caller(bearer), Err(Error::InvalidToken));
}

#[tokio::test]
async fn who_cannot_hear_of_sign_outs_lets_nobody_in() {
    let installation = Installation::new().await;
    let identity = installation.identity().await;
    identity.enrol(name("ann"), GOOD.into()).await.unwrap();
    let token = identity.sign_in(proof("ann", GOOD)).await.unwrap();
    installation.log.finding(Mood::Hangs);
    installation.clock.advance(751);
    let refused = identity.caller(token.access_token.expose()).unwrap_err();
    assert!(matches!(refused, Error::Unavailable { .. }) && refused.retryable(), "{refused}");
    // It still signs in: nothing of that can be stale.
    identity.sign_in(proof("ann", GOOD)).await.expect("known already");
}

#[tokio::test]
async fn what_a_crash_left_half_done_is_finished() {
    for (mood, lost) in [(Mood::Refuses, true), (Mood::Forgets, false)] {
        let installation = Installation::new().await;
        let identity = installation.identity().await;
        installation.log.appending(mood);
        let failed = identity.enrol(name("ann"), GOOD.into()).await.unwrap_err();
        assert!(failed.retryable(), "{failed}");
        installation.log.appending(Mood::Well);
        assert_eq!(installation.said(), usize::from(!lost));

        let stranger = identity.enrol(name("ann"), "battery staple".into()).await;
        assert_eq!(stranger, Err(Error::NameTaken), "the name stays whose it was");
        if lost {
            let account = identity.enrol(name("ann"), GOOD.into()).await.expect("a repeat");
            let token = identity.sign_in(proof("ann", GOOD)).await.unwrap();
            assert_eq!(token.caller.account, account);
        } else {
            identity.sign_in(proof("ann", GOOD)).await.expect("or just signing in");
        }
        assert_eq!(installation.said(), 1, "said once");
        let again = identity.enrol(name("ann"), GOOD.into()).await;
        assert_eq!(again, Err(Error::NameTaken), "once finished, a repeat is a stranger's");
        installation.supervisor.drain(LONG).await;
    }
    let installation = Installation::new().await;
    let identity = installation.identity().await;
    installation.log.appending(Mood::Refuses);
    identity.enrol(name("ann"), GOOD.into()).await.unwrap_err();
    installation.log.appending(Mood::Well);
    let token = identity.sign_in(proof("ann", GOOD)).await.expect("repaired at sign-in");
    assert_eq!(identity.caller(token.access_token.expose()).unwrap().name, Some(name("ann")));
}

#[tokio::test]
async fn a_sign_out_that_was_not_written_is_not_said_to_be_done() {
    let installation = Installation::new().await;
    let identity = installation.identity().await;
    identity.enrol(name("ann"), GOOD.into()).await.unwrap();
    let token = identity.sign_in(proof("ann", GOOD)).await.unwrap();
    installation.log.appending(Mood::Refuses);
    assert!(matches!(identity.sign_out(&token.caller).await, Err(Error::Unavailable { .. })));
    assert!(identity.caller(token.access_token.expose()).is_ok());
    installation.log.appending(Mood::Forgets);
    assert!(matches!(identity.sign_out(&token.caller).await, Err(Error::Unknown(_))));
    installation.log.appending(Mood::Well);
    identity.sign_out(&token.caller).await.expect("asked again");
    assert_eq!(identity.caller(token.access_token.expose()), Err(Error::InvalidToken));
}

#[tokio::test]
async fn the_first_start_makes_one_admin_and_tells_the_password_once() {
    let installation = Installation::new().await;
    let (here, there) = (installation.identity().await, installation.identity().await);
    let early = here.enrol(name("admin"), GOOD.into()).await;
    assert_eq!(early, Err(Error::NameTaken), "nobody is there before the first start");
    let (one, other) = tokio::join!(here.first_start(None), there.first_start(None));
    let told: Vec<Secret> = [one.unwrap(), other.unwrap()].into_iter().flatten().collect();
    let [password] = &told[..] else { panic!("told {} times", told.len()) };
    assert!(password.expose().len() == 32, "nobody guesses it");
    assert_eq!(here.first_start(None).await, Ok(None));
    let token = there.sign_in(proof("admin", password.expose())).await.unwrap();
    assert!(token.caller.platform_admin);
    assert!(there.caller(token.access_token.expose()).unwrap().platform_admin);
    let stranger = here.enrol(name("admin"), GOOD.into()).await;
    assert_eq!(stranger, Err(Error::NameTaken));

    here.set_password(&name("admin"), GOOD.into()).await.unwrap();
    there.sign_in(proof("admin", GOOD)).await.expect("the new password");
    let old = there.sign_in(proof("admin", password.expose())).await;
    assert_eq!(old.err(), Some(Error::InvalidCredentials));
    let nobody = here.set_password(&name("bob"), GOOD.into()).await;
    assert_eq!(nobody, Err(Error::InvalidCredentials));
}

#[tokio::test]
async fn a_password_that_was_given_is_not_told() {
    let installation = Installation::new().await;
    let identity = installation.identity().await;
    assert_eq!(identity.first_start(Some("short".into())).await, Err(Error::WeakPassword));
    assert_eq!(identity.first_start(Some(GOOD.into())).await, Ok(None));
    assert!(identity.sign_in(proof("admin", GOOD)).await.unwrap().caller.platform_admin);
}

#[tokio::test]
async fn there_are_no_more_accounts_than_may_be() {
    let mut installation = Installation::new().await;
    installation.limits.accounts_max = 1;
    let identity = installation.identity().await;
    identity.enrol(name("ann"), GOOD.into()).await.unwrap();
    assert_eq!(identity.enrol(name("bob"), GOOD.into()).await, Err(Error::Full));
}
