//! The signed-in caller, as handlers take it.

use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;
use schemas::problem::Code;

use super::{Access, Refused};
use crate::identity::Caller;

/// Refuses the request with 401 unless it has a good token.
impl<S> FromRequestParts<S> for Caller
where
    Access: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let caller = Access::from_ref(state).caller(&parts.headers).await?;
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

/// A caller who runs the installation.
#[derive(Clone, Debug)]
pub struct PlatformAdmin(pub Caller);

/// Refuses the request with 401 without a good token, with 403 of anyone but a platform admin.
impl<S> FromRequestParts<S> for PlatformAdmin
where
    Access: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let caller = Caller::from_request_parts(parts, state).await?;
        if caller.platform_admin {
            Ok(Self(caller))
        } else {
            Err(Refused::from(Code::Forbidden).detail("only a platform admin may"))
        }
    }
}
