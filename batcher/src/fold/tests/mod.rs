//! The fold, told what to fold and asked what follows, in short words.

mod gap;
mod held;
mod inspections;
mod keeping;
mod late;
mod life;
mod members;
mod minimum;
mod orders;
mod range;
mod replay;
mod results;
mod tale;
mod triggers;
mod versions;
mod windows;
mod work;

use std::collections::HashMap;
use std::sync::LazyLock;

use schemas::digest::Digest;
use schemas::event::{
    BatchRetryRequested, ClaimRequested, Closed, Derived, Event, HeldReason, LeaseRenewed,
    MemberAddRequested, Placement, PoolCreated, ProcessingFailed, ResultOffered, TimerDue,
    UpdateReceived, UploadReceived, WindowCloseAsked,
};
use schemas::file::{FileRef, TimeSource};
use schemas::id::{AccountId, BatchId, ClaimId, PoolId, UpdateId, UploadId};
use schemas::limit::Limits;
use schemas::policy::{Policy, PolicyAsk, WindowsAsk};
use schemas::role::{Role, RoleSet};
use schemas::time::{EffectiveAt, LogTime, ReceivedAt, StoredAt, Window, WindowKind};

use super::{Input, Output, State, step};

pub(super) const OWNER: u128 = 1_000;
pub(super) const WORKER: u128 = 2_000;

/// Minutes from 10:00 on some day, in milliseconds: windows of the tests are minutes.
pub(crate) const BASE: i64 = 1_795_255_200_000;

/// A pool whose windows are minutes, tumbling; grace 10 s, max wait 60 s, disorder 0, all active
/// contributors must have passed a window's end.
pub(crate) fn policy(change: impl FnOnce(&mut PolicyAsk)) -> Policy {
    let mut ask = PolicyAsk {
        windows: Some(WindowsAsk::Tumbling { period_ms: Some(60_000), origin: None }),
        update_every_ms: Some(60_000),
        quantile_permille: Some(1_000),
        disorder_ms: Some(0),
        grace_ms: Some(10_000),
        max_wait_ms: Some(60_000),
        activity_ms: Some(600_000),
        ..PolicyAsk::default()
    };
    change(&mut ask);
    ask.resolve(&Limits::default()).unwrap()
}

pub(crate) fn file(upload: u128, client: u128, at: i64) -> FileRef {
    FileRef {
        upload: UploadId::from_bits(upload),
        client: AccountId::from_bits(client),
        name: "f".parse().unwrap(),
        size_bytes: 10,
        sha256: Digest::of(&upload.to_be_bytes()),
        media_type: "text/plain".parse().unwrap(),
        object: "o".parse().unwrap(),
        observed_at: None,
        sent_at: None,
        received_at: ReceivedAt::from_millis(BASE + at),
        effective_at: EffectiveAt::from_millis(BASE + at),
        time_source: TimeSource::Client,
        clamped: false,
        quarantined: false,
        inspections: Vec::new(),
    }
}

/// A pool being told things. Times are milliseconds after `BASE`.
pub(super) struct Telling {
    pub(super) state: State,
    pub(super) inputs: Vec<Input>,
    pub(super) outputs: Vec<Output>,
    pub(super) clock: i64,
}

impl Telling {
    /// A pool made at 0, with clients 1 to `clients`, and a worker.
    pub(super) fn new(clients: u128, policy: Policy) -> Self {
        let mut telling =
            Self { state: State::default(), inputs: Vec::new(), outputs: Vec::new(), clock: 0 };
        telling.say(PoolCreated {
            pool: PoolId::from_bits(7),
            name: "tests".parse().unwrap(),
            owner: AccountId::from_bits(OWNER),
            semantics: 1,
            policy: Box::new(policy),
        });
        for client in 1..=clients {
            telling.add(client, &[Role::Contributor]);
        }
        telling.add(WORKER, &[Role::Processor]);
        telling
    }

    /// Goes on to this moment; nothing is said.
    pub(super) fn at(&mut self, clock: i64) -> &mut Self {
        self.clock = clock;
        self
    }

