//! What each route takes and gives, and what refuses it beyond what refuses all of its kind.

use super::operation::{Gives, Operation};
use crate::api::{
    Acknowledge, AddMember, ArchivePool, ArchiveQuery, AuditQuery, AuditView, BatchView, Claim,
    ClientSecret, ClientView, CloseWindow, CorrectQuery, CreatePool, Credentials, DeliveriesQuery,
    DeliveriesView, EarlierQuery, Fail, FilesQuery, GiveAway, IssueToken, IssuedToken, Join,
    JoinDevice, JoinedDevice, Lease, MakeClient, MakeWebhook, ManifestQuery, ManifestView,
    MemberView, NoticesPage, NoticesQuery, OfferQuery, Page, PageQuery, PolicyView, PoolView,
    Receipt, Redeliver, ReleaseUpload, Renew, RequestBatch, RequestedBatch, ResultReceipt,
    ResultView, ResultsQuery, SignUp, SignedIn, SweepReport, TokenAnswer, TokenForm, TokenView,
    UpdateManifest, UpdateQuery, UpdateReceipt, UploadQuery, UploadReceipt, UploadView,
    ValidateQuery, Validated, WebhookSecret, WebhookView, WindowView,
};
use crate::policy::PolicyAsk;
use crate::problem::Code;
use crate::route::{self, Route};

/// What a pool with a quota refuses with.
const QUOTAS: &[Code] = &[Code::PoolQuotaExceeded, Code::MemberQuotaExceeded, Code::QuotaReserved];

/// All of them, in the order of the table of routes.
pub(super) fn all() -> Vec<Operation> {
    let mut all =
        [accounts(), pools(), people(), files(), batches(), results(), webhooks(), process()]
            .concat();
    let place = |operation: &Operation| {
        route::ALL.iter().position(|route| *route == operation.route).unwrap_or(usize::MAX)
    };
    all.sort_by_key(place);
    all
}

fn accounts() -> Vec<Operation> {
    vec![
        Operation::on(route::SIGN_UP).takes::<SignUp>().gives::<SignedIn>(201).refuses(&[
            Code::NameTaken,
            Code::WeakPassword,
            Code::AccountsFull,
            Code::TooBusy,
            Code::SignUpClosed,
        ]),
        Operation::on(route::LOG_IN).takes::<Credentials>().gives::<SignedIn>(200).refuses(&[
            Code::InvalidCredentials,
            Code::AccountDisabled,
            Code::TooBusy,
        ]),
        Operation::on(route::LOG_OUT).answers(204, Gives::Nothing).refuses(&[Code::WrongUser]),
        Operation::on(route::VALIDATE)
            .asks::<ValidateQuery>()
            .gives::<Validated>(200)
            .refuses(&[Code::WrongUser]),
        Operation::on(route::TOKEN)
            .takes_form::<TokenForm>()
            .gives::<TokenAnswer>(200)
            .refuses(&[Code::AccountDisabled, Code::TooBusy]),
        Operation::on(route::MAKE_CLIENT)
            .takes::<MakeClient>()
            .gives::<ClientSecret>(201)
            .refuses(&[Code::NameTaken, Code::AccountsFull]),
        Operation::on(route::LIST_CLIENTS).gives::<Page<ClientView>>(200),
        Operation::on(route::RENEW_CLIENT)
            .gives::<ClientSecret>(200)
            .refuses(&[Code::NotFound, Code::AccountDisabled]),
        Operation::on(route::REVOKE_CLIENT).answers(204, Gives::Nothing).refuses(&[Code::NotFound]),
        standing(route::DISABLE_ACCOUNT),
        standing(route::ENABLE_ACCOUNT),
        Operation::on(route::KEYS).answers(200, Gives::Text("application/jwk-set+json")),
    ]
}

/// Whether an account is alive.
fn standing(route: Route) -> Operation {
    Operation::on(route).answers(204, Gives::Nothing).refuses(&[Code::NotFound])
}

