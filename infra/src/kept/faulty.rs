//! Kept tables that fail as planned.

use async_trait::async_trait;

use super::{Cells, Kept, Result};
use crate::faulty::Faulty;
use crate::table::{Cell, Page, Scan, Table};

#[async_trait]
impl Kept for Faulty<dyn Kept> {
    async fn create(&self, tables: &[&'static Table]) -> Result<()> {
        self.faults.write(self.inner.create(tables)).await
    }

    async fn insert_new(&self, row: Cells) -> Result<bool> {
        self.faults.write(self.inner.insert_new(row)).await
    }

    async fn put(&self, row: Cells) -> Result<()> {
        self.faults.write(self.inner.put(row)).await
    }

    async fn delete(&self, table: &'static Table, key: Vec<Cell>) -> Result<()> {
        self.faults.write(self.inner.delete(table, key)).await
    }

    async fn page(&self, scan: Scan) -> Result<Page> {
        self.faults.read(self.inner.page(scan)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::faulty::Plan;
    use crate::kept::SqliteKept;
    use crate::table::Row;

    crate::row! {
        /// A row.
        Counted in "counted" (n: i64) {}
    }

    #[tokio::test]
    async fn what_is_refused_may_have_happened() {
        let folder = tempfile::tempdir().unwrap();
        let inner = SqliteKept::open(&folder.path().join("kept.sqlite")).await.unwrap();
        let inner = Arc::new(inner);
        inner.create(&[Counted::TABLE]).await.unwrap();
        let plan = Plan { seed: 5, unknown_percent: 60, ..Plan::default() };
        let kept = Faulty::<dyn Kept>::new(inner.clone(), plan);
        let mut refused = [0, 0];
        for n in 0..100 {
            let told = kept.insert_new(Cells::of(Counted { n })).await;
            let scan = Scan::of::<Counted>([Cell::Int(n)]);
            let there = !inner.page(scan).await.unwrap().cells.is_empty();
            match told {
                Ok(new) => assert!(new && there),
                Err(error) => {
                    assert!(error.retryable(), "{error}");
                    refused[usize::from(there)] += 1;
                }
            }
        }
        assert!(refused[0] > 10 && refused[1] > 10, "{refused:?}");
    }
}
