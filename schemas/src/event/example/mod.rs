//! One example of each type: frozen in `schemas/events/`, shown in the documentation.

mod audit;
mod directory;
mod inspections;
mod people;
mod work;

pub use audit::audit;
pub use directory::directory;
pub use work::deliveries;

use std::sync::Arc;

use super::{
    BatchAmended, BatchCancelled, BatchFailed, BatchReady, BatchRequested, BatchRetried,
    BatchRetryRequested, Body, ClaimRequested, CloseReason, Closed, ContentErased, Derived, Event,
    FileDiscarded, FilePlaced, FileReleased, FilesGrouped, GroupedFile, LeaseRenewed, ManifestPage,
    Placement, PoolCreated, ProcessingFailed, RangeListed, RangeOpened, RedeliveryRequested,
    ResultWithdrawRequested, SemanticsRaised, Sent, Timer, TimerDue, UpdateReceived,
    UploadDiscardRequested, UploadReceived, UploadRefused, UploadReleaseRequested, UploadRepeated,
    WindowCloseAsked, WindowOpened, WindowSkipped,
};
use crate::digest::Digest;
use crate::file::{FileRef, TimeSource, manifest_digest};
use crate::id::{
    AccountId, BatchId, ClaimId, EventId, PoolId, RequestId, ResultId, TokenId, UpdateId, UploadId,
};
use crate::limit::Limits;
use crate::policy::{Policy, PolicyAsk};
use crate::role::{Role, RoleSet};
use crate::time::{
    EffectiveAt, LogTime, ObservedAt, ReceivedAt, SentAt, StoredAt, Window, WindowKind,
};
use crate::wire::{self, Attributes, Cause};

/// 2026-11-21T10:30:00Z.
const MOMENT: i64 = 1_795_257_000_000;

fn parsed<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("examples are well formed")
}

const fn id(last: u128) -> u128 {
    0x0199_f3a2_5c1e_7d53_b0a4_0000_0000_0000 | last
}

fn log_time() -> LogTime {
    LogTime::from_millis(MOMENT + 2_005)
}

fn pool() -> PoolId {
    PoolId::from_bits(id(1))
}

fn client() -> AccountId {
    AccountId::from_bits(id(2))
}

fn worker() -> AccountId {
    AccountId::from_bits(id(3))
}

fn token() -> TokenId {
    TokenId::from_bits(id(4))
}

fn request() -> RequestId {
    RequestId::from_bits(id(13))
}

fn upload() -> UploadId {
    UploadId::from_bits(id(5))
}

fn window() -> Window {
    Window {
        start: EffectiveAt::from_millis(MOMENT - 150_000),
        end: EffectiveAt::from_millis(MOMENT + 150_000),
        kind: WindowKind::Grid,
    }
}

fn batch() -> BatchId {
    BatchId::of(pool(), &window(), 1)
}

fn result() -> ResultId {
    ResultId::of(batch(), 1)
}

fn file() -> FileRef {
    FileRef {
        upload: upload(),
        client: client(),
        name: parsed("reading-1030.csv"),
        size_bytes: 5,
        sha256: Digest::of(b"hello"),
        media_type: parsed("text/csv"),
        object: parsed("u/0199f3a2-5c1e-7d53-b0a4-000000000005/1"),
        observed_at: Some(ObservedAt::from_millis(MOMENT)),
        sent_at: Some(SentAt::from_millis(MOMENT + 1_000)),
        received_at: ReceivedAt::from_millis(MOMENT + 2_000),
        effective_at: EffectiveAt::from_millis(MOMENT),
        time_source: TimeSource::Client,
        clamped: false,
        quarantined: false,
        inspections: Vec::new(),
    }
}

fn policy() -> Box<Policy> {
    Box::new(PolicyAsk::default().resolve(&Limits::default()).expect("the defaults are in order"))
}

fn closed(revision: u32, reason: CloseReason) -> Closed {
    Closed {
        batch: batch(),
        window: window(),
        part: 1,
        revision,
        reason,
        files: revision,
        bytes: 5 * u64::from(revision),
        pages: revision,
        manifest_sha256: manifest_digest(None, [&file()].into_iter()),
        watermark: window().end.plus(60_000),
        log_clock: LogTime::from_millis(MOMENT + 215_000),
        policy_version: 1,
        expected: 2,
        active: 1,
        reported: 1,
        missing: if revision == 1 { vec![AccountId::from_bits(id(6))] } else { Vec::new() },
        missing_count: 1,
    }
}

fn contributor() -> RoleSet {
    RoleSet::of(&[Role::Contributor])
}

/// One of each type of a pool's events.
pub fn events() -> Vec<Event> {
    let (by, account) = (AccountId::from_bits(id(7)), client());
    let stored_at = StoredAt::from_millis(MOMENT + 2_001);
    let name = parsed("north-sea-buoys");
    let mut all = people::events();
    let created = PoolCreated { pool: pool(), name, owner: by, semantics: 1, policy: policy() };
    all.insert(0, created.into());
    all.extend(events_of_files(by, account, stored_at));
    all.extend(inspections::events());
    all
}

