//! What every identity must hold to, checked from outside.
//!
//! Give two instances of one installation, or the same twice. Names are made new for each run.

use std::time::Duration;

use schemas::name::UserName;
use schemas::time::Wall;

use super::{Error, Identity, Proof, Secret, Standing, Token};
use crate::fresh;

/// How long another instance may take to hear of a sign-out.
const HEARD_MAX: Duration = Duration::from_secs(1);

/// Runs every check.
///
/// # Panics
/// When one fails.
pub async fn check_all(here: &dyn Identity, there: &dyn Identity) {
    a_name_belongs_to_one_account(here, there).await;
    wrong_passwords_and_names_are_refused_alike(here).await;
    weak_passwords_are_refused(here).await;
    a_token_is_good_everywhere_until_sign_out(here, there).await;
    sessions_end_one_by_one(here).await;
    only_tokens_of_ours_are_good(here, there).await;
    a_refresh_token_is_good_once(here).await;
    a_stolen_refresh_token_ends_the_session(here, there).await;
    an_api_client_has_a_secret_that_can_be_renewed(here, there).await;
    a_disabled_account_is_dead_everywhere(here, there).await;
}

fn new_name() -> UserName {
    let id = fresh::uuid(Wall::from_millis(0));
    format!("u-{}", id.simple()).parse().expect("hexadecimal digits are allowed in names")
}

fn password(name: &UserName, password: &str) -> Proof {
    Proof::Password { name: name.clone(), password: password.into() }
}

async fn member(identity: &dyn Identity) -> (UserName, Token) {
    let name = new_name();
    let account = identity.enrol(name.clone(), "correct horse".into()).await.expect("enrols");
    let token = identity.sign_in(password(&name, "correct horse")).await.expect("signs in");
    assert_eq!(token.caller.account, account);
    (name, token)
}

async fn a_name_belongs_to_one_account(here: &dyn Identity, there: &dyn Identity) {
    let name = new_name();
    here.enrol(name.clone(), "correct horse".into()).await.expect("the first one gets it");
    for identity in [here, there] {
        for secret in ["correct horse", "battery staple"] {
            let again = identity.enrol(name.clone(), secret.into()).await;
            assert_eq!(again, Err(Error::NameTaken), "with {secret}");
        }
    }
    let name = new_name();
    let (one, other) = tokio::join!(
        here.enrol(name.clone(), "correct horse".into()),
        there.enrol(name.clone(), "battery staple".into())
    );
    assert!(one.is_ok() != other.is_ok(), "exactly one of two at once: {one:?} {other:?}");
}

async fn wrong_passwords_and_names_are_refused_alike(here: &dyn Identity) {
    let (name, _) = member(here).await;
    let errors = [
        here.sign_in(password(&name, "Correct horse")).await.err(),
        here.sign_in(password(&name, "")).await.err(),
        here.sign_in(password(&new_name(), "correct horse")).await.err(),
    ];
    assert_eq!(errors, [const { Some(Error::InvalidCredentials) }; 3]);
}

async fn weak_passwords_are_refused(here: &dyn Identity) {
    let name = new_name();
    for weak in [String::new(), "1234567".into(), "x".repeat(257)] {
        let refused = here.enrol(name.clone(), weak.into()).await;
        assert_eq!(refused, Err(Error::WeakPassword));
    }
    here.enrol(name, "x".repeat(256).into()).await.expect("the name was not used up");
}

