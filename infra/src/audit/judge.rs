//! Whether an answer is for the audit log, and as what. Pure.

use schemas::event::AuditOutcome;
use schemas::problem::Code;
use schemas::route::Route;

use super::trail::Notes;

/// What the audit log is told: what became of an act, and why it was denied.
pub(super) type Verdict = (AuditOutcome, Option<&'static str>);

/// What an answer with this status, and this problem if it is one, means for the audit log.
pub(super) fn judge(
    route: &Route,
    notes: &Notes,
    status: u16,
    code: Option<Code>,
) -> Option<Verdict> {
    match status {
        ..400 if notes.unremarkable => None,
        202 if route.is_audited() => Some((AuditOutcome::Asked, None)),
        ..400 => (route.is_audited() || notes.over_others).then_some((AuditOutcome::Done, None)),
        400..500 => {
            let reason = notes.reason.or_else(|| denial(code?, notes));
            reason.map(|reason| (AuditOutcome::Denied, Some(reason)))
        }
        _ => {
            let doubtful = matches!(code, Some(Code::OutcomeUnknown | Code::Internal));
            let act = route.is_audited() && notes.actor.is_some();
            (doubtful && act).then_some((AuditOutcome::Unknown, None))
        }
    }
}

/// The reason, when a refusal with this code is one of rights, and not of form or state.
fn denial(code: Code, notes: &Notes) -> Option<&'static str> {
    let denied = match code {
        // What is not there is no denial; what is hidden is.
        Code::NotFound => notes.hidden,
        // Whose it was is known of a token of ours only: a session that has ended.
        Code::InvalidToken => notes.names_someone(),
        Code::InvalidCredentials | Code::TokenRevoked | Code::TokenExpired | Code::TokenUsedUp => {
            true
        }
        Code::PoolQuotaExceeded | Code::MemberQuotaExceeded => false,
        other => other.status() == 403,
    };
    denied.then(|| code.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Code::{Forbidden, Internal, InvalidToken, NotFound, OutcomeUnknown, Unavailable};
    use schemas::id::AccountId;
    use schemas::route;

    #[test]
    fn what_is_for_the_audit_log() {
        let nobody = Notes::default();
        let somebody = Notes { actor: Some(AccountId::from_bits(1)), ..Notes::default() };
        let hidden = Notes { hidden: true, ..somebody.clone() };
        let over_others = Notes { over_others: true, ..somebody.clone() };
        let refreshed = Notes { unremarkable: true, ..somebody.clone() };
        let stolen = Notes { reason: Some("refresh-reused"), ..Notes::default() };
        let check = |route, notes: &Notes, status, code, expected: Option<&str>| {
            let verdict = judge(&route, notes, status, code).map(|(outcome, reason)| {
                reason.map_or_else(|| format!("{outcome:?}"), |why| format!("{outcome:?} {why}"))
            });
            assert_eq!(verdict.as_deref(), expected, "{} {status} {code:?}", route.path);
        };
        check(route::LOG_IN, &somebody, 200, None, Some("Done"));
        check(route::TOKEN, &refreshed, 200, None, None);
        check(route::TOKEN, &stolen, 400, None, Some("Denied refresh-reused"));
        check(route::TOKEN, &nobody, 400, None, None);
        let wrong = Some(Code::InvalidCredentials);
        check(route::LOG_IN, &nobody, 401, wrong, Some("Denied invalid-credentials"));
        check(route::LOG_IN, &nobody, 401, Some(Code::NotSignedIn), None);
        check(route::PAUSE_POOL, &somebody, 204, None, Some("Done"));
        check(route::PAUSE_POOL, &somebody, 202, None, Some("Asked"));
        check(route::PAUSE_POOL, &somebody, 503, Some(OutcomeUnknown), Some("Unknown"));
        check(route::PAUSE_POOL, &somebody, 500, Some(Internal), Some("Unknown"));
        check(route::PAUSE_POOL, &somebody, 503, Some(Unavailable), None);
        check(route::PAUSE_POOL, &somebody, 422, Some(Code::InvalidField), None);
        check(route::UPLOAD, &somebody, 201, None, None);
        check(route::UPLOAD, &somebody, 403, Some(Forbidden), Some("Denied forbidden"));
        check(route::UPLOAD, &somebody, 403, Some(Code::PoolQuotaExceeded), None);
        check(route::READ_POOL, &somebody, 200, None, None);
        check(route::READ_POOL, &over_others, 200, None, Some("Done"));
        check(route::READ_POOL, &hidden, 404, Some(NotFound), Some("Denied not-found"));
        check(route::READ_POOL, &somebody, 404, Some(NotFound), None);
        check(route::READ_POOL, &somebody, 401, Some(InvalidToken), Some("Denied invalid-token"));
        check(route::READ_POOL, &nobody, 401, Some(InvalidToken), None);
        check(route::JOIN, &somebody, 409, Some(Code::TokenUsedUp), Some("Denied token-used-up"));
        check(route::DISABLE_ACCOUNT, &somebody, 204, None, Some("Done"));
    }
}
