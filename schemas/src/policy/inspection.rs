//! Inspections: what is looked at in a file before it may be grouped.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PolicyAsk;
use super::ask::Checks;
use crate::name::{InspectionName, MediaType};

/// Most inspections of a pool.
const INSPECTIONS_MAX: usize = 8;
/// Most columns of one.
const COLUMNS_MAX: usize = 1_000;
/// Longest name of a column, in bytes.
const COLUMN_BYTES_MAX: usize = 100;
/// Most rows of a file.
const ROWS_MAX: u64 = 1_000_000_000;
/// Longest row, in bytes.
const ROW_BYTES_MAX: u32 = 1_048_576;
/// Most media types of one.
const MEDIA_TYPES_MAX: usize = 100;

/// One inspection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Inspection {
    /// Rows of text with a header (RFC 4180).
    Csv(Csv),
}

/// What a CSV file is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Csv {
    /// What the inspection is called.
    pub name: InspectionName,
    /// Files of these media types are inspected.
    pub media_types: Vec<MediaType>,
    /// What stands between two cells: one ASCII character.
    pub delimiter: char,
    /// Its columns, in any order.
    pub columns: Vec<Column>,
    /// Columns beside them.
    pub others: OtherColumns,
    /// Most rows, the header not counted.
    pub rows_max: u64,
    /// Longest row, in bytes of its cells.
    pub row_bytes_max: u32,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// As it stands in the header.
    pub name: Box<str>,
    /// What its cells are.
    #[serde(rename = "type", default)]
    pub kind: CellKind,
    /// Whether it has to be there, with no cell empty.
    #[serde(default)]
    pub required: bool,
}

/// What a cell is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CellKind {
    /// UTF-8.
    #[default]
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// A finite number, such as `-1.5e3`.
    Number,
    /// `true`, `false`, `1` or `0`.
    Boolean,
    /// A moment (RFC 3339).
    Timestamp,
}

/// What is done about columns that the inspection does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OtherColumns {
    /// Their cells may be anything.
    #[default]
    Allow,
    /// There may be none.
    Refuse,
}

/// An inspection, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum InspectionAsk {
    /// Rows of text with a header (RFC 4180).
    Csv {
        /// What it is called. Default: `csv`.
        #[serde(default)]
        name: Option<InspectionName>,
        /// Default: `text/csv`.
        #[serde(default)]
        media_types: Option<Vec<MediaType>>,
        /// One ASCII character. Default: a comma.
        #[serde(default)]
        delimiter: Option<char>,
        /// At least one.
        columns: Vec<Column>,
        /// Default `allow`.
        #[serde(default)]
        others: Option<OtherColumns>,
        /// Default 10,000,000.
        #[serde(default)]
        rows_max: Option<u64>,
        /// Default 65,536.
        #[serde(default)]
        row_bytes_max: Option<u32>,
    },
}

impl Inspection {
    /// What it is called.
    pub fn name(&self) -> &InspectionName {
        match self {
            Self::Csv(csv) => &csv.name,
        }
    }

    /// Whether files of this type are inspected.
    pub fn is_for(&self, media_type: &MediaType) -> bool {
        match self {
            Self::Csv(csv) => csv.media_types.contains(media_type),
        }
    }
}

impl Checks {
    /// All of them; two of one name could not be told apart.
    pub(super) fn inspections(&mut self, ask: &PolicyAsk) -> Vec<Inspection> {
        let Some(asked) = &ask.inspections else { return Vec::new() };
        self.within("/inspections", asked.len(), 0, INSPECTIONS_MAX);
        let mut names = BTreeSet::new();
        let mut all = Vec::with_capacity(asked.len().min(INSPECTIONS_MAX));
        for asked in asked.iter().take(INSPECTIONS_MAX) {
            let inspection = self.inspection(asked);
            if !names.insert(inspection.name().clone()) {
                let detail = format!("two are called {}", inspection.name());
                self.fault("/inspections/name", detail);
            }
            all.push(inspection);
        }
        all
    }

