//! One pool being folded: its state, what waits to be written, what it waits for.

use infra::directory;
use infra::faults::{Bug, planted};
use infra::log::{Chunk, Draft, Position};
use schemas::event::{Directory, Event, Timer, TimerDue};
use schemas::name::PoolName;
use schemas::time::{LogTime, Wall};
use schemas::topic::Offset;
use schemas::wire::{self, Unreadable};
use uuid::Uuid;

use crate::Deps;
use crate::copies::copies;
use crate::fold::{Input, Output, SEMANTICS, State, step};
use crate::lane::{Lane, Unloaded, source};
use crate::open::{Opened, Topics};
use crate::record;
use crate::snapshot::Taken;

/// How long an owner whose clock is ahead waits before it asks again.
const ASK_AGAIN_MS: u64 = 50;

/// Why a pool stopped: somebody has to look.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// A record cannot be read.
    #[error("event {offset} cannot be read: {source}")]
    Unreadable {
        /// Which.
        offset: Offset,
        /// Why.
        source: Unreadable,
    },
    /// The pool's rules are newer than this program.
    #[error("event {offset} asks for rules {semantics}, this program knows {SEMANTICS}")]
    Newer {
        /// Which.
        offset: Offset,
        /// The rules.
        semantics: u32,
    },
    /// Records that were there are not.
    #[error("the log of the pool is not the one it was: made again or cut short")]
    Gap,
}

/// A timer that was said to be due.
#[derive(Clone, Copy, Debug)]
struct Asked {
    due: LogTime,
    timer: Timer,
    /// Where that stands, once known.
    offset: Option<Offset>,
}

/// One pool being folded.
#[derive(Debug)]
pub(crate) struct Folding {
    pub(crate) name: PoolName,
    pub(crate) topics: Topics,
    pub(crate) lane: Lane,
    /// Where the next derived record will go.
    pub(crate) batches: Position,
    state: State,
    events_id: Uuid,
    /// Where the events ended when the pool was opened: timers wait until it is reached.
    events_end: Offset,
    /// The greatest (cause, index) written, or waiting to be.
    highest: Option<(Offset, u32)>,
    asked: Option<Asked>,
    ask_after: Wall,
    snapshot_at: Offset,
    outputs: Vec<Output>,
}

impl Folding {
    pub(crate) fn new(name: PoolName, opened: Opened) -> Self {
        let Opened { topics, state, events, events_end, batches, batches_end, highest } = opened;
        Self {
            name,
            topics,
            lane: Lane::default(),
            batches: Position { next: batches_end, ..batches },
            snapshot_at: state.next(),
            state,
            events_id: events.topic_id,
            events_end,
            highest,
            asked: None,
            ask_after: Wall::default(),
            outputs: Vec::new(),
        }
    }

    /// Where to read the events on from.
    pub(crate) fn events(&self) -> Position {
        Position { topic_id: self.events_id, next: self.state.next() }
    }