    /// Says something; tells what follows, in short words.
    pub(super) fn say(&mut self, event: impl Into<Event>) -> Vec<String> {
        let input = Input {
            offset: self.state.next(),
            at: LogTime::from_millis(BASE + self.clock),
            event: event.into(),
        };
        self.inputs.push(input.clone());
        let before = self.outputs.len();
        step(&mut self.state, input, &mut self.outputs);
        self.outputs[before..].iter().map(told).collect()
    }

    pub(super) fn add(&mut self, account: u128, roles: &[Role]) -> Vec<String> {
        self.say(MemberAddRequested {
            by: AccountId::from_bits(OWNER),
            account: AccountId::from_bits(account),
            roles: RoleSet::of(roles),
        })
    }

    /// A file of a client, with this effective time.
    pub(super) fn file(&mut self, upload: u128, client: u128, at: i64) -> Vec<String> {
        let stored_at = StoredAt::from_millis(BASE + self.clock);
        self.say(UploadReceived { file: file(upload, client, at), stored_at })
    }

    /// An update of one client: (upload, effective time) each.
    pub(super) fn update(&mut self, client: u128, items: &[(u128, i64)]) -> Vec<String> {
        self.say(UpdateReceived {
            update: UpdateId::from_bits(items[0].0),
            client: AccountId::from_bits(client),
            items: items.iter().map(|(upload, at)| file(*upload, client, *at)).collect(),
            stored_at: StoredAt::from_millis(BASE + self.clock),
        })
    }

    /// Goes on to the next timer's moment and says that it is due.
    pub(super) fn timer(&mut self) -> Vec<String> {
        let (due, timer) = self.state.due().expect("a timer is armed");
        self.clock = self.clock.max(due.millis() - BASE);
        self.say(TimerDue { timer, due })
    }

    pub(super) fn close(&mut self) -> Vec<String> {
        self.say(WindowCloseAsked { by: AccountId::from_bits(OWNER), at: None })
    }

    pub(super) fn claim(&mut self, claim: u128) -> Vec<String> {
        let deadline = LogTime::from_millis(BASE + self.clock + 1_000);
        let (claim, worker) = (ClaimId::from_bits(claim), AccountId::from_bits(WORKER));
        self.say(ClaimRequested { claim, worker, deadline })
    }

    pub(super) fn renew(&mut self, minute: i64, epoch: u64) -> Vec<String> {
        let worker = AccountId::from_bits(WORKER);
        self.say(LeaseRenewed { batch: batch(minute, 1), epoch, worker })
    }

    pub(super) fn give_up(&mut self, minute: i64, epoch: u64) -> Vec<String> {
        self.say(ProcessingFailed {
            batch: batch(minute, 1),
            epoch,
            worker: AccountId::from_bits(WORKER),
            retryable: true,
            reason: "no".into(),
        })
    }

    pub(super) fn retry(&mut self, minute: i64) -> Vec<String> {
        self.say(BatchRetryRequested { batch: batch(minute, 1), by: AccountId::from_bits(OWNER) })
    }

    /// Offers a result of part 1 of a minute; the manifest is looked up among what was said.
    pub(super) fn offer(&mut self, minute: i64, revision: u32, epoch: Option<u64>) -> Vec<String> {
        let id = batch(minute, 1);
        let manifest = self.manifest(id, revision);
        self.say(offer(id, revision, epoch, manifest))
    }

    /// The manifest digest of a revision, as the fold said it.
    pub(super) fn manifest(&self, id: BatchId, revision: u32) -> Digest {
        let closed = self.outputs.iter().filter_map(|output| match &output.body {
            Derived::BatchReady(ready) => Some(&ready.closed),
            Derived::BatchAmended(amended) => Some(&amended.closed),
            _ => None,
        });
        let found = closed.into_iter().find(|c| c.batch == id && c.revision == revision);
        found.map_or(Digest::of(b"none"), |closed| closed.manifest_sha256)
    }
}

