//! The files of everyone: for platform admins.

use axum::extract::State;
use infra::http::{AskedPosition, Here, Listed, PlatformAdmin, Query, Refused};
use infra::table::{Cell, Field as _, Row};
use schemas::api::{FilesQuery, Page, UploadView};
use schemas::id::{AccountId, UploadId};
use schemas::name::PoolName;
use schemas::time::LogTime;

use super::walk::{Walk, Walker};
use super::{Paging, Reading};
use crate::project::{ClientFileRow, HistoryRow, PlacedFileRow, week_of};

pub(super) async fn files(
    State(reading): State<Reading>,
    PlatformAdmin(caller): PlatformAdmin,
    asked: AskedPosition,
    Query(query): Query<FilesQuery>,
    here: Here,
) -> Result<Listed<UploadView>, Refused> {
    reading.wait(&caller, asked).await?;
    Ok(here.lists(match query.user {
        Some(user) => reading.files_of(user, &query).await?,
        None => reading.files_of_all(&query).await?,
    }))
}

/// A file as the lists name it.
struct Place {
    pool: PoolName,
    client: AccountId,
    at: LogTime,
    upload: UploadId,
}

impl Reading {
    async fn files_of_all(&self, query: &FilesQuery) -> Result<Page<UploadView>, Refused> {
        let walk = self.walk_of::<PlacedFileRow>(query, vec![0_i64.cell()])?;
        let mut walker = Walker::<PlacedFileRow, _>::new(&self.tables, self.limits(), walk).await?;
        while let Some(rows) = walker.look().await? {
            let place = |row: PlacedFileRow| {
                let PlacedFileRow { pool, client, at, upload, .. } = row;
                Place { pool, client, at, upload }
            };
            let wanted = self.wanted(query, rows.into_iter().map(place).collect()).await?;
            walker.take(wanted);
        }
        let (items, next_cursor) = walker.end();
        Ok(Page { items, next_cursor })
    }

    async fn files_of(
        &self,
        client: AccountId,
        query: &FilesQuery,
    ) -> Result<Page<UploadView>, Refused> {
        let walk = self.walk_of::<ClientFileRow>(query, vec![client.cell()])?;
        let mut walker = Walker::<ClientFileRow, _>::new(&self.tables, self.limits(), walk).await?;
        while let Some(rows) = walker.look().await? {
            let place = |row: ClientFileRow| {
                let ClientFileRow { pool, client, at, upload, .. } = row;
                Place { pool, client, at, upload }
            };
            let wanted = self.wanted(query, rows.into_iter().map(place).collect()).await?;
            walker.take(wanted);
        }
        let (items, next_cursor) = walker.end();
        Ok(Page { items, next_cursor })
    }

    fn walk_of<R: Row>(&self, query: &FilesQuery, key: Vec<Cell>) -> Result<Walk, Refused> {
        let paging = Paging { cursor: query.cursor.clone(), limit: query.limit };
        let (cursor, limit) = (paging.cursor::<R>()?, paging.limit(self.limits()));
        Ok(Walk { key, from: query.from, to: query.to, cursor, limit })
    }

    /// Each file as it is shown, unless the query does not want it.
    async fn wanted(
        &self,
        query: &FilesQuery,
        places: Vec<Place>,
    ) -> Result<Vec<Option<UploadView>>, Refused> {
        let mut rows = Vec::new();
        let mut wanted = vec![false; places.len()];
        for (place, wanted) in places.into_iter().zip(&mut wanted) {
            if query.pool.as_ref().is_some_and(|pool| *pool != place.pool) {
                continue;
            }
            let Place { pool, client, at, upload } = place;
            let week = week_of(at.millis());
            let key = [pool.cell(), client.cell(), week.cell(), at.cell(), upload.cell()];
            // The tables of one pool are written together, but not at once.
            if let Some(row) = self.tables.one::<HistoryRow>(key).await? {
                rows.push(row);
                *wanted = true;
            }
        }
        let mut views = self.views_of(rows).await?.into_iter();
        let has_status = |view: &UploadView| query.status.is_none_or(|asked| asked == view.state);
        let each = |wanted: bool| if wanted { views.next().filter(has_status) } else { None };
        Ok(wanted.into_iter().map(each).collect())
    }
}