fn pools() -> Vec<Operation> {
    vec![
        Operation::on(route::CREATE_POOL)
            .sends(&["IdempotencyKey"])
            .takes::<CreatePool>()
            .gives::<PoolView>(201)
            .gives::<PoolView>(200)
            .may_be_pending()
            .refuses(&[
                Code::InvalidField,
                Code::PoolNameTaken,
                Code::PoolsFull,
                Code::IdempotencyKeyReused,
            ]),
        Operation::on(route::LIST_POOLS).gives::<Page<PoolView>>(200).refuses(&[Code::NotFound]),
        Operation::on(route::READ_POOL).gives::<PoolView>(200),
        Operation::on(route::READ_POLICY)
            .sends(&["IfNoneMatch"])
            .gives::<PolicyView>(200)
            .answers(304, Gives::Nothing)
            .with(&["ETag"]),
        Operation::on(route::CHANGE_POLICY)
            .sends(&["IfMatch"])
            .takes::<PolicyAsk>()
            .gives::<PolicyView>(200)
            .may_be_pending()
            .with(&["ETag"])
            .refuses(&[
                Code::InvalidField,
                Code::PolicyStale,
                Code::IfMatchRequired,
                Code::PoliciesFull,
                Code::PoolArchived,
            ]),
        Operation::on(route::READ_WINDOWS).asks::<PageQuery>().lists::<Page<WindowView>>(),
        Operation::on(route::CLOSE_WINDOW)
            .takes::<CloseWindow>()
            .answers(204, Gives::Nothing)
            .may_be_pending()
            .refuses(&[Code::NoOpenWindow, Code::PoolPaused, Code::PoolArchived]),
        lived(route::PAUSE_POOL).refuses(&[Code::PoolArchived]),
        lived(route::RESUME_POOL).refuses(&[Code::PoolArchived]),
        lived(route::ARCHIVE_POOL).takes::<ArchivePool>(),
    ]
}

/// Another life of a pool.
fn lived(route: Route) -> Operation {
    Operation::on(route).answers(204, Gives::Nothing).may_be_pending()
}

fn people() -> Vec<Operation> {
    vec![
        Operation::on(route::LIST_MEMBERS).asks::<PageQuery>().lists::<Page<MemberView>>(),
        Operation::on(route::ADD_MEMBER)
            .takes::<AddMember>()
            .gives::<MemberView>(201)
            .gives::<MemberView>(200)
            .may_be_pending()
            .refuses(&[Code::InvalidField, Code::LastOwner, Code::MembersFull]),
        Operation::on(route::REMOVE_MEMBER)
            .answers(204, Gives::Nothing)
            .may_be_pending()
            .refuses(&[Code::LastOwner]),
        Operation::on(route::ISSUE_TOKEN)
            .takes::<IssueToken>()
            .gives::<IssuedToken>(201)
            .with(&["SluicePosition"])
            .refuses(&[Code::InvalidField, Code::TokensFull, Code::PoolArchived]),
        Operation::on(route::SUSPEND_MEMBER)
            .answers(204, Gives::Nothing)
            .may_be_pending()
            .refuses(&[Code::LastOwner]),
        Operation::on(route::RESUME_MEMBER).answers(204, Gives::Nothing).may_be_pending(),
        Operation::on(route::GIVE_AWAY)
            .takes::<GiveAway>()
            .answers(204, Gives::Nothing)
            .may_be_pending(),
        Operation::on(route::LIST_TOKENS).asks::<PageQuery>().lists::<Page<TokenView>>(),
        Operation::on(route::REVOKE_TOKEN).answers(204, Gives::Nothing).may_be_pending(),
        Operation::on(route::JOIN_DEVICE).takes::<JoinDevice>().gives::<JoinedDevice>(201).refuses(
            &[
                Code::NotFound,
                Code::NameTaken,
                Code::WeakPassword,
                Code::AccountsFull,
                Code::TooBusy,
                Code::TokenUsedUp,
                Code::TokenExpired,
                Code::TokenRevoked,
                Code::MembersFull,
                Code::PoolArchived,
            ],
        ),
        Operation::on(route::JOIN)
            .takes::<Join>()
            .gives::<MemberView>(201)
            .gives::<MemberView>(200)
            .may_be_pending()
            .refuses(&[
                Code::TokenUsedUp,
                Code::TokenExpired,
                Code::TokenRevoked,
                Code::MembersFull,
                Code::MemberSuspended,
                Code::PoolArchived,
                Code::SignUpClosed,
                Code::AccountDisabled,
            ]),
    ]
}

