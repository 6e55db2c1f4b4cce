//! Held files, and who decides on them.

use infra::blobs::{Blobs as _, Stale};

use super::uploads::{Scene, Sending};
use super::*;

#[tokio::test]
async fn held_files_are_for_admins_to_decide_on() {
    let world = World::new().await;
    let here = world.instance().await;
    let (pool, owner) = here.pool("north-sea", json!({})).await;
    let sender = here.member(&pool, &owner, "buoy", "contributor").await;
    let upload = "0199f3a2-5c1e-7d53-b0a4-000000000005";
    let [release, discard] =
        ["release", "discard"].map(|act| format!("/v1/pools/{pool}/uploads/{upload}/{act}"));
    for path in [&release, &discard] {
        assert_eq!(here.post(path, &sender, json!({})).await.refused(), (403, "forbidden"));
    }
    assert_eq!(here.post(&release, &owner, json!({})).await.refused(), (404, "not-found"));
    assert_eq!(here.post(&discard, &owner, json!({})).await.refused(), (409, "not-held"));
    let wrong = here.post(&release, &owner, json!({ "effective_at": "soon" })).await;
    assert_eq!(wrong.status.as_u16() / 100, 4, "{wrong:?}");
}

#[tokio::test]
async fn a_file_is_released_only_while_its_bytes_are_there() {
    let scene = Scene::plain().await;
    assert_eq!(scene.send(Sending::of("12,7")).await.status, StatusCode::CREATED);
    let file = scene.files().await.remove(0);
    scene.world.tables.tell(|rows| _ = rows.uploads.insert(file.upload, file.clone()));
    let path = format!("/v1/pools/{}/uploads/{}/release", scene.pool, file.upload);
    let release = async || scene.here.post(&path, &scene.owner, json!({})).await;
    assert_eq!(release().await.refused(), (409, "not-held"), "the fold is asked");
    let put_at = Wall::from_millis(0);
    scene.world.blobs.remove(Stale::Object { key: file.object, put_at }).await.unwrap();
    assert_eq!(release().await.refused(), (409, "bytes-missing"));
}
