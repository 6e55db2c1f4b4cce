//! Where a list goes on, as text: opaque to clients, good after a rebuild of the tables.

use std::fmt;
use std::str::FromStr;

use infra::table::Cell;
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
}
