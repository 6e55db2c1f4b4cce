//! Handlers mounted by the table of routes, so that none is forgotten and none is mounted twice.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use schemas::problem::Code;
use schemas::route::{self, Method, Route, Side};

use super::Refused;
use super::layers::{Around, around};

/// Handlers with the routes they answer.
#[derive(Debug)]
pub struct Routes<S = ()> {
    router: Router<S>,
    mounted: Vec<Route>,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// None yet.
    pub fn new() -> Self {
        Self { router: Router::new(), mounted: Vec::new() }
    }

    /// Has `handler` answer `route`.
    ///
    /// # Panics
    /// When the route has a handler already.
    pub fn mount<H, T>(mut self, route: Route, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.router = self.router.route(route.path, on(filter(route.method), handler));
        self.mounted.push(route);
        self
    }

    /// The routes that have a handler.
    pub fn mounted(&self) -> &[Route] {
        &self.mounted
    }

    /// Gives the handlers their state.
    pub fn with(self, state: S) -> Routes {
        Routes { router: self.router.with_state(state), mounted: self.mounted }
    }
}

impl Routes {
    /// These and the other side's.
    ///
    /// # Panics
    /// When both have a handler for one route.
    pub fn join(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.mounted.extend(other.mounted);
        self
    }

    /// The routes of `side` in the table that have no handler.
    pub fn missing(&self, side: Side) -> Vec<Route> {
        let of_side = route::ALL.iter().filter(|route| route.side == side);
        of_side.filter(|route| !self.mounted.contains(route)).copied().collect()
    }

    /// Ready to be served: whatever else is asked for is refused, and every request gets what all
    /// get.
    pub fn finish(self, with: Around) -> Router {
        self.router
            .fallback(async || Refused::from(Code::NotFound))
            .method_not_allowed_fallback(async || Refused::from(Code::MethodNotAllowed))
            .layer(axum::middleware::from_fn_with_state(with, around))
    }
}

fn filter(method: Method) -> MethodFilter {
    match method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Delete => MethodFilter::DELETE,
    }
}