fn files() -> Vec<Operation> {
    vec![
        Operation::on(route::UPLOAD)
            .sends(&["IdempotencyKey"])
            .asks::<UploadQuery>()
            .takes_file()
            .gives::<UploadReceipt>(201)
            .gives::<UploadReceipt>(200)
            .with(&["SluicePosition", "Location", "ReprDigest"])
            .refuses(&[Code::UploadInProgress, Code::IdempotencyKeyReused, Code::PoolArchived])
            .refuses(QUOTAS),
        earlier(route::FILE_UPLOAD),
        earlier(route::API_UPLOAD),
        Operation::on(route::UPDATE)
            .sends(&["IdempotencyKey"])
            .asks::<UpdateQuery>()
            .takes_parts::<UpdateManifest>()
            .gives::<UpdateReceipt>(201)
            .gives::<UpdateReceipt>(200)
            .with(&["SluicePosition", "Location"])
            .refuses(&[Code::UploadInProgress, Code::IdempotencyKeyReused, Code::PoolArchived])
            .refuses(QUOTAS),
        held(route::RELEASE_UPLOAD).takes::<ReleaseUpload>().refuses(&[Code::BytesMissing]),
        held(route::DISCARD_UPLOAD),
        Operation::on(route::RETRY_UPLOAD)
            .answers(204, Gives::Nothing)
            .may_be_pending()
            .refuses(&[Code::NotFailed, Code::RetriesUsedUp, Code::PoolArchived, Code::TooBusy]),
        Operation::on(route::READ_UPLOAD).gives::<UploadView>(200),
        Operation::on(route::FETCH_UPLOAD).gives_file(),
        Operation::on(route::READ_HISTORY).asks::<PageQuery>().lists::<Page<UploadView>>(),
        Operation::on(route::CLIENT_HISTORY)
            .asks::<PageQuery>()
            .lists::<Page<UploadView>>()
            .refuses(&[Code::NotFound]),
    ]
}

/// A decision on a held file.
fn held(route: Route) -> Operation {
    Operation::on(route)
        .answers(204, Gives::Nothing)
        .may_be_pending()
        .refuses(&[Code::NotHeld, Code::PoolArchived])
}

/// An upload under another name.
fn earlier(route: Route) -> Operation {
    Operation::on(route)
        .sends(&["IdempotencyKey"])
        .asks::<EarlierQuery>()
        .takes_file_or_form()
        .gives::<UploadReceipt>(201)
        .gives::<UploadReceipt>(200)
        .with(&["SluicePosition", "Location", "ReprDigest"])
        .refuses(&[
            Code::Forbidden,
            Code::NotFound,
            Code::MemberSuspended,
            Code::PoolArchived,
            Code::InvalidField,
            Code::UploadInProgress,
            Code::IdempotencyKeyReused,
        ])
        .refuses(QUOTAS)
}

fn batches() -> Vec<Operation> {
    vec![
        Operation::on(route::LIST_BATCHES).asks::<PageQuery>().lists::<Page<BatchView>>(),
        Operation::on(route::REQUEST_BATCH)
            .takes::<RequestBatch>()
            .gives::<RequestedBatch>(201)
            .gives::<RequestedBatch>(200)
            .may_be_pending()
            .refuses(&[
                Code::InvalidField,
                Code::IdempotencyKeyReused,
                Code::RangeEmpty,
                Code::RangeTooLarge,
                Code::RangeUnknown,
                Code::RangesFull,
                Code::PoolArchived,
                Code::PositionNotReached,
            ]),
        Operation::on(route::READ_BATCH).gives::<BatchView>(200),
        Operation::on(route::READ_MANIFEST).asks::<ManifestQuery>().lists::<ManifestView>(),
        Operation::on(route::FETCH_BATCH)
            .asks::<ArchiveQuery>()
            .answers(200, Gives::File)
            .refuses(&[Code::ContentErased, Code::Unavailable]),
        Operation::on(route::FETCH_BATCH_FILE).gives_file(),
        Operation::on(route::CLAIM)
            .takes::<Claim>()
            .gives::<Lease>(201)
            .answers(204, Gives::Nothing)
            .with(&["Location"])
            .refuses(&[Code::InvalidField, Code::TooBusy, Code::StaleLease]),
        Operation::on(route::RENEW)
            .takes::<Renew>()
            .gives::<Lease>(200)
            .with(&["SluicePosition"])
            .refuses(&[Code::StaleLease]),
        Operation::on(route::FAIL)
            .takes::<Fail>()
            .answers(204, Gives::Nothing)
            .may_be_pending()
            .refuses(&[Code::InvalidField, Code::StaleLease]),
        Operation::on(route::RETRY_BATCH)
            .answers(204, Gives::Nothing)
            .may_be_pending()
            .refuses(&[Code::NotFailed]),
        Operation::on(route::OFFER_RESULT)
            .asks::<OfferQuery>()
            .takes_file()
            .gives::<ResultReceipt>(201)
            .gives::<ResultReceipt>(200)
            .may_be_pending()
            .with(&["ReprDigest"])
            .refuses(&[
                Code::StaleLease,
                Code::OtherManifest,
                Code::ResultExists,
                Code::UploadInProgress,
            ]),
    ]
}