async fn a_token_is_good_everywhere_until_sign_out(here: &dyn Identity, there: &dyn Identity) {
    let (name, token) = member(here).await;
    let bearer = token.access_token.expose();
    let caller = here.caller(bearer).expect("good here");
    assert_eq!((caller.account, caller.session), (token.caller.account, token.caller.session));
    assert_eq!((&caller.name, caller.platform_admin), (&Some(name), false));
    let over_there = there.caller(bearer).expect("good there");
    assert_eq!((over_there.account, over_there.platform_admin), (caller.account, false));
    for attempt in ["first", "again"] {
        here.sign_out(&caller).await.expect(attempt);
        assert_eq!(here.caller(bearer), Err(Error::InvalidToken), "dead here at once");
    }
    let dead = async {
        while there.caller(bearer) != Err(Error::InvalidToken) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(HEARD_MAX, dead).await.expect("dead there within a second");
}

async fn sessions_end_one_by_one(here: &dyn Identity) {
    let (name, first) = member(here).await;
    let second = here.sign_in(password(&name, "correct horse")).await.expect("signs in");
    assert_ne!(first.caller.session, second.caller.session);
    here.sign_out(&first.caller).await.expect("signs out");
    assert!(here.caller(first.access_token.expose()).is_err());
    assert!(here.caller(second.access_token.expose()).is_ok(), "the other session goes on");
}

async fn only_tokens_of_ours_are_good(here: &dyn Identity, there: &dyn Identity) {
    let (_, token) = member(here).await;
    let bearer = token.access_token.expose();
    let long = "x".repeat(1_000_000);
    for other in ["", "Bearer", "a.b.c", &bearer[1..], &format!("{bearer}="), &long] {
        assert_eq!(here.caller(other), Err(Error::InvalidToken));
    }
    let shown = format!("{:?} {token:?}", Secret::from(bearer));
    assert!(!shown.contains(bearer), "a token is not shown by mistake");
    assert_eq!(here.keys(), there.keys());
    assert!(here.keys().starts_with(r#"{"keys":[{"#) && !here.keys().contains(r#""d":"#));
}

fn refresh(token: &Token) -> Proof {
    Proof::Refresh { token: token.refresh_token.clone().expect("a refresh token") }
}

/// Waits until a token is dead there, for no longer than that may take.
async fn dies(there: &dyn Identity, token: &Token) {
    let dead = async {
        while there.caller(token.access_token.expose()) != Err(Error::InvalidToken) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(HEARD_MAX, dead).await.expect("dead there within a second");
}

async fn a_refresh_token_is_good_once(here: &dyn Identity) {
    let (_, first) = member(here).await;
    let second = here.sign_in(refresh(&first)).await.expect("the first refresh");
    assert_eq!(second.caller.session, first.caller.session, "the same session goes on");
    let third = here.sign_in(refresh(&second)).await.expect("and the next");
    here.sign_out(&third.caller).await.expect("signs out");
    let after = here.sign_in(refresh(&third)).await.err();
    assert_eq!(after, Some(Error::InvalidCredentials), "not after signing out");
    for wrong in ["", "a.b.c", first.access_token.expose()] {
        let refused = here.sign_in(Proof::Refresh { token: wrong.into() }).await.err();
        assert_eq!(refused, Some(Error::InvalidCredentials));
    }
}

async fn a_stolen_refresh_token_ends_the_session(here: &dyn Identity, there: &dyn Identity) {
    let (_, first) = member(here).await;
    let second = here.sign_in(refresh(&first)).await.expect("the first to show it");
    let thief = here.sign_in(refresh(&first)).await.err();
    assert_eq!(thief, Some(Error::InvalidCredentials), "it was shown before");
    for token in [&first, &second] {
        assert_eq!(here.caller(token.access_token.expose()), Err(Error::InvalidToken));
        dies(there, token).await;
    }
    assert_eq!(here.sign_in(refresh(&second)).await.err(), Some(Error::InvalidCredentials));
}

async fn an_api_client_has_a_secret_that_can_be_renewed(here: &dyn Identity, there: &dyn Identity) {
    let (owner_name, owner) = member(here).await;
    let name = new_name();
    let made = here.make_client(owner.caller.account, name.clone()).await;
    let (client, secret) = made.expect("makes a client");
    let by = |secret: &Secret| Proof::Client { client, secret: secret.clone() };
    let token = there.sign_in(by(&secret)).await.expect("signs in");
    assert_eq!((token.caller.account, token.refresh_token.is_none()), (client, true));
    assert_eq!(here.caller(token.access_token.expose()).expect("good").name, Some(name.clone()));
    for taken in [name.clone(), owner_name] {
        let again = there.make_client(owner.caller.account, taken).await;
        assert_eq!(again.err(), Some(Error::NameTaken));
    }
    let guess = here.sign_in(password(&name, secret.expose())).await.err();
    assert_eq!(guess, Some(Error::InvalidCredentials), "its secret is no password");
    let newer = there.renew_client(client).await.expect("renews");
    assert_eq!(here.sign_in(by(&secret)).await.err(), Some(Error::InvalidCredentials));
    here.sign_in(by(&newer)).await.expect("the newer one");
    let other = Proof::Client { client: owner.caller.account, secret: newer };
    assert_eq!(here.sign_in(other).await.err(), Some(Error::InvalidCredentials));
}

async fn a_disabled_account_is_dead_everywhere(here: &dyn Identity, there: &dyn Identity) {
    let (name, token) = member(here).await;
    let account = token.caller.account;
    let (client, secret) = here.make_client(account, new_name()).await.expect("makes a client");
    let by_secret = || Proof::Client { client, secret: secret.clone() };
    let service = here.sign_in(by_secret()).await.expect("signs in");
    here.set_standing(account, Standing::Disabled, account).await.expect("disables");
    for token in [&token, &service] {
        assert_eq!(here.caller(token.access_token.expose()), Err(Error::InvalidToken));
        dies(there, token).await;
    }
    let right = || password(&name, "correct horse");
    assert_eq!(here.sign_in(right()).await.err(), Some(Error::Disabled));
    let wrong = here.sign_in(password(&name, "battery staple")).await.err();
    assert_eq!(wrong, Some(Error::InvalidCredentials), "only who knows it is told");
    assert_eq!(here.sign_in(by_secret()).await.err(), Some(Error::Disabled));
    here.set_standing(account, Standing::Enabled, account).await.expect("enables");
    here.caller(token.access_token.expose()).expect("alive again");
    here.sign_in(right()).await.expect("signs in again");
}
