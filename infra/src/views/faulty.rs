//! Views that fail as planned.

use std::time::Duration;

use async_trait::async_trait;
use schemas::topic::Topic;

use super::{Checkpoint, Error, Result, View, ViewState, Views, Writes};
use crate::faulty::{Fault, Faulty, REASON};
use crate::table::{Page, Scan, Table};

impl Fault for Error {
    fn refused() -> Self {
        Self::Refused { reason: REASON.to_owned(), retry_after: Duration::ZERO }
    }

    /// This door has no other word for it: its calls may be repeated.
    fn unknown() -> Self {
        Self::refused()
    }
}

#[async_trait]
impl Views for Faulty<dyn Views> {
    async fn create(&self, view: View, tables: &[&'static Table]) -> Result<()> {
        self.faults.write(self.inner.create(view, tables)).await
    }

    async fn apply(&self, view: View, writes: Writes, upto: Vec<Checkpoint>) -> Result<()> {
        self.faults.write(self.inner.apply(view, writes, upto)).await
    }

    async fn state(&self, view: View, topic: &Topic) -> Result<ViewState> {
        self.faults.read(self.inner.state(view, topic)).await
    }

    async fn page(&self, view: &'static str, scan: Scan) -> Result<Page> {
        self.faults.read(self.inner.page(view, scan)).await
    }

    async fn activate(&self, view: View) -> Result<()> {
        self.faults.write(self.inner.activate(view)).await
    }

    async fn discard(&self, view: View) -> Result<()> {
        self.faults.write(self.inner.discard(view)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::faulty::Plan;
    use crate::log::Position;
    use crate::table::{Cell, Row};
    use crate::views::SqliteViews;

    crate::row! {
        /// A row.
        Counted in "counted" (id: i64; n: i64 = Asc) { by: i64 }
    }

    const VIEW: View = View { name: "test", version: 1 };

    /// Asks again until it is done; tells how often it was refused.
    async fn insist<T>(mut call: impl AsyncFnMut() -> Result<T>) -> (T, usize) {
        for refused in 0.. {
            match call().await {
                Ok(done) => return (done, refused),
                Err(error) => assert!(error.retryable(), "{error}"),
            }
        }
        unreachable!("it is done some time")
    }

    #[tokio::test]
    async fn who_insists_has_what_was_meant() {
        let folder = tempfile::tempdir().unwrap();
        let inner = SqliteViews::open(&folder.path().join("views.sqlite")).await.unwrap();
        let plan = Plan { seed: 3, refused_percent: 20, unknown_percent: 20, ..Plan::default() };
        let views = Faulty::<dyn Views>::new(Arc::new(inner), plan);
        insist(async || views.create(VIEW, &[Counted::TABLE]).await).await;
        insist(async || views.activate(VIEW).await).await;
        let mut refused = 0;
        for n in 0..50 {
            let mut writes = Writes::default();
            writes.upsert(Counted { id: 1, n, by: n * n }, n);
            let position = Position { topic_id: uuid::Uuid::nil(), next: n.unsigned_abs() };
            let topic = Topic::named("t");
            let upto = Checkpoint { topic, position, pair: None, stamp_us: n };
            let apply = async || views.apply(VIEW, writes.clone(), vec![upto.clone()]).await;
            refused += insist(apply).await.1;
        }
        assert!(refused > 10, "{refused}");
        let scan = Scan::of::<Counted>([Cell::Int(1)]);
        let (page, _) = insist(async || views.page(VIEW.name, scan.clone()).await).await;
        let rows: Vec<Counted> = page.rows().unwrap();
        assert!(rows.iter().map(|row| (row.n, row.by)).eq((0..50).map(|n| (n, n * n))));
    }
}
