//! What stands between a request and its handler, tried without sockets, and the server with them.

mod access;
mod around;
mod audit;
mod docs;
mod rates;
mod sockets;
mod tls;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::FromRef;
use axum::response::Response;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use schemas::id::AccountId;
use serde_json::Value;
use tower::ServiceExt;

use super::layers::Around;
use super::{Access, Routes};
use crate::directory::Directory;
use crate::fakes::Installation;
use crate::identity::{Identity, Proof};

/// What a side's handlers would have.
#[derive(Clone, Debug)]
struct State {
    access: Access,
}

impl FromRef<State> for Access {
    fn from_ref(state: &State) -> Self {
        state.access.clone()
    }
}

/// One instance of an installation.
struct Instance {
    installation: Installation,
    access: Access,
}

impl Instance {
    async fn new() -> Self {
        let mut installation = Installation::new().await;
        installation.limits.json_bytes_max = 100;
        let directory = installation.directory().await;
        let identity = installation.identity_on(directory.clone()).await;
        let limits = Arc::new(installation.limits.clone());
        Self { access: Access::new(identity, directory, limits), installation }
    }

    fn directory(&self) -> &Arc<Directory> {
        self.access.directory()
    }

    /// The routes as they are served.
    fn router(&self, routes: Routes<State>) -> Router {
        let state = State { access: self.access.clone() };
        routes.with(state).finish(self.around())
    }

    fn around(&self) -> Around {
        Around::new(&self.installation.metrics, self.installation.clock.clone())
    }

    /// A new account, signed in.
    async fn account(&self, name: &str) -> (AccountId, String) {
        let identity = self.access.identity();
        let name: schemas::name::UserName = name.parse().unwrap();
        identity.enrol(name.clone(), "correct horse".into()).await.unwrap();
        let proof = Proof::Password { name, password: "correct horse".into() };
        let token = identity.sign_in(proof).await.unwrap();
        (token.caller.account, token.access_token.expose().to_owned())
    }
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn by(bearer: &str, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert(AUTHORIZATION, format!("Bearer {bearer}").parse().unwrap());
    request
}

fn post_json(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path).header(CONTENT_TYPE, "application/json").body(body.into()).unwrap()
}

async fn ask(router: &Router, request: Request<Body>) -> Response {
    router.clone().oneshot(request).await.unwrap()
}

/// The status and the JSON of an answer.
async fn told(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

/// The status and the problem code of an answer.
async fn refused(response: Response) -> (u16, String) {
    let (status, body) = told(response).await;
    assert_eq!(body["status"], status.as_u16(), "{body}");
    (status.as_u16(), body["code"].as_str().unwrap().to_owned())
}
