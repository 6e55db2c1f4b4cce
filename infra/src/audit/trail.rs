//! What is learnt of a request while it is worked on, for the audit log: noted where it is known,
//! as the log's span is told of account and pool.

use std::sync::{Arc, Mutex, PoisonError};

use schemas::id::{AccountId, ObjectId};
use schemas::name::PoolName;
use uuid::Uuid;

tokio::task_local! {
    static TRAIL: Trail;
}

/// What is known of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes {
    pub(super) actor: Option<AccountId>,
    pub(super) object: Option<ObjectId>,
    pub(super) pool: Option<PoolName>,
    pub(super) reason: Option<&'static str>,
    pub(super) hidden: bool,
    pub(super) over_others: bool,
    pub(super) unremarkable: bool,
}

impl Notes {
    /// Whether it is known whose doing it was, or whose account was meant.
    pub(super) fn names_someone(&self) -> bool {
        self.actor.is_some() || self.object.is_some()
    }
}

/// Where notes of one request go.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail(Arc<Mutex<Notes>>);

impl Trail {
    /// Has `work` note what it learns here.
    pub(super) async fn of<T>(&self, work: impl Future<Output = T>) -> T {
        TRAIL.scope(self.clone(), work).await
    }

    pub(super) fn notes(&self) -> Notes {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Outside of a request there is nobody to note it for.
fn note(write: impl FnOnce(&mut Notes)) {
    _ = TRAIL.try_with(|trail| write(&mut trail.0.lock().unwrap_or_else(PoisonError::into_inner)));
}

/// Whose doing it is: proved by a token, a password, a secret.
pub fn by(actor: AccountId) {
    note(|notes| notes.actor = Some(actor));
}

/// What it is about, where the path does not say: an account that somebody tried to be, a token
/// that was made.
pub fn about(object: Uuid) {
    note(|notes| notes.object = Some(ObjectId::from_uuid(object)));
}

/// In which pool it is, one that exists.
pub fn within(pool: &PoolName) {
    note(|notes| notes.pool = Some(pool.clone()));
}

/// What was asked for is there, but hidden from who asked: a 404 about it is a denial.
pub fn hidden() {
    note(|notes| notes.hidden = true);
}

/// Why it is refused, where the answer's problem does not say: the first who knows has said it.
pub fn because(reason: &'static str) {
    note(|notes| _ = notes.reason.get_or_insert(reason));
}

/// What is asked for belongs to others, and only a platform admin may.
pub fn over_others() {
    note(|notes| notes.over_others = true);
}

/// Nothing of it is for the audit log, if it is done.
pub fn unremarkable() {
    note(|notes| notes.unremarkable = true);
}
