//! Handlers: each parses its request, has the work done elsewhere, and replies.

mod accounts;
mod acks;
mod clients;
mod devices;
mod earlier;
mod headers;
mod held;
mod life;
mod members;
mod oauth;
mod policy;
mod pools;
mod ranges;
mod reply;
mod results;
mod tokens;
mod uploads;
mod webhooks;
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
        .mount(route::MAKE_CLIENT, clients::make)
        .mount(route::RENEW_CLIENT, clients::renew)
        .mount(route::REVOKE_CLIENT, clients::revoke)
        .mount(route::DISABLE_ACCOUNT, clients::disable)
        .mount(route::ENABLE_ACCOUNT, clients::enable)
        .mount(route::CREATE_POOL, pools::create)
        .mount(route::CHANGE_POLICY, policy::change)
        .mount(route::CLOSE_WINDOW, pools::close_window)
        .mount(route::ADD_MEMBER, members::add)
        .mount(route::REMOVE_MEMBER, members::remove)
        .mount(route::SUSPEND_MEMBER, members::suspend)
        .mount(route::RESUME_MEMBER, members::resume)
        .mount(route::GIVE_AWAY, members::give_away)
        .mount(route::PAUSE_POOL, life::pause)
        .mount(route::RESUME_POOL, life::resume)
        .mount(route::ARCHIVE_POOL, life::archive)
        .mount(route::ISSUE_TOKEN, tokens::issue)
        .mount(route::REVOKE_TOKEN, tokens::revoke)
        .mount(route::JOIN, tokens::join)
        .mount(route::JOIN_DEVICE, devices::join)
        .mount(route::UPLOAD, uploads::upload)
        .mount(route::UPDATE, uploads::update)
        .mount(route::RELEASE_UPLOAD, held::release)
        .mount(route::DISCARD_UPLOAD, held::discard)
        .mount(route::RETRY_UPLOAD, held::retry)
        .mount(route::FILE_UPLOAD, earlier::upload)
        .mount(route::API_UPLOAD, earlier::upload)
        .mount(route::REQUEST_BATCH, ranges::request)
        .mount(route::CLAIM, work::claim)
        .mount(route::RENEW, work::renew)
        .mount(route::FAIL, work::fail)
        .mount(route::RETRY_BATCH, work::retry)
        .mount(route::OFFER_RESULT, work::offer_result)
        .mount(route::CORRECT_RESULT, results::correct)
        .mount(route::WITHDRAW_RESULT, results::withdraw)
        .mount(route::REDELIVER, results::redeliver)
        .mount(route::ACKNOWLEDGE, acks::acknowledge)
        .mount(route::MAKE_WEBHOOK, webhooks::make)
        .mount(route::REMOVE_WEBHOOK, webhooks::remove)
        .mount(route::RENEW_WEBHOOK, webhooks::renew)
        .mount(route::ENABLE_WEBHOOK, webhooks::enable)
        .mount(route::DISABLE_WEBHOOK, webhooks::disable)
        .with(state)
}
