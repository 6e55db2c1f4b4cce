//! A pool's policy: replaced by its owner or an admin, as the version they have read.

use axum::extract;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, IF_MATCH};
use http::{HeaderMap, StatusCode};
use infra::http::{Json, Path, Refused};
use infra::identity::Caller;
use schemas::api::PolicyView;
use schemas::event::{Derived, PolicyChangeRequested};
use schemas::name::PoolName;
use schemas::policy::{Fault, PolicyAsk};
use schemas::problem::{Code, FieldError};
use schemas::route;

use super::reply::{pending, position};
use crate::ask::{Asked, Topics};
use crate::error::Error;
use crate::state::State;

pub(super) async fn change(
    extract::State(state): extract::State<State>,
    caller: Caller,
    headers: HeaderMap,
    Path(pool): Path<PoolName>,
    Json(ask): Json<PolicyAsk>,
) -> Result<Response, Refused> {
    let allowed = state.access.allow(&caller, &route::CHANGE_POLICY, &pool).await?;
    let known = allowed.pool.policy.as_ref().map_or(0, |policy| policy.version);
    let if_version = version_to_replace(&headers, known)?;
    let policy = ask.resolve(&state.limits).map_err(|faults| invalid_policy("", &faults))?;
    let ask = PolicyChangeRequested { by: caller.account, if_version, policy: Box::new(policy) };
    let place = format!("/v1/pools/{pool}/policy");
    let (offset, heard) = match state.ask(&Topics::of(&allowed.pool)?, ask).await? {
        Asked::Yes { offset, heard } => (offset, heard),
        Asked::Pending { offset } => return Ok(pending(&pool, offset, place)),
    };
    let Derived::PolicyChanged(changed) = &heard.body else {
        return Err(Error::Broken("a policy was answered with something else").into());
    };
    // Shown here, it rules what this instance lets in from its next request on.
    let version = changed.version;
    let shown = state.shows(|fold| {
        let policy = fold.pool(&pool).and_then(|pool| pool.policy.as_ref());
        policy.is_some_and(|policy| policy.version >= version)
    });
    if !shown.await {
        return Ok(pending(&pool, offset, place));
    }
    let view = PolicyView {
        version,
        effective_from: changed.effective_from,
        before: changed.before.as_ref().map(|before| before.version),
        policy: changed.policy.clone(),
    };
    let tag = [(ETAG, format!("\"{version}\""))];
    Ok((StatusCode::OK, position(&pool, offset), tag, Json(view)).into_response())
}

/// The version that `If-Match` names; `None` for any. Of several, the one we know to be the
/// newest. What names no version matches none (RFC 9110, section 13.1.1).
fn version_to_replace(headers: &HeaderMap, known: u32) -> Result<Option<u32>, Refused> {
    let mut tags = Vec::new();
    for value in headers.get_all(IF_MATCH) {
        tags.extend(value.to_str().unwrap_or_default().split(',').map(str::trim));
    }
    if tags.is_empty() {
        return Err(Code::IfMatchRequired.into());
    }
    if tags.contains(&"*") {
        return Ok(None);
    }
    let version = |tag: &&str| tag.strip_prefix('"')?.strip_suffix('"')?.parse::<u32>().ok();
    let versions: Vec<u32> = tags.iter().filter_map(version).collect();
    let named = versions.iter().find(|version| **version == known).or(versions.first());
    named.copied().map(Some).ok_or_else(|| Code::PolicyStale.into())
}

/// All that is wrong with a policy that stands at this place of the body.
pub(super) fn invalid_policy(at: &str, faults: &[Fault]) -> Refused {
    let fault = |fault: &Fault| FieldError {
        pointer: format!("{at}{}", fault.pointer),
        detail: fault.detail.clone(),
        code: None,
    };
    Refused::from(Code::InvalidField).errors(faults.iter().map(fault).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_names_a_version() {
        let check = |values: &[&str], expected: Result<Option<u32>, Code>| {
            let headers = values.iter().map(|value| (IF_MATCH, value.parse().unwrap())).collect();
            let named = version_to_replace(&headers, 3).map_err(|refused| refused.code());
            assert_eq!(named, expected, "{values:?}");
        };
        check(&[], Err(Code::IfMatchRequired));
        check(&["*"], Ok(None));
        check(&["\"3\""], Ok(Some(3)));
        check(&["\"2\""], Ok(Some(2)));
        check(&["\"2\", \"3\""], Ok(Some(3)));
        check(&["\"2\"", "\"3\""], Ok(Some(3)));
        check(&["W/\"3\""], Err(Code::PolicyStale));
        check(&["3"], Err(Code::PolicyStale));
        check(&["\"3\"x"], Err(Code::PolicyStale));
    }
}