fn results() -> Vec<Operation> {
    vec![
        Operation::on(route::LIST_RESULTS).asks::<ResultsQuery>().lists::<Page<ResultView>>(),
        Operation::on(route::LATEST_RESULT)
            .gives::<ResultView>(200)
            .refuses(&[Code::ResultWithdrawn]),
        Operation::on(route::READ_RESULT).gives::<ResultView>(200),
        Operation::on(route::FETCH_RESULT).gives_file().refuses(&[Code::ResultWithdrawn]),
        Operation::on(route::ACKNOWLEDGE).takes::<Acknowledge>().gives::<Receipt>(200),
        Operation::on(route::CORRECT_RESULT)
            .asks::<CorrectQuery>()
            .takes_file()
            .gives::<ResultReceipt>(201)
            .gives::<ResultReceipt>(200)
            .may_be_pending()
            .with(&["ReprDigest"])
            .refuses(&[Code::ResultSuperseded, Code::ResultSettled]),
        Operation::on(route::WITHDRAW_RESULT).answers(204, Gives::Nothing).may_be_pending(),
        Operation::on(route::REDELIVER)
            .takes::<Redeliver>()
            .answers(204, Gives::Nothing)
            .may_be_pending(),
        Operation::on(route::READ_DELIVERIES).asks::<DeliveriesQuery>().lists::<DeliveriesView>(),
        Operation::on(route::NOTICES)
            .sends(&["LastEventId"])
            .asks::<NoticesQuery>()
            .answers(200, Gives::Text("text/event-stream"))
            .answers(101, Gives::Nothing)
            .refuses(&[Code::TooBusy, Code::PositionNotReached]),
        Operation::on(route::READ_NOTICES)
            .asks::<NoticesQuery>()
            .gives::<NoticesPage>(200)
            .refuses(&[Code::TooBusy, Code::PositionNotReached]),
    ]
}

fn webhooks() -> Vec<Operation> {
    let changed = |route| Operation::on(route).answers(204, Gives::Nothing);
    vec![
        Operation::on(route::MAKE_WEBHOOK)
            .takes::<MakeWebhook>()
            .gives::<WebhookSecret>(201)
            .with(&["Location"])
            .refuses(&[Code::InvalidField, Code::ForbiddenTarget, Code::WebhooksFull]),
        Operation::on(route::LIST_WEBHOOKS).gives::<Page<WebhookView>>(200),
        Operation::on(route::RENEW_WEBHOOK).gives::<WebhookSecret>(200),
        changed(route::REMOVE_WEBHOOK),
        changed(route::ENABLE_WEBHOOK),
        changed(route::DISABLE_WEBHOOK),
    ]
}

fn process() -> Vec<Operation> {
    vec![
        Operation::on(route::READ_AUDIT).asks::<AuditQuery>().lists::<Page<AuditView>>(),
        Operation::on(route::AUDIT).asks::<AuditQuery>().lists::<Page<AuditView>>(),
        Operation::on(route::ALL_FILES).asks::<FilesQuery>().lists::<Page<UploadView>>(),
        Operation::on(route::SWEEP).gives::<SweepReport>(200),
        Operation::on(route::ERRORS).answers(200, Gives::Text("text/plain")),
        Operation::on(route::OPENAPI).answers(200, Gives::Text("application/json")),
        Operation::on(route::DOCS).answers(200, Gives::Text("text/html")),
        Operation::on(route::DOCS_PART)
            .answers(200, Gives::Text("text/css"))
            .refuses(&[Code::NotFound]),
        Operation::on(route::LIVE).answers(200, Gives::Text("application/json")),
        Operation::on(route::READY)
            .answers(200, Gives::Text("application/json"))
            .refuses(&[Code::Unavailable]),
        Operation::on(route::METRICS).answers(200, Gives::Text("application/openmetrics-text")),
    ]
}
