//! Making a pool: its topics, its place in the directory, its first event.
//!
//! A name belongs to the first `pool.created` in its topic; the fold refuses any other. A repeat
//! gets the same pool, told from a clash like this: the pool that stands has the id that this
//! caller's Idempotency-Key gives, or the caller is its owner and its policy is the one asked for.

use std::time::Duration;

use infra::directory::{Fold, Pool, draft, said};
use infra::fresh;
use schemas::api::PoolView;
use schemas::event::{PoolCreated, PoolLocated, Refusal};
use schemas::id::{AccountId, PoolId};
use schemas::name::{IdempotencyKey, PoolName};
use schemas::policy::Policy;
use schemas::role::{Role, RoleSet};
use schemas::topic::{Offset, Topic};

use crate::ask::{Asked, Topics};
use crate::error::Error;
use crate::state::State;

/// The fold that a new pool starts under.
const SEMANTICS: u32 = 2;
/// How long the holder of a name may take to show in the directory.
const HOLDER_WAIT: Duration = Duration::from_secs(2);

const GONE: Error = Error::Broken("a pool was shown and is gone");

/// A request to make a pool.
#[derive(Debug)]
pub(crate) struct NewPool {
    pub(crate) name: PoolName,
    pub(crate) owner: AccountId,
    pub(crate) policy: Box<Policy>,
    pub(crate) key: Option<IdempotencyKey>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Made {
    /// It is there, on this instance too.
    New {
        /// Where its first event is.
        offset: Offset,
        /// The pool.
        view: PoolView,
    },
    /// It was there before.
    Repeated(PoolView),
    /// It is asked for, and not there or not shown yet.
    Pending {
        /// Where its first event is.
        offset: Offset,
    },
}

impl State {
    /// Makes a pool, or finds that it was made before.
    pub(crate) async fn create_pool(&self, ask: NewPool) -> Result<Made, Error> {
        let keyed = ask.key.as_ref().map(|key| self.upload_key.pool(ask.owner, key, &ask.name));
        self.directory().catch_up().await?;
        if self.standing(&ask).is_some() {
            return self.taken(&ask, keyed).await;
        }
        let topics = self.locate(&ask.name).await?;
        let pool = keyed.unwrap_or_else(|| PoolId::from_uuid(fresh::uuid(self.clock.now())));
        let created = PoolCreated {
            pool,
            name: ask.name.clone(),
            owner: ask.owner,
            semantics: SEMANTICS,
            policy: ask.policy.clone(),
        };
        match self.ask(&topics, created).await {
            Ok(Asked::Pending { offset }) => Ok(Made::Pending { offset }),
            Ok(Asked::Yes { offset, .. }) => {
                let shown = |fold: &Fold| {
                    let policy = fold.pool(&ask.name).and_then(|pool| pool.policy.as_ref());
                    policy.is_some_and(|policy| policy.id == pool)
                        && fold.membership(&ask.name, ask.owner).is_some()
                };
                if !self.shows(shown).await {
                    return Ok(Made::Pending { offset });
                }
                let view =
                    self.standing(&ask).and_then(|(pool, roles)| view(&ask.name, &pool, roles));
                Ok(Made::New { offset, view: view.ok_or(GONE)? })
            }
            Err(Error::Asked(Refusal::PoolNameTaken)) => self.taken(&ask, keyed).await,
            Err(other) => Err(other),
        }
    }

    /// The pool that has the name, and what the caller is in it.
    fn standing(&self, ask: &NewPool) -> Option<(Pool, RoleSet)> {
        self.directory().read(|fold| {
            let pool = fold.pool(&ask.name).filter(|pool| pool.policy.is_some())?;
            Some((pool.clone(), fold.membership(&ask.name, ask.owner).unwrap_or_default()))
        })
    }

    /// The pool's topics, made and told to everyone if they are not yet.
    async fn locate(&self, name: &PoolName) -> Result<Topics, Error> {
        let (located, pools) = self.directory().read(|fold| {
            (fold.pool(name).and_then(|pool| pool.located.clone()), fold.pools().count())
        });
        if located.is_none() && pools as u64 >= self.limits.pools_max {
            return Err(Error::PoolsFull);
        }
        let place = located.as_deref().cloned().unwrap_or_else(|| PoolLocated {
            name: name.clone(),
            events: Topic::events(name).name().into(),
            batches: Topic::batches(name).name().into(),
            deliveries: Topic::deliveries(name).name().into(),
        });
        let topics = Topics::located(&place);
        for topic in [&topics.events, &topics.batches, &topics.deliveries] {
            self.log.ensure(topic).await?;
        }
        if located.is_none() {
            let said = said("/sluice/ingest", self.clock.now());
            self.log.append(&Topic::directory(), vec![draft(place, said)]).await?;
        }
        Ok(topics)
    }

    /// The name is held: by this very pool, or by another. Its owner shows after its policy.
    async fn taken(&self, ask: &NewPool, keyed: Option<PoolId>) -> Result<Made, Error> {
        let whole = |pool: &Pool| pool.policy.is_some() && pool.members > 0;
        let shown = |fold: &Fold| fold.pool(&ask.name).is_some_and(whole);
        if self.directory().wait_for(shown, HOLDER_WAIT).await.is_err() {
            return Err(Error::Unanswered);
        }
        let (pool, roles) = self.standing(ask).ok_or(GONE)?;
        let view = view(&ask.name, &pool, roles).ok_or(GONE)?;
        let same = view.policy == ask.policy;
        // A policy that was changed since does not tell what was asked for then.
        if keyed == Some(view.id) && !same && view.policy_version == 1 {
            Err(Error::KeyReused)
        } else if keyed == Some(view.id) || (same && view.roles.has(Role::Owner)) {
            Ok(Made::Repeated(view))
        } else {
            Err(Error::Asked(Refusal::PoolNameTaken))
        }
    }
}

fn view(name: &PoolName, pool: &Pool, roles: RoleSet) -> Option<PoolView> {
    let policy = pool.policy.as_ref()?;
    Some(PoolView {
        id: policy.id,
        name: name.clone(),
        roles,
        policy_version: policy.version,
        policy: policy.policy.clone(),
        members: u64::try_from(pool.members).unwrap_or(u64::MAX),
        held: None,
    })
}
