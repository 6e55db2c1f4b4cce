//! A pool's events as they would stand in its log: 10,000 contributors, each with a file a minute,
//! one in twenty of them late; timers said to be due when they are.

use batcher::fold::{Input, Output, State, step};
use schemas::digest::Digest;
use schemas::event::{
    Event, MemberAddRequested, PoolCreated, TimerDue, UploadReceived, WindowCloseAsked,
};
use schemas::file::{FileRef, TimeSource};
use schemas::id::{AccountId, PoolId, UploadId};
use schemas::limit::Limits;
use schemas::name::PoolName;
use schemas::policy::{Policy, PolicyAsk, WindowsAsk};
use schemas::role::{Role, RoleSet};
use schemas::time::{EffectiveAt, LogTime, ObservedAt, ReceivedAt, SentAt, StoredAt};

/// Where the tales play.
pub(crate) const POOL: &str = "bench";
/// 2026-11-21T10:00:00Z.
pub(crate) const BASE: i64 = 1_795_255_200_000;
/// Its contributors.
pub(crate) const CONTRIBUTORS: u64 = 10_000;
const PERIOD_MS: u64 = 60_000;
/// One file in so many comes four minutes late.
const LATE_EVERY: u64 = 20;
const OWNER: AccountId = AccountId::from_bits(7);

/// What was said, and the state that it was said to.
pub(crate) struct Tale {
    /// After the pool was made and its members were added.
    pub(crate) state: State,
    /// The events before that state.
    pub(crate) setting: Vec<Input>,
    /// The files, and the timers between them.
    pub(crate) inputs: Vec<Input>,
}

impl Tale {
    /// Of so many files.
    pub(crate) fn of(files: u64) -> anyhow::Result<Self> {
        let (mut state, mut out) = (State::default(), Vec::new());
        let mut setting = vec![created(policy()?)];
        setting.extend((0..CONTRIBUTORS).map(joined));
        let setting: Vec<Input> = (0..)
            .zip(setting)
            .map(|(offset, event)| Input { offset, at: LogTime::from_millis(BASE), event })
            .collect();
        tell(&mut state, &setting, &mut out);
        let before = state.clone();
        let mut inputs = Vec::new();
        for number in 0..files {
            let at = LogTime::from_millis(BASE).plus(number * PERIOD_MS / CONTRIBUTORS);
            while let Some((due, timer)) = state.due().filter(|(due, _)| *due <= at) {
                let said = Event::from(TimerDue { timer, due });
                let at = due.max(state.clock());
                say(&mut state, Input { offset: 0, at, event: said }, &mut inputs, &mut out);
            }
            let stored_at = StoredAt::from_millis(at.millis());
            let file = file(number, at);
            let event = Event::from(UploadReceived { file, stored_at });
            say(&mut state, Input { offset: 0, at, event }, &mut inputs, &mut out);
        }
        Ok(Self { state: before, setting, inputs })
    }
}

fn say(state: &mut State, mut input: Input, inputs: &mut Vec<Input>, out: &mut Vec<Output>) {
    input.offset = state.next();
    inputs.push(input.clone());
    step(state, input, out);
    out.clear();
}

fn tell(state: &mut State, inputs: &[Input], out: &mut Vec<Output>) {
    for input in inputs {
        step(state, input.clone(), out);
        out.clear();
    }
}

/// Minute windows; the rest as a pool has it that says nothing.
fn policy() -> anyhow::Result<Policy> {
    let ask = PolicyAsk {
        windows: Some(WindowsAsk::Tumbling { period_ms: Some(PERIOD_MS), origin: None }),
        update_every_ms: Some(PERIOD_MS),
        ..PolicyAsk::default()
    };
    ask.resolve(&Limits::default()).map_err(|faults| anyhow::anyhow!("{faults:?}"))
}

pub(crate) fn pool_name() -> PoolName {
    POOL.parse().expect("it is a pool's name")
}

pub(crate) fn created(policy: Policy) -> Event {
    let (pool, name, policy) = (PoolId::from_bits(1), pool_name(), Box::new(policy));
    PoolCreated { pool, name, owner: OWNER, semantics: 1, policy }.into()
}

pub(crate) fn joined(number: u64) -> Event {
    let roles = RoleSet::of(&[Role::Contributor]);
    MemberAddRequested { by: OWNER, account: contributor(number), roles }.into()
}

pub(crate) fn close_asked() -> Event {
    WindowCloseAsked { by: OWNER, at: None }.into()
}

/// A contributor, by its number.
pub(crate) fn contributor(number: u64) -> AccountId {
    AccountId::from_bits(spread(number ^ 0xacc0))
}

/// Bits as random as those of real ids (splitmix64).
fn spread(number: u64) -> u128 {
    let mix = |seed: u64| {
        let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x5851_f42d_4c95_7f2d);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    u128::from(mix(number)) << 64 | u128::from(mix(!number))
}

/// A file as long in the log as a real one.
pub(crate) fn file(number: u64, at: LogTime) -> FileRef {
    let upload = UploadId::from_bits(spread(number));
    let delay = if number % LATE_EVERY == 7 { 4 * PERIOD_MS } else { number % 5_000 };
    let observed_at = at.minus(delay).millis();
    FileRef {
        upload,
        client: contributor(number.wrapping_mul(7_919) % CONTRIBUTORS),
        name: format!("reading-{number:08}.csv").parse().expect("it is a file's name"),
        size_bytes: 100_000,
        sha256: Digest::of(&number.to_be_bytes()),
        media_type: "text/csv".parse().expect("it is a media type"),
        object: format!("u/{upload}/{upload}").parse().expect("it is an object's key"),
        observed_at: Some(ObservedAt::from_millis(observed_at)),
        sent_at: Some(SentAt::from_millis(at.millis())),
        received_at: ReceivedAt::from_millis(at.millis()),
        effective_at: EffectiveAt::from_millis(observed_at),
        time_source: TimeSource::Client,
        clamped: false,
        quarantined: false,
        inspections: Vec::new(),
    }
}