pub(super) fn offer(
    batch: BatchId,
    revision: u32,
    epoch: Option<u64>,
    manifest_sha256: Digest,
) -> ResultOffered {
    ResultOffered {
        batch,
        revision,
        epoch,
        manifest_sha256,
        worker: AccountId::from_bits(WORKER),
        name: "r".parse().unwrap(),
        media_type: "text/plain".parse().unwrap(),
        object: "r".parse().unwrap(),
        sha256: Digest::of(&[u8::try_from(revision).unwrap()]),
        size_bytes: 1,
        stored_at: StoredAt::from_millis(BASE),
    }
}

/// The minute window that begins this many minutes after `BASE`.
pub(super) fn window(minute: i64) -> Window {
    Window {
        start: EffectiveAt::from_millis(BASE + minute * 60_000),
        end: EffectiveAt::from_millis(BASE + (minute + 1) * 60_000),
        kind: WindowKind::Tumbling,
    }
}

pub(super) fn batch(minute: i64, part: u32) -> BatchId {
    BatchId::of(PoolId::from_bits(7), &window(minute), part)
}

fn minute(window: &Window) -> i64 {
    (window.start.millis() - BASE) / 60_000
}

/// Which batch of the first minutes this is.
fn name(id: BatchId) -> String {
    static NAMES: LazyLock<HashMap<BatchId, String>> = LazyLock::new(|| {
        let all = (-20..60).flat_map(|minute| (1..9).map(move |part| (minute, part)));
        all.map(|(minute, part)| (batch(minute, part), format!("{minute}.{part}"))).collect()
    });
    NAMES.get(&id).cloned().unwrap_or_else(|| id.to_string())
}

fn closed(c: &Closed) -> String {
    let missing: Vec<_> = c.missing.iter().map(|id| id.bits().to_string()).collect();
    let (name, reason) = (name(c.batch), serde_json::to_string(&c.reason).unwrap());
    let reason = reason.trim_matches('"');
    let mut text = format!("{name} r{} files {} because {reason}", c.revision, c.files);
    if !missing.is_empty() {
        text = format!("{text} missing {}", missing.join(","));
    }
    text
}

fn place(placed: &Placement) -> String {
    match placed {
        Placement::Window { batch, revision, late, falls_in, .. } => {
            let late = if *late { " late" } else { "" };
            let from =
                falls_in.map_or(String::new(), |window| format!(" from {}", minute(&window)));
            format!("in {} r{revision}{late}{from}", name(*batch))
        }
        Placement::Gathering { group_files, late, falls_in, .. } => {
            let late = if *late { " late" } else { "" };
            let from = if falls_in.is_some() { " from its window" } else { "" };
            format!("gathers with {}{late}{from}", group_files - 1)
        }
        Placement::Inspecting { window } => format!("inspected for {}", minute(window)),
        Placement::Held { reason, .. } => {
            let reason = match reason {
                HeldReason::SenderNotAContributor => "no contributor",
                HeldReason::TooLate => "too late",
                HeldReason::Late => "late",
                HeldReason::TooFarAhead => "too far ahead",
                HeldReason::StoredLongAgo => "stored long ago",
                HeldReason::SenderSuspended => "suspended",
                HeldReason::PoolArchived => "archived",
                HeldReason::NotInspected => "not inspected",
            };
            format!("held: {reason}")
        }
    }
}

