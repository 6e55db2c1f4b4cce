//! Tables, declared once: real columns, a partition key, a clustering order. A back end makes its
//! own DDL of the declaration, CQL or SQL, and speaks in cells.

use bytes::Bytes;
use uuid::Uuid;

use schemas::digest::Digest;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A UUID.
    Id,
    /// A signed 64-bit number.
    Int,
    /// Milliseconds since 1970.
    Time,
    /// UTF-8.
    Text,
    /// Bytes.
    Bytes,
    /// True or false.
    Bool,
}

/// One value of one column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// No value. Never in a key.
    Null,
    /// A UUID.
    Id(Uuid),
    /// A number.
    Int(i64),
    /// Milliseconds since 1970.
    Time(i64),
    /// Text.
    Text(Box<str>),
    /// Bytes.
    Bytes(Bytes),
    /// True or false.
    Bool(bool),
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// How rows of a partition are sorted by a clustering column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    Asc,
    /// Greatest first.
    Desc,
}

/// A table. Its columns in order: partition key, clustering columns, the rest.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static [Column],
    /// How many of them are the partition key.
    pub partition: usize,
    /// The order of the clustering columns, which follow.
    pub cluster: &'static [Order],
}

impl Table {
    /// How many columns are the primary key.
    pub fn key_len(&self) -> usize {
        self.partition + self.cluster.len()
    }
}

/// A cell was not what its column says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column} does not hold what it should")]
pub struct BadRow {
    /// The column.
    pub column: &'static str,
}

/// A row of a table, as a struct. Made by [`row!`](crate::row).
pub trait Row: Sized {
    /// The table.
    const TABLE: &'static Table;

    /// Appends its cells, in the table's order.
    fn put(self, out: &mut Vec<Cell>);

    /// Reads itself from its cells.
    fn take(from: &mut dyn Iterator<Item = Cell>) -> Result<Self, BadRow>;
}

/// A type that a column can hold.
pub trait Field: Sized {
    /// What the column holds.
    const KIND: Kind;

    /// The cell.
    fn cell(self) -> Cell;

    /// The value of the cell; `None` when it is of another kind or out of range.
    fn read(cell: Cell) -> Option<Self>;
}

impl<T: Field> Field for Option<T> {
    const KIND: Kind = T::KIND;
    fn cell(self) -> Cell {
        self.map_or(Cell::Null, Field::cell)
    }
    fn read(cell: Cell) -> Option<Self> {
        if cell == Cell::Null { Some(None) } else { T::read(cell).map(Some) }
    }
}

macro_rules! fields {
    ($($kind:ident { $($type:ty: |$value:ident| $cell:expr, |$read:ident| $back:expr;)* })*) => {$($(
        impl Field for $type {
            const KIND: Kind = Kind::$kind;
            fn cell(self) -> Cell {
                let $value = self;
                Cell::$kind($cell)
            }
            fn read(cell: Cell) -> Option<Self> {
                let Cell::$kind($read) = cell else { return None };
                $back
            }
        }
    )*)*};
}

macro_rules! plain_fields {
    (ids: $($id:ident)*; times: $($time:ident)*; names: $($name:ident)*;) => {
        fields! {
            Id { $(schemas::id::$id: |v| v.uuid(), |c| Some(Self::from_uuid(c));)* }
            Time { $(schemas::time::$time: |v| v.millis(), |c| Some(Self::from_millis(c));)* }
            Text { $(schemas::name::$name: |v| v.as_str().into(), |c| c.parse().ok();)* }
        }
    };
}

plain_fields! {
    ids: PoolId AccountId UploadId UpdateId BatchId ResultId ClaimId TokenId SessionId EventId ObjectId;
    times: ObservedAt SentAt ReceivedAt EffectiveAt StoredAt LogTime Wall;
    names: PoolName UserName FileName MediaType IdempotencyKey ObjectKey;
}

fields! {
    Int {
        i64: |v| v, |c| Some(c);
        u64: |v| v.cast_signed(), |c| Some(c.cast_unsigned());
        u32: |v| i64::from(v), |c| u32::try_from(c).ok();
    }
    Text {
        String: |v| v.into_boxed_str(), |c| Some(c.into_string());
        Box<str>: |v| v, |c| Some(c);
    }
    Bytes {
        Bytes: |v| v, |c| Some(c);
        Digest: |v| Bytes::copy_from_slice(v.bytes()),
            |c| <[u8; 32]>::try_from(c.as_ref()).ok().map(Digest::from_bytes);
    }
    Bool { bool: |v| v, |c| Some(c); }
}

