//! Every route in one table: it drives the routers, the metrics and the authorization test.

use crate::role::{Act, ROLES, RULES, RoleSet};

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Asks for something to be done.
    Post,
    /// Puts something where it says.
    Put,
    /// Takes something away.
    Delete,
}

/// Which side answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Ingest: what changes anything.
    Write,
    /// The projector: what was and is.
    Read,
    /// Every process.
    Process,
}

/// One route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The name of its constant.
    pub name: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path, parameters in braces.
    pub path: &'static str,
    /// What it lets one do.
    pub act: Act,
    /// Who answers.
    pub side: Side,
    /// What it is for, in one sentence.
    pub summary: &'static str,
}

impl Route {
    /// What the audit log calls it.
    pub fn audit_name(&self) -> String {
        self.name.to_ascii_lowercase().replace('_', "-")
    }

    /// Whether the audit log has it, whoever does it: what changes anything, but for the way of the
    /// data itself, which has its own log; and all that only platform admins may.
    pub fn is_audited(&self) -> bool {
        let data = matches!(self.act, Act::Upload | Act::Work | Act::Acknowledge)
            || [FILE_UPLOAD, API_UPLOAD].contains(self);
        self.act == Act::Platform
            || (self.side == Side::Write && self.method != Method::Get && !data)
    }

    /// Who may take it, in words; a star marks those who may on what is their own.
    pub fn who(&self) -> Vec<String> {
        let Some(rule) = RULES.iter().find(|rule| rule.act == self.act) else {
            let who = match self.act {
                Act::Anyone => "anyone",
                Act::JoinDevice => "whoever has a join token",
                Act::Platform => "platform admin",
                _ => "anyone signed in",
            };
            return vec![who.to_owned()];
        };
        let names = |set: RoleSet, mark: &str| {
            if set == RoleSet::of(&ROLES) {
                return vec![format!("every member{mark}")];
            }
            set.iter().map(|role| format!("{role}{mark}")).collect()
        };
        let mut who = names(rule.roles, "");
        who.extend(names(rule.own_only, "*"));
        if rule.platform_admin {
            who.push("platform admin".to_owned());
        }
        who
    }
}

macro_rules! routes {
    ($($name:ident = $side:ident $method:ident $path:literal $act:ident $summary:literal;)*) => {
        $(#[doc = $summary]
        pub const $name: Route = Route {
            name: stringify!($name),
            method: Method::$method,
            path: $path,
            act: Act::$act,
            side: Side::$side,
            summary: $summary,
        };)*

        /// All of them.
        pub const ALL: &[Route] = &[$($name,)*];
    };
}

