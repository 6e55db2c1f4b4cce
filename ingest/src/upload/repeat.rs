//! Retries: the same key gives the same upload, and other content under it is refused.
//!
//! An upload is looked for before it is stored: among those that landed here lately, then in the
//! tables. While the tables cannot be asked, only keys are taken that the fold still remembers by
//! itself: UUIDv7 younger than a day.

use std::time::Duration;

use axum::body::Body;
use infra::faults::{Bug, planted};
use infra::fresh;
use infra::http::body::Bounds;
use infra::known::KnownUpload;
use infra::views;
use schemas::id::UploadId;
use schemas::name::IdempotencyKey;
use schemas::time::Wall;
use uuid::{Uuid, Version};

use super::{Declared, Incoming, Landed, Sender, Taken};
use crate::error::Error;
use crate::state::State;

/// Longest the tables are waited for.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// How long the fold remembers an upload.
const REMEMBERED_MS: u64 = 86_400_000;
/// How far ahead of ours the clock of a key's maker may be.
const AHEAD_MS_MAX: u64 = 60_000;

/// What a request is called, so that a retry is known as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    text: IdempotencyKey,
    /// Whether it was made here, just now.
    made: bool,
}

impl Key {
    /// The sender's, or a new one.
    pub(crate) fn given_or_made(given: Option<IdempotencyKey>, now: Wall) -> Self {
        let made = given.is_none();
        let make = || fresh::uuid(now).to_string().parse().expect("a UUID is visible ASCII");
        Self { text: given.unwrap_or_else(make), made }
    }

    pub(crate) fn text(&self) -> &IdempotencyKey {
        &self.text
    }

    /// Whether its sender can use it again.
    pub(crate) fn is_the_senders(&self) -> bool {
        !self.made
    }

    /// Whether the fold would know every earlier use of it.
    fn is_young(&self, now: Wall) -> bool {
        let Some(made_at) = made_at(&self.text) else { return false };
        now.since(made_at) < REMEMBERED_MS && made_at.since(now) <= AHEAD_MS_MAX
    }
}

/// When a key that is a UUIDv7 was made, by its maker's clock.
fn made_at(key: &IdempotencyKey) -> Option<Wall> {
    let uuid = Uuid::try_parse(key.as_str()).ok()?;
    if uuid.get_version() != Some(Version::SortRand) {
        return None;
    }
    let millis = uuid.as_u128() >> 80;
    i64::try_from(millis).ok().map(Wall::from_millis)
}

impl State {
    /// The upload, if it was ever taken. A key made here was never used before.
    pub(crate) async fn find(
        &self,
        sender: &Sender,
        upload: UploadId,
    ) -> Result<Option<Landed>, Error> {
        if sender.key.made || planted(Bug::DuplicateNotDropped) {
            return Ok(None);
        }
        if let Some(landed) = self.flights.landed(upload) {
            return Ok(Some(landed));
        }
        let looked = tokio::time::timeout(LOOK_MAX, self.known.upload(&sender.pool.pool, upload));
        let away = |_| views::Error::Refused {
            reason: "the tables do not answer".to_owned(),
            retry_after: LOOK_MAX,
        };
        match looked.await.map_err(away).flatten() {
            Ok(found) => {
                Ok(found.map(|KnownUpload { file, offset }| Landed { file: file.into(), offset }))
            }
            Err(error) if sender.key.is_young(self.clock.now()) => {
                tracing::debug!(%error, "a young key is taken without the tables");
                Ok(None)
            }
            Err(error) => Err(Error::OldKey(error)),
        }
    }

    /// Answers for an upload that was taken before, if this is the same file. The body is read no
    /// further than that takes: not at all when what is declared tells.
    pub(super) async fn take_again(
        &self,
        landed: Landed,
        declared: &Declared,
        body: Body,
        bounds: Bounds,
    ) -> Result<Taken, Error> {
        let file = &landed.file;
        let same = match (declared.size_bytes, declared.sha256) {
            (Some(size_bytes), _) if size_bytes != file.size_bytes => false,
            (Some(_), Some(sha256)) => sha256 == file.sha256,
            _ => {
                let came = Incoming::begin(body, bounds).await?.read_through().await?;
                came.sha256 == file.sha256 && came.size_bytes == file.size_bytes
            }
        };
        if !same {
            return Err(Error::KeyReused);
        }
        self.metrics.repeats.inc();
        Ok(Taken { landed, repeated: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_young_when_its_uuid_says_so() {
        let now = Wall::from_millis(1_795_257_000_000);
        let check = |key: String, young: bool| {
            let key = Key::given_or_made(Some(key.parse().unwrap()), now);
            assert_eq!(key.is_young(now), young, "{key:?}");
            assert!(!key.made);
        };
        let day = 86_400_000;
        check(fresh::uuid(now).to_string(), true);
        check(fresh::uuid(now).simple().to_string(), true);
        check(fresh::uuid(now.minus(day - 1)).to_string(), true);
        check(fresh::uuid(now.minus(day)).to_string(), false);
        check(fresh::uuid(now.plus(60_000)).to_string(), true);
        check(fresh::uuid(now.plus(60_001)).to_string(), false);
        check(Uuid::from_u128(7).to_string(), false);
        check(uuid::Builder::from_random_bytes([7; 16]).into_uuid().to_string(), false);
        check("my-own-key-1".to_owned(), false);
        let made = Key::given_or_made(None, now);
        assert!(made.made && made.is_young(now));
    }
}