    /// Whether all is folded that was there when the pool was opened.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.state.next() >= self.events_end
    }

    /// A record that had been written before the pool was opened.
    pub(crate) fn was_written(&mut self, value: &[u8]) {
        let pair = wire::cause_of(value).map(wire::Cause::pair);
        self.highest = self.highest.max(pair);
    }

    /// Folds events; what follows from them waits in the lane.
    pub(crate) fn fold(&mut self, deps: &Deps, chunk: &Chunk) -> Result<(), Halt> {
        if self.events_id.is_nil() {
            self.events_id = chunk.topic_id;
        }
        for record in &chunk.records {
            let offset = record.offset;
            let event = wire::body::<Event>(&record.value)
                .map_err(|source| Halt::Unreadable { offset, source })?;
            check_rules(offset, &event)?;
            let at = if planted(Bug::CloseByWallClock) {
                LogTime::from_millis(deps.clock.now().millis() + 20_000)
            } else {
                record.at
            };
            step(&mut self.state, Input { offset, at, event }, &mut self.outputs);
            self.send(deps);
        }
        self.settle_asked(deps.clock.now());
        self.take_snapshot(deps.limits.snapshot_events);
        Ok(())
    }

    /// Sends the outputs on, but for those that were written before.
    fn send(&mut self, deps: &Deps) {
        let pool = self.state.pool_id();
        for output in self.outputs.drain(..) {
            for copy in copies(&self.name, &output.body, output.cause.offset) {
                if lacks(deps, &copy) {
                    self.lane.copy(copied(&self.name, &output, copy));
                }
            }
            let pair = Some(output.cause.pair());
            if pair > self.highest {
                self.highest = pair;
                self.lane.push(record::draft(&self.name, pool, &output));
            }
        }
    }

    fn take_snapshot(&mut self, every: u64) {
        if self.state.next() - self.snapshot_at >= every {
            self.snapshot_at = self.state.next();
            let taken = Taken::of(&self.name, self.events_id, self.highest, &self.state);
            if let Some(taken) = taken {
                self.lane.snapshot(taken);
            }
        }
    }

    /// A load has been written.
    pub(crate) fn unloaded(&mut self, unloaded: &Unloaded) {
        self.lane.busy = false;
        self.batches = unloaded.batches;
    }

    /// When the next timer is to be said to be due, if one is armed and it has not been said yet.
    pub(crate) fn wake_at(&self) -> Option<Wall> {
        let (due, _) = self.state.due()?;
        let idle = self.asked.is_none() && self.is_caught_up();
        idle.then(|| Wall::from_millis(due.millis()).max(self.ask_after))
    }

    /// The record that says that the next timer is due.
    pub(crate) fn ask(&mut self, now: Wall) -> Option<Draft> {
        let (due, timer) = self.state.due()?;
        self.asked = Some(Asked { due, timer, offset: None });
        let said = directory::said(source(&self.name), now);
        Some(Draft::new("", &Event::from(TimerDue { timer, due }), said))
    }

    /// Where that stands; or that it may not stand anywhere: then it is said again.
    pub(crate) fn was_asked(&mut self, offset: Option<Offset>, now: Wall) {
        match (&mut self.asked, offset) {
            (Some(asked), Some(_)) => asked.offset = offset,
            _ => self.asked = None,
        }
        if offset.is_none() {
            self.ask_after = now.plus(ASK_AGAIN_MS);
        }
        self.settle_asked(now);
    }

    /// Once the record has been folded the question is settled. A timer that is still armed then
    /// was asked for too early, by a clock ahead of the log's.
    fn settle_asked(&mut self, now: Wall) {
        let Some(Asked { due, timer, offset: Some(offset) }) = self.asked else { return };
        if self.state.next() > offset {
            self.asked = None;
            if self.state.due() == Some((due, timer)) {
                let early = due.since(self.state.clock());
                self.ask_after = now.plus(early.max(ASK_AGAIN_MS));
            }
        }
    }
}

fn check_rules(offset: Offset, event: &Event) -> Result<(), Halt> {
    let semantics = match event {
        Event::PoolCreated(created) => created.semantics,
        Event::SemanticsRaised(raised) => raised.semantics,
        _ => return Ok(()),
    };
    if semantics > SEMANTICS { Err(Halt::Newer { offset, semantics }) } else { Ok(()) }
}

/// Whether the directory has not got this, or something later of the same kind.
fn lacks(deps: &Deps, copy: &Directory) -> bool {
    deps.directory.read(|fold| match copy {
        Directory::MembershipCopied(copy) => {
            !fold.has_membership(&copy.pool, copy.account, copy.as_of)
        }
        Directory::PolicyCopied(copy) => {
            let has = fold.pool(&copy.pool).and_then(|pool| pool.policy.as_ref());
            has.is_none_or(|has| has.as_of < copy.as_of)
        }
        Directory::TokenCopied(copy) => {
            fold.token(&copy.pool, copy.token).is_none_or(|has| has.as_of < copy.as_of)
        }
        Directory::PoolStateCopied(copy) => {
            fold.pool(&copy.pool).is_none_or(|pool| pool.state_as_of < Some(copy.as_of))
        }
        _ => true,
    })
}

/// The record of a copy: it has the time of what it copies.
fn copied(name: &PoolName, output: &Output, copy: Directory) -> Draft {
    let now = Wall::from_millis(output.time.millis());
    directory::draft(copy, directory::said(source(name), now))
}