routes! {
    SIGN_UP = Write Post "/auth/signup" Anyone "Makes an account and signs it in.";
    LOG_IN = Write Put "/auth/login/{user_name}" Anyone "Signs in with a password.";
    LOG_OUT = Write Put "/auth/logout/{user_name}" SignedIn "Signs out: the token is dead everywhere within a second.";
    VALIDATE = Write Get "/auth/validate" SignedIn "Says whether the token is good for a user, and the user's role.";
    TOKEN = Write Post "/auth/token" Anyone "Gives an access token (OAuth 2.0, RFC 6749, section 4.3).";
    KEYS = Write Get "/.well-known/jwks.json" Anyone "The keys that access tokens are signed with (RFC 7517).";

    MAKE_CLIENT = Write Post "/v1/clients" SignedIn "Makes an API client, an account for a service; its secret is shown this once.";
    LIST_CLIENTS = Read Get "/v1/clients" SignedIn "The caller's API clients.";
    RENEW_CLIENT = Write Post "/v1/clients/{client}/secret" SignedIn "Gives one of the caller's API clients another secret; the one before is dead.";
    REVOKE_CLIENT = Write Delete "/v1/clients/{client}" SignedIn "Disables one of the caller's API clients for good: its tokens are dead everywhere within a second.";
    DISABLE_ACCOUNT = Write Post "/v1/accounts/{account}/disable" Platform "Disables an account and its API clients: their tokens are dead everywhere within a second.";
    ENABLE_ACCOUNT = Write Post "/v1/accounts/{account}/enable" Platform "Has a disabled account be like any other.";

    CREATE_POOL = Write Post "/v1/pools" CreatePool "Makes a pool; its maker is its owner.";
    LIST_POOLS = Read Get "/v1/pools" SignedIn "The pools the caller is in.";
    READ_POOL = Read Get "/v1/pools/{pool}" ReadPool "A pool's policy and the caller's roles in it.";
    READ_POLICY = Read Get "/v1/pools/{pool}/policy" ReadPool "A pool's policy; its `ETag` names the version.";
    CHANGE_POLICY = Write Put "/v1/pools/{pool}/policy" ChangePolicy "Replaces the version of the policy that If-Match names, from the next window on.";
    READ_WINDOWS = Read Get "/v1/pools/{pool}/windows" ReadPool "The pool's windows, newest first: when each closes, why, and who is missing.";
    CLOSE_WINDOW = Write Post "/v1/pools/{pool}/windows/close" CloseWindow "Closes the open windows now, or the one of a moment.";
    PAUSE_POOL = Write Post "/v1/pools/{pool}/pause" Pause "Has windows close no more until the pool is resumed; files are taken as ever.";
    RESUME_POOL = Write Post "/v1/pools/{pool}/resume" Pause "Has windows close again.";
    ARCHIVE_POOL = Write Post "/v1/pools/{pool}/archive" Archive "Has the pool take nothing more, for ever.";

    LIST_MEMBERS = Read Get "/v1/pools/{pool}/members" ReadMembers "Who belongs to the pool.";
    ADD_MEMBER = Write Put "/v1/pools/{pool}/members/{account}" ManageMembers "Makes an account a member with these roles.";
    REMOVE_MEMBER = Write Delete "/v1/pools/{pool}/members/{account}" ManageMembers "Ends a membership.";
    SUSPEND_MEMBER = Write Post "/v1/pools/{pool}/members/{account}/suspend" ManageMembers "Has a member do nothing until it is resumed; its place and what waits for it stay.";
    RESUME_MEMBER = Write Post "/v1/pools/{pool}/members/{account}/resume" ManageMembers "Has a suspended member go on.";
    GIVE_AWAY = Write Put "/v1/pools/{pool}/owner" GiveAway "Makes another member the owner in the caller's place.";
    LIST_TOKENS = Read Get "/v1/pools/{pool}/join-tokens" ManageMembers "The pool's join tokens, without their secrets.";
    REVOKE_TOKEN = Write Delete "/v1/pools/{pool}/join-tokens/{token}" ManageMembers "Has a join token be good no longer.";
    JOIN_DEVICE = Write Post "/v1/pools/{pool}/devices" JoinDevice "Redeems a join token without an account: makes one, joins, and signs it in.";
    ISSUE_TOKEN = Write Post "/v1/pools/{pool}/join-tokens" ManageMembers "Issues a join token; its secret is shown this once.";
    JOIN = Write Post "/v1/pools/{pool}/join" Join "Redeems a join token.";

    UPLOAD = Write Post "/v1/pools/{pool}/uploads" Upload "Sends one file as the body.";
    UPDATE = Write Post "/v1/pools/{pool}/updates" Upload "Sends many files with a time each, all or none (multipart/form-data).";
    READ_UPLOAD = Read Get "/v1/pools/{pool}/uploads/{upload}" ReadUpload "Where an upload is now.";
    RELEASE_UPLOAD = Write Post "/v1/pools/{pool}/uploads/{upload}/release" DecideHeld "Has a held file grouped, by its own time or another.";
    DISCARD_UPLOAD = Write Post "/v1/pools/{pool}/uploads/{upload}/discard" DecideHeld "Has a held file never be grouped.";
    RETRY_UPLOAD = Write Post "/v1/pools/{pool}/uploads/{upload}/retry" RetryUpload "Has an upload whose inspections could not be done inspected again; its sender may three times.";
    FETCH_UPLOAD = Read Get "/v1/pools/{pool}/uploads/{upload}/content" FetchUpload "An upload's bytes.";
    READ_HISTORY = Read Get "/v1/pools/{pool}/clients/{client}/history" ReadHistory "A client's uploads, newest first.";
    CLIENT_HISTORY = Read Get "/client/history/{client}" SignedIn "A client's uploads in all pools the caller may see, newest first.";

    FILE_UPLOAD = Write Post "/file/upload" SignedIn "Sends one file, as the body or in a form; for clients of earlier systems.";
    API_UPLOAD = Write Post "/api/upload" SignedIn "Sends one file, as the body or in a form; for clients of earlier systems.";

    LIST_BATCHES = Read Get "/v1/pools/{pool}/batches" ReadBatches "The pool's batches, newest first.";
    REQUEST_BATCH = Write Post "/v1/pools/{pool}/batches" RequestBatch "Makes a batch of all files of a range of time, beside the windows.";
    READ_BATCH = Read Get "/v1/pools/{pool}/batches/{batch}" ReadBatches "A batch with all its revisions.";
    READ_MANIFEST = Read Get "/v1/pools/{pool}/batches/{batch}/manifest" ReadBatches "The files of a batch, page by page.";
    FETCH_BATCH = Read Get "/v1/pools/{pool}/batches/{batch}/files" FetchBatchFiles "All files of a revision of a batch, in one tar archive.";
    FETCH_BATCH_FILE = Read Get "/v1/pools/{pool}/batches/{batch}/files/{upload}" FetchBatchFiles "The bytes of one file of a batch.";
    CLAIM = Write Post "/v1/pools/{pool}/claims" Work "Claims a batch to work on; waits for one if asked to.";
    RENEW = Write Post "/v1/pools/{pool}/batches/{batch}/renew" Work "Renews a lease.";
    FAIL = Write Post "/v1/pools/{pool}/batches/{batch}/fail" Work "Gives a batch back.";
    RETRY_BATCH = Write Post "/v1/pools/{pool}/batches/{batch}/retry" RetryBatch "Has a batch that was given up be worked on again.";
    OFFER_RESULT = Write Post "/v1/pools/{pool}/batches/{batch}/result" Work "Offers the one file computed from a revision, as the body.";

    LIST_RESULTS = Read Get "/v1/pools/{pool}/results" ReadResults "Results after a position, oldest first; or those the caller has not acknowledged.";
    LATEST_RESULT = Read Get "/v1/pools/{pool}/results/latest" ReadResults "The result of the greatest window, part and revision.";
    READ_RESULT = Read Get "/v1/pools/{pool}/results/{result}" ReadResults "One result.";
    FETCH_RESULT = Read Get "/v1/pools/{pool}/results/{result}/content" ReadResults "A result's bytes.";
    ACKNOWLEDGE = Write Post "/v1/pools/{pool}/results/{result}/ack" Acknowledge "Says that the caller has a result, and with which digest.";
    CORRECT_RESULT = Write Post "/v1/pools/{pool}/results/{result}/correct" DecideResults "Puts the file in the body in the place of a result; members get it as a result of its own.";
    WITHDRAW_RESULT = Write Post "/v1/pools/{pool}/results/{result}/withdraw" DecideResults "Has a result be given out no more.";
    REDELIVER = Write Post "/v1/pools/{pool}/redeliveries" DecideResults "Has results from a sequence number on be delivered once more, to a member or to all.";
    READ_DELIVERIES = Read Get "/v1/pools/{pool}/results/{result}/deliveries" ReadDeliveries "Who has a result, and who has not.";
    NOTICES = Read Get "/v1/pools/{pool}/notices" Listen "What happens in the pool, as it happens: server-sent events, or a WebSocket where one is asked for.";
    READ_NOTICES = Read Get "/v1/pools/{pool}/notices/page" Listen "Notices after an id, oldest first; waits for one if asked to.";

    MAKE_WEBHOOK = Write Post "/v1/pools/{pool}/webhooks" ManageWebhooks "Has notices sent to a target; the secret that signs them is shown this once.";
    LIST_WEBHOOKS = Read Get "/v1/pools/{pool}/webhooks" ManageWebhooks "The pool's webhooks, and how each fares.";
    REMOVE_WEBHOOK = Write Delete "/v1/pools/{pool}/webhooks/{webhook}" ManageWebhooks "Ends a webhook.";
    RENEW_WEBHOOK = Write Post "/v1/pools/{pool}/webhooks/{webhook}/secret" ManageWebhooks "Gives a webhook another secret, shown this once; the one before signs too for a day.";
    ENABLE_WEBHOOK = Write Post "/v1/pools/{pool}/webhooks/{webhook}/enable" ManageWebhooks "Has a webhook go on where it was, however it had ended.";
    DISABLE_WEBHOOK = Write Post "/v1/pools/{pool}/webhooks/{webhook}/disable" ManageWebhooks "Has a webhook send nothing until it is enabled.";

    READ_AUDIT = Read Get "/v1/pools/{pool}/audit" ReadAudit "What was done, asked or denied about the pool, newest first.";
    AUDIT = Read Get "/v1/admin/audit" Platform "The audit log: what was done, asked or denied, newest first.";
    ALL_FILES = Read Get "/v1/admin/files" Platform "The files of everyone, newest first.";
    SWEEP = Read Get "/v1/sweep" Platform "What sweeping would remove now.";

    ERRORS = Process Get "/docs/errors" Anyone "What each problem code means.";
    OPENAPI = Process Get "/openapi.json" Anyone "All routes, as OpenAPI 3.1.";
    DOCS = Process Get "/docs" Anyone "All routes, to read and to try.";
    DOCS_PART = Process Get "/docs/{part}" Anyone "The parts of that page.";
    LIVE = Process Get "/livez" Anyone "Whether the process runs.";
    READY = Process Get "/readyz" Anyone "Whether it can serve.";
    METRICS = Process Get "/metrics" Anyone "Metrics (OpenMetrics 1.0).";
}

