//! Where a list goes on, as text: opaque to clients, good after a rebuild of the tables.

use std::fmt;
use std::str::FromStr;

use infra::table::{Cell, Kind, Table};
use uuid::Uuid;

/// The last row of a page: its bucket and clustering columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) bucket: i64,
    pub(crate) after: Vec<Cell>,
}

/// The text was no cursor of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor that was given out here")]
pub(crate) struct NotACursor;

impl Cursor {
    /// The cursor of a list of this table's rows. It comes from outside: what it names must be the
    /// table's clustering columns, no more and of no other kinds.
    pub(crate) fn of(table: &Table, text: &str) -> Result<Self, NotACursor> {
        let cursor: Self = text.parse()?;
        let columns = table.columns.get(table.partition..table.key_len()).unwrap_or_default();
        let named = cursor.after.iter().map(kind);
        let same = named.eq(columns.iter().map(|column| Some(column.kind)));
        if same { Ok(cursor) } else { Err(NotACursor) }
    }
}

/// What a cell of a cursor holds; no list is clustered by other kinds.
fn kind(cell: &Cell) -> Option<Kind> {
    match cell {
        Cell::Id(_) => Some(Kind::Id),
        Cell::Int(_) => Some(Kind::Int),
        Cell::Time(_) => Some(Kind::Time),
        Cell::Null | Cell::Text(_) | Cell::Bytes(_) | Cell::Bool(_) => None,
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bucket)?;
        self.after.iter().try_for_each(|cell| match cell {
            Cell::Id(id) => write!(f, "_i{}", id.simple()),
            Cell::Int(int) => write!(f, "_n{int}"),
            Cell::Time(millis) => write!(f, "_t{millis}"),
            // No list is clustered by other kinds.
            Cell::Null | Cell::Text(_) | Cell::Bytes(_) | Cell::Bool(_) => Err(fmt::Error),
        })
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let mut parts = text.split('_');
        let bucket = parts.next().and_then(|bucket| bucket.parse().ok()).ok_or(NotACursor)?;
        let after: Option<Vec<Cell>> = parts.map(cell).collect();
        Ok(Self { bucket, after: after.ok_or(NotACursor)? })
    }
}

fn cell(text: &str) -> Option<Cell> {
    let (kind, value) = text.split_at_checked(1)?;
    match kind {
        "i" => Uuid::try_parse(value).ok().map(Cell::Id),
        "n" => value.parse().ok().map(Cell::Int),
        "t" => value.parse().ok().map(Cell::Time),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use infra::table::Row as _;
    use schemas::id::UploadId;
    use schemas::time::LogTime;

    #[test]
    fn text_and_back() {
        let after = vec![Cell::Time(-5), Cell::Int(7), Cell::Id(Uuid::from_u128(9))];
        let cursor = Cursor { bucket: 2_956, after };
        let text = cursor.to_string();
        assert_eq!(text, "2956_t-5_n7_i00000000000000000000000000000009");
        assert_eq!(text.parse(), Ok(cursor));
        for bad in ["", "x", "1_", "1_x5", "1_t", "1_i12"] {
            assert_eq!(bad.parse::<Cursor>(), Err(NotACursor), "{bad}");
        }
    }

    infra::row! {
        /// A row of a list.
        Listed in "listed" (week: i64; at: LogTime = Desc, upload: UploadId = Asc) { name: String }
    }

    #[test]
    fn a_cursor_names_the_columns_of_its_list() {
        let cursor = |text: &str| Cursor::of(Listed::TABLE, text);
        let id = "i00000000000000000000000000000009";
        assert_eq!(cursor(&format!("7_t5_{id}")).unwrap().bucket, 7);
        let kinds = format!("7_{id}_t5");
        let long = format!("7_t5_{id}_n1");
        for bad in ["7", "7_t5", "7_t5_n9", &kinds, &long, "nonsense"] {
            assert_eq!(cursor(bad), Err(NotACursor), "{bad}");
        }
    }
}
