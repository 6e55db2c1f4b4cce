//! Handlers: each parses its request, has the work done elsewhere, and replies.

mod accounts;
mod acks;
mod earlier;
mod headers;
mod held;
mod members;
mod oauth;
mod policy;
mod pools;
mod ranges;
mod reply;
mod uploads;
mod work;

use infra::http::Routes;
use schemas::route;

use crate::state::State;

/// Every route that changes something.
pub fn routes(state: State) -> Routes {
    Routes::new()
        .mount(route::SIGN_UP, accounts::sign_up)
        .mount(route::LOG_IN, accounts::log_in)
        .mount(route::LOG_OUT, accounts::log_out)
        .mount(route::VALIDATE, accounts::validate)
        .mount(route::TOKEN, oauth::token)
        .mount(route::KEYS, accounts::keys)
        .mount(route::CREATE_POOL, pools::create)
        .mount(route::CHANGE_POLICY, policy::change)
        .mount(route::CLOSE_WINDOW, pools::close_window)
        .mount(route::ADD_MEMBER, members::add)
        .mount(route::REMOVE_MEMBER, members::remove)
        .mount(route::ISSUE_TOKEN, members::issue_token)
        .mount(route::JOIN, members::join)
        .mount(route::UPLOAD, uploads::upload)
        .mount(route::UPDATE, uploads::update)
        .mount(route::RELEASE_UPLOAD, held::release)
        .mount(route::DISCARD_UPLOAD, held::discard)
        .mount(route::FILE_UPLOAD, earlier::upload)
        .mount(route::API_UPLOAD, earlier::upload)
        .mount(route::REQUEST_BATCH, ranges::request)
        .mount(route::CLAIM, work::claim)
        .mount(route::RENEW, work::renew)
        .mount(route::FAIL, work::fail)
        .mount(route::OFFER_RESULT, work::offer_result)
        .mount(route::ACKNOWLEDGE, acks::acknowledge)
        .with(state)
}