/// Declares a row and its table:
/// `row! { /// doc
///   Name in "table" (partition: T, …; cluster: T = Desc, …) { other: T, … } }`.
#[macro_export]
macro_rules! row {
    ($(#[$doc:meta])* $name:ident in $table:literal
        ($($(#[$pdoc:meta])* $part:ident: $ptype:ty),+ $(; $($(#[$cdoc:meta])* $clus:ident: $ctype:ty = $order:ident),+)?)
        { $($(#[$fdoc:meta])* $field:ident: $ftype:ty),* $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(unreachable_pub, reason = "rows may be private to where they are declared")]
        pub struct $name {
            $($(#[$pdoc])* pub $part: $ptype,)+
            $($($(#[$cdoc])* pub $clus: $ctype,)+)?
            $($(#[$fdoc])* pub $field: $ftype,)*
        }

        impl $crate::table::Row for $name {
            const TABLE: &'static $crate::table::Table = &$crate::table::Table {
                name: $table,
                columns: &[
                    $($crate::row!(@column $part $ptype),)+
                    $($($crate::row!(@column $clus $ctype),)+)?
                    $($crate::row!(@column $field $ftype),)*
                ],
                partition: [$(stringify!($part)),+].len(),
                cluster: &[$($($crate::table::Order::$order),+)?],
            };

            fn put(self, out: &mut Vec<$crate::table::Cell>) {
                $(out.push($crate::table::Field::cell(self.$part));)+
                $($(out.push($crate::table::Field::cell(self.$clus));)+)?
                $(out.push($crate::table::Field::cell(self.$field));)*
            }

            fn take(
                from: &mut dyn Iterator<Item = $crate::table::Cell>,
            ) -> Result<Self, $crate::table::BadRow> {
                Ok(Self {
                    $($part: $crate::row!(@take from $part),)+
                    $($($clus: $crate::row!(@take from $clus),)+)?
                    $($field: $crate::row!(@take from $field),)*
                })
            }
        }
    };
    (@column $name:ident $type:ty) => {
        $crate::table::Column {
            name: stringify!($name),
            kind: <$type as $crate::table::Field>::KIND,
        }
    };
    (@take $from:ident $name:ident) => {
        $from
            .next()
            .and_then($crate::table::Field::read)
            .ok_or($crate::table::BadRow { column: stringify!($name) })?
    };
}

/// What to read: rows of one partition, in clustering order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The table.
    pub table: &'static Table,
    /// The whole partition key, then as many clustering columns as are to be equal.
    pub key: Vec<Cell>,
    /// Only rows after this one: its clustering columns beyond `key`.
    pub after: Option<Vec<Cell>>,
    /// At most so many rows. A back end may give fewer and say that there are more.
    pub limit: usize,
}

impl Scan {
    /// The rows of `R` whose key starts so.
    pub fn of<R: Row>(key: impl IntoIterator<Item = Cell>) -> Self {
        let key = key.into_iter().collect();
        Self { table: R::TABLE, key, after: None, limit: usize::MAX }
    }

    /// At most so many.
    pub fn limit(mut self, rows: usize) -> Self {
        self.limit = rows;
        self
    }

    /// Only those after this one.
    pub fn after(mut self, cells: Option<Vec<Cell>>) -> Self {
        self.after = cells;
        self
    }
}

/// Rows of a table, flat: each row is as many cells as the table has columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The cells of all rows.
    pub cells: Vec<Cell>,
    /// Whether there are more rows after these.
    pub more: bool,
}

impl Page {
    /// The rows as structs.
    pub fn rows<R: Row>(self) -> Result<Vec<R>, BadRow> {
        let count = self.cells.len() / R::TABLE.columns.len().max(1);
        let mut cells = self.cells.into_iter();
        (0..count).map(|_| R::take(&mut cells)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::id::{AccountId, UploadId};
    use schemas::time::LogTime;

    row! {
        /// A row to try.
        Tried in "tried" (client: AccountId, month: i64; at: LogTime = Desc, upload: UploadId = Asc) {
            size_bytes: u64,
            note: Option<String>,
        }
    }

    #[test]
    fn a_row_declares_its_table_and_survives_its_cells() {
        assert_eq!((Tried::TABLE.partition, Tried::TABLE.key_len()), (2, 4));
        assert_eq!(Tried::TABLE.columns[2], Column { name: "at", kind: Kind::Time });
        let row = Tried {
            client: AccountId::from_bits(1),
            month: 202_611,
            at: LogTime::from_millis(5),
            upload: UploadId::from_bits(2),
            size_bytes: u64::MAX,
            note: None,
        };
        let mut cells = Vec::new();
        row.clone().put(&mut cells);
        let page = Page { cells: cells.clone(), more: false };
        assert_eq!(page.rows::<Tried>(), Ok(vec![row]));
        cells[1] = Cell::Null;
        let page = Page { cells, more: false };
        assert_eq!(page.rows::<Tried>(), Err(BadRow { column: "month" }));
    }
}
