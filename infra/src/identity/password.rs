//! Passwords: Argon2id (RFC 9106) with 19 MiB, two passes, one lane; a few at once, on threads of
//! their own.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;

use super::{Error, PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN, Result, Secret};

/// Memory of one check, in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// How many checks may wait for each that runs.
const WAITING_PER_CHECK: usize = 32;

/// Checks passwords and makes the text that is kept of them.
#[derive(Debug)]
pub(super) struct Passwords {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// What the password of a name that does not exist is checked against.
    nobodys: Box<str>,
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, 2, 1, None).expect("the parameters are within RFC 9106");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &Secret) -> Result<String> {
    let failed = |error: argon2::password_hash::Error| Error::Internal(error.to_string());
    let salt = crate::fresh::bytes::<16>();
    let hashed = argon2().hash_password_with_salt(password.expose().as_bytes(), &salt);
    Ok(hashed.map_err(failed)?.to_string())
}

/// Whether a new password may be used.
pub(super) fn check_strength(password: &Secret) -> Result<()> {
    let chars = password.expose().chars().take(PASSWORD_CHARS_MAX + 1).count();
    let allowed = PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX;
    if allowed.contains(&chars) { Ok(()) } else { Err(Error::WeakPassword) }
}

impl Passwords {
    /// At most `checks_max` at once.
    pub(super) fn new(checks_max: u64) -> Result<Self> {
        let checks = usize::try_from(checks_max).unwrap_or(1).clamp(1, 1_024);
        Ok(Self {
            running: Arc::new(Semaphore::new(checks)),
            waiting: Arc::new(Semaphore::new(checks * WAITING_PER_CHECK)),
            nobodys: hash(&Secret::from("nobody's"))?.into(),
        })
    }

    /// The text to keep of a password (PHC string).
    pub(super) async fn hash(&self, password: Secret) -> Result<String> {
        self.work(move || hash(&password)).await?
    }

    /// Whether it is the password that `kept` was made of. Without `kept` the work is the same.
    pub(super) async fn verify(&self, password: Secret, kept: Option<String>) -> Result<bool> {
        let known = kept.is_some();
        let kept = kept.unwrap_or_else(|| self.nobodys.to_string());
        let right = self.work(move || {
            let kept = PasswordHash::new(&kept).map_err(|error| Error::Internal(error.to_string()));
            kept.map(|kept| argon2().verify_password(password.expose().as_bytes(), &kept).is_ok())
        });
        Ok(right.await?? && known)
    }

    /// Runs `check` on a thread that may block. The place is held until it has ended, even when
    /// nobody waits for it any more.
    async fn work<T: Send + 'static>(
        &self,
        check: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let waiting = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| Error::Busy)?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Error::Busy)?;
        drop(waiting);
        let checked = tokio::task::spawn_blocking(move || {
            let _running = running;
            check()
        });
        checked.await.map_err(|error| Error::Internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_known_name_passes() {
        let passwords = Passwords::new(1).unwrap();
        let kept = passwords.hash("correct horse".into()).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        let check = |password: &str, kept: &str| {
            let kept = (!kept.is_empty()).then(|| kept.to_owned());
            passwords.verify(password.into(), kept)
        };
        assert_eq!(check("correct horse", &kept).await, Ok(true));
        assert_eq!(check("Correct horse", &kept).await, Ok(false));
        assert_eq!(check("nobody's", "").await, Ok(false));
        assert!(matches!(check("x", "not a hash").await, Err(Error::Internal(_))));
    }

    #[test]
    fn a_password_has_8_to_256_characters() {
        let check = |text: &str| check_strength(&text.into()).is_ok();
        assert!(!check("1234567") && check("12345678") && check("пароль12"));
        assert!(
            check(&"ü".repeat(256)) && !check(&"x".repeat(257)) && !check(&"x".repeat(1_000_000))
        );
    }

    #[tokio::test]
    async fn more_than_can_wait_are_turned_away() {
        let passwords = Passwords::new(1).unwrap();
        let mut checks: Vec<_> = (0..WAITING_PER_CHECK + 2)
            .map(|_| Box::pin(passwords.verify("x".into(), None)))
            .collect();
        let mut busy = 0;
        for check in &mut checks {
            if futures_util::poll!(check) == std::task::Poll::Ready(Err(Error::Busy)) {
                busy += 1;
            }
        }
        assert_eq!(busy, 1, "one runs, as many as may are waiting");
    }
}