/// An output in short words; batches are named `minute.part`.
pub(super) fn told(output: &Output) -> String {
    match &output.body {
        Derived::ContentErased(_) => "erased".to_owned(),
        Derived::UploadRefused(refused) => format!("upload {} refused", refused.upload.bits()),
        Derived::UploadRepeated(again) => format!("upload {} repeated", again.upload.bits()),
        body @ (Derived::FilesGrouped(_)
        | Derived::WindowOpened(_)
        | Derived::WindowSkipped(_)
        | Derived::RangeOpened(_)) => told_of_window(body),
        Derived::ManifestPage(page) => {
            let files: Vec<_> = page.added.iter().map(|f| f.upload.bits().to_string()).collect();
            format!("page {} of {}: {}", page.page, name(page.batch), files.join(","))
        }
        Derived::BatchReady(ready) => format!("ready {}", closed(&ready.closed)),
        Derived::BatchAmended(amended) => format!("amended {}", closed(&amended.closed)),
        Derived::BatchFailed(failed) => format!("failed {}", name(failed.batch)),
        Derived::BatchRetried(again) => {
            format!("retried {} r{}", name(again.batch), again.revision)
        }
        Derived::BatchLeased(leased) => format!(
            "leased {} r{} epoch {} attempt {}",
            name(leased.batch),
            leased.revision,
            leased.epoch,
            leased.attempt
        ),
        Derived::LeaseExpired(expired) => {
            format!("lease {} ended: {:?}", name(expired.batch), expired.reason)
        }
        Derived::ResultPublished(result) => {
            let supersedes = if result.supersedes.is_some() { " superseding" } else { "" };
            let correction = match result.correction {
                0 => String::new(),
                n => format!(" correction {n}"),
            };
            format!("result of {} r{}{correction}{supersedes}", name(result.batch), result.revision)
        }
        Derived::ResultRefused(refused) => {
            let repeats = if refused.repeats.is_some() { ", a repeat" } else { "" };
            format!("result refused: {:?}{repeats}", refused.reason)
        }
        Derived::ResultWithdrawn(gone) => format!("withdrawn of {}", name(gone.batch)),
        Derived::RedeliveryBegun(begun) => {
            format!("again from {} for {:?}", begun.from_seq, begun.member.map(AccountId::bits))
        }
        Derived::ClaimRefused(refused) => format!("claim refused: {:?}", refused.reason),
        Derived::RequestRefused(refused) => format!("refused: {:?}", refused.reason),
        Derived::MemberAdded(added) => {
            let roles: Vec<_> = added.roles.iter().map(|role| role.to_string()).collect();
            format!("member {} is {}", added.account.bits(), roles.join("+"))
        }
        Derived::MemberRoleChanged(changed) => {
            let roles: Vec<_> = changed.roles.iter().map(|role| role.to_string()).collect();
            format!("member {} is now {}", changed.account.bits(), roles.join("+"))
        }
        Derived::MemberRemoved(removed) => format!("member {} removed", removed.account.bits()),
        Derived::MemberSuspended(rests) => format!("member {} suspended", rests.account.bits()),
        Derived::MemberResumed(resumed) => format!("member {} resumed", resumed.account.bits()),
        Derived::JoinTokenRevoked(revoked) => format!("token {} revoked", revoked.token.bits()),
        Derived::PoolPaused(_) => "paused".to_owned(),
        Derived::PoolResumed(_) => "resumed".to_owned(),
        Derived::PoolArchived(_) => "archived".to_owned(),
        Derived::BatchCancelled(cancelled) => {
            format!("cancelled {} from r{}", name(cancelled.batch), cancelled.revision)
        }
        Derived::JoinTokenIssued(issued) => format!("token {} issued", issued.token.bits()),
        Derived::PolicyChanged(changed) => format!("policy {}", changed.version),
        body => inspections::told(body),
    }
}

fn told_of_window(body: &Derived) -> String {
    match body {
        Derived::FilesGrouped(grouped) => {
            let files: Vec<_> = grouped.files.iter().map(|f| f.upload.bits().to_string()).collect();
            let from =
                grouped.carried_from.map_or(String::new(), |id| format!(" from {}", name(id)));
            format!("grouped {} in {}{from}", files.join(","), name(grouped.batch))
        }
        Derived::WindowOpened(opened) if opened.window.kind == WindowKind::Gap => {
            let Window { start, end, .. } = opened.window;
            let [start, end] = [start, end].map(|at| at.millis() - BASE);
            format!("opened {start} to {end}, part {}", opened.part)
        }
        Derived::WindowOpened(opened) => {
            format!("opened {}.{}", minute(&opened.window), opened.part)
        }
        Derived::WindowSkipped(skipped) => {
            let (files, clients) = (skipped.files_missing, skipped.clients_missing);
            format!("skipped {}, {files} files and {clients} clients missing", name(skipped.batch))
        }
        Derived::RangeOpened(opened) => {
            let ready = if opened.ready { ", ready" } else { "" };
            format!("range open before {}, {} pages{ready}", opened.before, opened.pages)
        }
        other => format!("{other:?}"),
    }
}