fn events_of_files(by: AccountId, account: AccountId, stored_at: StoredAt) -> Vec<Event> {
    vec![
        UploadReceived { file: file(), stored_at }.into(),
        UpdateReceived {
            update: UpdateId::from_bits(id(8)),
            client: account,
            items: vec![file()],
            stored_at,
        }
        .into(),
        UploadReleaseRequested { by, file: file(), effective_at: Some(window().start) }.into(),
        UploadDiscardRequested { by, upload: upload() }.into(),
        WindowCloseAsked { by, at: Some(window().start) }.into(),
        BatchRequested { request: request(), by, from: window().start, to: window().end }.into(),
        RangeListed { request: request(), page: 1, pages: 1, clients: 1, files: vec![file()] }
            .into(),
        ClaimRequested {
            claim: ClaimId::from_bits(id(9)),
            worker: worker(),
            deadline: LogTime::from_millis(MOMENT + 245_000),
        }
        .into(),
        LeaseRenewed { batch: batch(), epoch: 1, worker: worker() }.into(),
        ProcessingFailed {
            batch: batch(),
            epoch: 1,
            worker: worker(),
            retryable: true,
            reason: "out of memory".into(),
        }
        .into(),
        work::offered().into(),
        BatchRetryRequested { batch: batch(), by }.into(),
        work::corrected(by, stored_at).into(),
        ResultWithdrawRequested { result: result(), batch: batch(), by }.into(),
        RedeliveryRequested { by, member: Some(account), from_seq: 7 }.into(),
        TimerDue { timer: Timer::MaxWait(window()), due: log_time() }.into(),
        SemanticsRaised { semantics: 1 }.into(),
    ]
}

/// One of each type of a pool's derived records.
pub fn derived() -> Vec<Derived> {
    let mut all = derived_of_files();
    all.extend(derived_of_windows());
    all.extend(people::derived());
    all.extend(work::derived());
    all.extend(inspections::derived());
    all
}

fn derived_of_files() -> Vec<Derived> {
    let window = window();
    let placed = Placement::Window {
        window,
        part: 1,
        batch: batch(),
        revision: 1,
        late: false,
        falls_in: None,
        part_files: 1,
        part_bytes: 5,
        part_clients: 1,
    };
    let file = Arc::new(file());
    let (by, upload) = (AccountId::from_bits(id(7)), upload());
    vec![
        FilePlaced {
            file: Arc::clone(&file),
            update: None,
            placed: placed.clone(),
            sent: Some(Sent { files: 1, bytes: 5, client_files: 1, client_bytes: 5 }),
        }
        .into(),
        FileReleased { by, file, placed }.into(),
        FileDiscarded { by, upload }.into(),
        ContentErased { inputs_before: Some(log_time()), results_before: None }.into(),
        UploadRefused { upload, client: client(), update: None }.into(),
        UploadRepeated { upload, update: None }.into(),
    ]
}

fn derived_of_windows() -> Vec<Derived> {
    let (window, upload, file) = (window(), upload(), Arc::new(file()));
    vec![
        FilesGrouped {
            window,
            part: 1,
            batch: batch(),
            carried_from: None,
            files: vec![GroupedFile { upload, client: client() }],
            part_files: 1,
            part_bytes: 5,
            part_clients: 1,
        }
        .into(),
        WindowOpened {
            window,
            part: 1,
            batch: batch(),
            closes_at: window.end.plus(60_000),
            closes_at_latest: LogTime::from_millis(MOMENT + 570_000),
            policy_version: 1,
        }
        .into(),
        WindowSkipped {
            window,
            part: 1,
            batch: batch(),
            files: 1,
            bytes: 5,
            reported: 1,
            files_missing: 2,
            clients_missing: 0,
        }
        .into(),
        RangeOpened {
            request: request(),
            batch: BatchId::requested(pool(), request()),
            window: Window { kind: WindowKind::Range, ..window },
            before: 12,
            pages: 0,
            ready: false,
        }
        .into(),
        ManifestPage { batch: batch(), page: 1, added: vec![file] }.into(),
        BatchReady { closed: closed(1, CloseReason::WindowEnd) }.into(),
        BatchAmended { closed: closed(2, CloseReason::Late), supersedes: 1, added: 1 }.into(),
        BatchFailed { batch: batch(), revision: 1, attempts: 3, reason: None }.into(),
        BatchCancelled { batch: batch(), window, part: 1, revision: 2, out: 2, files: 2 }.into(),
        BatchRetried { batch: batch(), revision: 1, by: AccountId::from_bits(id(7)) }.into(),
    ]
}

/// Every example as a record: the name of its type, and its bytes.
pub fn records() -> Vec<(&'static str, Vec<u8>)> {
    let cause = Cause { offset: 12, index: 0, last: true };
    let mut all = Vec::new();
    all.extend(events().iter().map(|body| record(body, body.subject(), None)));
    all.extend(derived().iter().map(|body| record(body, body.subject(), Some(cause))));
    all.extend(deliveries().iter().map(|body| record(body, None, None)));
    all.extend(directory().iter().map(|body| record(body, None, None)));
    all.extend(audit().iter().map(|body| record(body, None, None)));
    all
}

fn record<B: Body>(
    body: &B,
    subject: Option<String>,
    cause: Option<Cause>,
) -> (&'static str, Vec<u8>) {
    let source = if cause.is_some() { "/sluice/pools/north-sea-buoys" } else { "/sluice/ingest" };
    let id = EventId::from_bits(id(12));
    let attributes = Attributes { id, source: source.into(), time: log_time(), subject, cause };
    (body.type_name(), wire::encode(body, &attributes))
}