    fn inspection(&mut self, asked: &InspectionAsk) -> Inspection {
        let InspectionAsk::Csv {
            name,
            media_types,
            delimiter,
            columns,
            others,
            rows_max,
            row_bytes_max,
        } = asked.clone();
        let csv = || "text/csv".parse().expect("it is a media type");
        let media_types = media_types.unwrap_or_else(|| vec![csv()]);
        self.within("/inspections/media_types", media_types.len(), 1, MEDIA_TYPES_MAX);
        let delimiter = delimiter.unwrap_or(',');
        if !delimiter.is_ascii() || "\"\r\n\0".contains(delimiter) {
            let detail = "one ASCII character that is no quotation mark or line break".into();
            self.fault("/inspections/delimiter", detail);
        }
        self.columns(&columns);
        let rows_max = rows_max.unwrap_or(10_000_000);
        let row_bytes_max = row_bytes_max.unwrap_or(65_536);
        Inspection::Csv(Csv {
            name: name.unwrap_or_else(|| "csv".parse().expect("it is a name")),
            media_types,
            delimiter,
            columns,
            others: others.unwrap_or_default(),
            rows_max: self.within("/inspections/rows_max", rows_max, 1, ROWS_MAX),
            row_bytes_max: self.within(
                "/inspections/row_bytes_max",
                row_bytes_max,
                1,
                ROW_BYTES_MAX,
            ),
        })
    }

    fn columns(&mut self, columns: &[Column]) {
        self.within("/inspections/columns", columns.len(), 1, COLUMNS_MAX);
        let mut names = BTreeSet::new();
        for Column { name, .. } in columns.iter().take(COLUMNS_MAX) {
            if name.is_empty()
                || name.len() > COLUMN_BYTES_MAX
                || name.chars().any(char::is_control)
            {
                let detail = format!("1 to {COLUMN_BYTES_MAX} bytes, no control characters");
                self.fault("/inspections/columns/name", detail);
            } else if !names.insert(name) {
                self.fault("/inspections/columns/name", format!("two are called {name:?}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Limits;

    fn resolve(json: &str) -> Result<Vec<Inspection>, Vec<&'static str>> {
        let ask: PolicyAsk = serde_json::from_str(json).unwrap();
        let resolved = ask.resolve(&Limits::default());
        let pointers = |faults: Vec<super::super::Fault>| {
            faults.into_iter().map(|fault| fault.pointer).collect()
        };
        resolved.map(|policy| policy.inspections).map_err(pointers)
    }

    #[test]
    fn an_inspection_is_written_out() {
        let json = r#"{"inspections":[{"kind":"csv","columns":[
            {"name":"at","type":"timestamp","required":true},{"name":"note"}]}]}"#;
        let all = resolve(json).unwrap();
        let [Inspection::Csv(csv)] = &all[..] else { panic!("{all:?}") };
        assert_eq!((csv.name.as_str(), csv.delimiter, csv.row_bytes_max), ("csv", ',', 65_536));
        assert_eq!(
            (csv.columns[0].kind, csv.columns[1].kind),
            (CellKind::Timestamp, CellKind::Text)
        );
        assert!(all[0].is_for(&"text/csv".parse().unwrap()));
        assert!(!all[0].is_for(&"text/plain".parse().unwrap()));
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Inspection>>(&text).unwrap(), all);
        assert_eq!(resolve("{}").unwrap(), []);
        let plain =
            serde_json::to_string(&PolicyAsk::default().resolve(&Limits::default()).unwrap());
        assert!(!plain.unwrap().contains("inspections"), "old logs fold as they did");
    }

    #[test]
    fn what_cannot_be_inspected_is_told() {
        let json = r#"{"inspections":[
            {"kind":"csv","columns":[],"delimiter":"\"","media_types":[],"rows_max":0},
            {"kind":"csv","columns":[{"name":"a"},{"name":"a"},{"name":""}],"row_bytes_max":0}]}"#;
        let expected = [
            "/inspections/media_types",
            "/inspections/delimiter",
            "/inspections/columns",
            "/inspections/rows_max",
            "/inspections/columns/name",
            "/inspections/columns/name",
            "/inspections/row_bytes_max",
            "/inspections/name",
        ];
        assert_eq!(resolve(json).unwrap_err(), expected);
        let one = r#"{"kind":"csv","columns":[{"name":"a"}]}"#;
        let many = format!("{{\"inspections\":[{}]}}", [one; 9].join(","));
        assert_eq!(resolve(&many).unwrap_err()[0], "/inspections");
        let unknown = r#"{"inspections":[{"kind":"xml"}]}"#;
        assert!(serde_json::from_str::<PolicyAsk>(unknown).is_err());
    }
}
