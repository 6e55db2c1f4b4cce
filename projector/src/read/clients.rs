//! The caller's API clients: from the directory, which every instance has in memory.

use axum::extract::State;
use infra::http::{Json, Refused};
use infra::identity::Caller;
use schemas::api::{ClientView, Page};

use super::Reading;

pub(super) async fn list(
    State(reading): State<Reading>,
    caller: Caller,
) -> Result<Json<Page<ClientView>>, Refused> {
    let directory = reading.access.directory();
    directory.catch_up().await?;
    let items = directory.read(|fold| {
        let view = |client_id| {
            let name = fold.account(client_id)?.name.clone();
            Some(ClientView { client_id, name, disabled: fold.is_disabled(client_id) })
        };
        fold.clients_of(caller.account).filter_map(view).collect()
    });
    Ok(Json(Page { items, next_cursor: None }))
}