/// Paths that no route may take: what is to be there is decided, and not there yet.
pub const RESERVED: &[&str] = &["/api/upload/{folder}"];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_routes_are_the_same() {
        let mut seen = BTreeSet::new();
        for route in ALL {
            assert!(seen.insert((format!("{:?}", route.method), route.path)), "{}", route.path);
            assert!(route.summary.ends_with('.'), "{}", route.path);
        }
    }

    #[test]
    fn what_changes_anything_is_audited_but_for_data() {
        let audited = |side, method| {
            let routes = ALL.iter().filter(move |it| it.side == side && it.method == method);
            let names = |audited| {
                let named = routes.clone().filter(|it| it.is_audited() == audited);
                named.map(Route::audit_name).collect::<Vec<_>>()
            };
            (names(true), names(false))
        };
        let (read, _) = audited(Side::Read, Method::Get);
        assert_eq!(read, ["audit", "all-files", "sweep"]);
        let (_, free) = audited(Side::Write, Method::Post);
        for data in ["upload", "update", "file-upload", "claim", "offer-result", "acknowledge"] {
            assert!(free.iter().any(|name| name == data), "{data}");
        }
        let (posted, _) = audited(Side::Write, Method::Post);
        for act in ["sign-up", "token", "join", "issue-token", "disable-account", "pause-pool"] {
            assert!(posted.iter().any(|name| name == act), "{act}");
        }
        for method in [Method::Put, Method::Delete] {
            assert_eq!(audited(Side::Write, method).1, Vec::<String>::new(), "{method:?}");
        }
    }

    #[test]
    fn what_is_reserved_is_free() {
        let reserved = |route: &&Route| {
            RESERVED.iter().any(|path| {
                let (stem, _) = path.split_once('{').unwrap();
                route.path.starts_with(stem)
            })
        };
        assert_eq!(ALL.iter().find(reserved), None);
    }

    #[test]
    fn every_act_within_a_pool_has_a_rule_and_a_route() {
        for route in ALL.iter().filter(|route| route.path.contains("{pool}")) {
            let ruled = RULES.iter().any(|rule| rule.act == route.act);
            assert!(
                ruled || [Act::Join, Act::JoinDevice].contains(&route.act),
                "{} has no rule",
                route.path
            );
        }
        for rule in RULES {
            assert!(ALL.iter().any(|route| route.act == rule.act), "{:?} has no route", rule.act);
        }
    }
}
