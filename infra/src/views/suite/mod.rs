//! The duties of the views door as a suite: every back end runs it, and panics where it fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_imports,
    reason = "a suite is a test that other crates can run; its files share one set of tools"
)]

mod reading;
mod versions;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use schemas::id::{AccountId, UploadId};
use schemas::time::LogTime;
use schemas::topic::{Offset, Topic};
use uuid::Uuid;

use super::{Checkpoint, Error, View, ViewState, Views, Writes};
use crate::log::Position;
use crate::table::{BadRow, Cell, Row, Scan};

/// A back end under test.
#[async_trait]
pub trait Rig: Send {
    /// The tables.
    fn views(&self) -> Arc<dyn Views>;

    /// A version that was never made: of one view, or of another each time.
    fn fresh(&mut self) -> View;

    /// Ends it and begins anew on the same data, as after a restart.
    async fn reopen(&mut self);
}

/// Checks every duty. No duty depends on another.
pub async fn run(rig: &mut dyn Rig) {
    writing::rows_come_back_as_they_were(rig).await;
    writing::an_older_stamp_never_wins(rig).await;
    writing::a_range_may_be_repeated(rig).await;
    writing::a_bad_row_does_nothing(rig).await;
    writing::many_at_once_do_not_mix(rig).await;
    writing::what_was_applied_is_there_after_a_restart(rig).await;
    reading::pages_are_in_the_declared_order(rig).await;
    reading::a_bad_scan_is_told(rig).await;
    versions::a_checkpoint_is_of_one_version_and_topic(rig).await;
    versions::a_version_is_filled_beside_the_one_being_read(rig).await;
    versions::what_was_not_made_is_told(rig).await;
}

crate::row! {
    /// All kinds, in mixed orders.
    Mixed in "suite_mixed" (
        client: AccountId, month: i64;
        at: LogTime = Desc, name: String = Asc, part: u32 = Desc
    ) {
        upload: Option<UploadId>,
        bytes: Bytes,
        yes: Option<bool>,
        note: Option<String>,
        size_bytes: u64,
    }
}

crate::row! {
    /// One row per partition.
    Single in "suite_single" (id: AccountId) { text: String }
}

const CLIENT: AccountId = AccountId::from_bits(0xc11e_0000_0000_0000_0000_0000_0000_0001);

fn mixed(at: i64, name: &str, part: u32) -> Mixed {
    Mixed {
        client: CLIENT,
        month: 202_611,
        at: LogTime::from_millis(at),
        name: name.to_owned(),
        part,
        upload: Some(UploadId::from_bits(u128::from(part) << 100)),
        bytes: Bytes::from_static(b"\0\xff"),
        yes: Some(true),
        note: None,
        size_bytes: 1,
    }
}

fn single(id: u128, text: &str) -> Single {
    Single { id: AccountId::from_bits(id), text: text.to_owned() }
}

fn id(id: u128) -> Cell {
    Cell::Id(Uuid::from_u128(id))
}

fn topic() -> Topic {
    Topic::named("suite.events")
}

fn upto(next: Offset) -> Checkpoint {
    let position = Position { topic_id: Uuid::from_u128(7), next };
    Checkpoint { topic: topic(), position, pair: None, stamp_us: 5 }
}

/// So long may anything take. Only a failure waits for it.
const SOON: Duration = Duration::from_mins(1);

/// What comes of it, soon.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it takes too long")
}

/// A fresh version with both tables, being read.
async fn active(rig: &mut dyn Rig) -> View {
    let view = rig.fresh();
    let views = rig.views();
    for _ in 0..2 {
        soon(views.create(view, &[Mixed::TABLE, Single::TABLE])).await.unwrap();
    }
    soon(views.activate(view)).await.unwrap();
    view
}

async fn apply(rig: &dyn Rig, view: View, writes: Writes) {
    soon(rig.views().apply(view, writes, vec![upto(1)])).await.unwrap();
}

/// All rows of a scan, page by page.
async fn rows<R: Row>(rig: &dyn Rig, view: View, scan: Scan) -> Vec<R> {
    let page = soon(rig.views().page(view.name, scan)).await.unwrap();
    assert!(!page.more);
    page.rows().unwrap()
}

/// The text of a single row; `None` when it is not there.
async fn text(rig: &dyn Rig, view: View, of: u128) -> Option<String> {
    let rows: Vec<Single> = rows(rig, view, Scan::of::<Single>([id(of)])).await;
    assert!(rows.len() <= 1);
    rows.into_iter().next().map(|row| row.text)
}
