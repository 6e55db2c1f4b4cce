//! What commands print: tables for people, JSON for programs, notes on standard error.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

/// Prints for people or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Printer {
    /// Tables and sentences.
    Human {
        /// Without notes.
        quiet: bool,
    },
    /// One object per line.
    Json,
}

impl Printer {
    pub(crate) fn is_json(self) -> bool {
        self == Self::Json
    }

    /// One object; `text` is what people see of it.
    pub(crate) fn object<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        self.object_to(&mut io::stdout().lock(), value, text)
    }

    /// A list; `row` is what people see of each.
    pub(crate) fn rows<T: Serialize, const N: usize>(
        self,
        heads: [&str; N],
        items: &[T],
        row: impl Fn(&T) -> [String; N],
    ) -> anyhow::Result<()> {
        self.rows_to(&mut io::stdout().lock(), heads, items, row)
    }

    /// Says something that is not data, to people.
    pub(crate) fn note(self, text: &str) {
        if self == (Self::Human { quiet: false }) {
            say(text);
        }
    }

    fn object_to<T: Serialize>(
        self,
        to: &mut impl Write,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        match self {
            Self::Json => line(to, value),
            Self::Human { .. } => Ok(writeln!(to, "{}", clean(&text(value)))?),
        }
    }

    fn rows_to<T: Serialize, const N: usize>(
        self,
        to: &mut impl Write,
        heads: [&str; N],
        items: &[T],
        row: impl Fn(&T) -> [String; N],
    ) -> anyhow::Result<()> {
        match self {
            Self::Json => items.iter().try_for_each(|item| line(to, item)),
            Self::Human { .. } if items.is_empty() => Ok(()),
            Self::Human { .. } => {
                let mut table = Table::new();
                table.load_style(comfy_table::presets::NOTHING);
                table.set_content_arrangement(ContentArrangement::Dynamic);
                table.set_header(heads.map(str::to_uppercase));
                table.add_rows(items.iter().map(|item| row(item).map(|cell| clean(&cell))));
                Ok(writeln!(to, "{}", table.trim_fmt())?)
            }
        }
    }
}

/// Says something that is not data, to whoever listens. Nobody may: that is no error.
pub(crate) fn say(text: &str) {
    _ = writeln!(io::stderr().lock(), "{text}");
}

fn line(to: &mut impl Write, value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string(value)?;
    Ok(writeln!(to, "{text}")?)
}

/// Names and reasons come from strangers: what would steer a terminal is shown as a mark.
pub(crate) fn clean(text: &str) -> String {
    let harmless = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
    text.chars().map(harmless).collect()
}

/// Bytes, for people.
pub(crate) fn bytes(count: u64) -> String {
    indicatif::DecimalBytes(count).to_string()
}

/// What is there, or a dash.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A kebab word of an enum that is one in JSON.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUMAN: Printer = Printer::Human { quiet: false };

    #[derive(Serialize)]
    struct Thing {
        name: &'static str,
        size: u64,
    }

    const THINGS: [Thing; 2] =
        [Thing { name: "a\u{1b}[31m", size: 1_500 }, Thing { name: "b", size: 2 }];

    fn rows(printer: Printer, things: &[Thing]) -> String {
        let mut out = Vec::new();
        let row = |thing: &Thing| [thing.name.to_owned(), bytes(thing.size)];
        printer.rows_to(&mut out, ["name", "size"], things, row).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_is_one_object_per_line() {
        let expected = "{\"name\":\"a\\u001b[31m\",\"size\":1500}\n{\"name\":\"b\",\"size\":2}\n";
        assert_eq!(rows(Printer::Json, &THINGS), expected);
        assert_eq!(rows(Printer::Json, &[]), "");
    }

    #[test]
    fn a_table_has_heads_and_nothing_that_steers_a_terminal() {
        let text = rows(HUMAN, &THINGS);
        let lines: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["NAME", "SIZE"]);
        assert_eq!(lines[1], ["a\u{fffd}[31m", "1.50", "kB"]);
        assert_eq!((lines[2][0], lines.len()), ("b", 3));
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert_eq!(rows(HUMAN, &[]), "");
    }

    #[test]
    fn an_object_is_a_line_or_a_text() {
        let print = |printer: Printer| {
            let mut out = Vec::new();
            printer
                .object_to(&mut out, &THINGS[1], |thing| format!("{} it is", thing.name))
                .unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(print(Printer::Json), "{\"name\":\"b\",\"size\":2}\n");
        assert_eq!(print(HUMAN), "b it is\n");
    }

    #[test]
    fn words() {
        assert_eq!(word(&schemas::api::UploadState::Accepted), "accepted");
        assert_eq!(or_dash(Some(3)), "3");
        assert_eq!(or_dash(None::<u32>), "-");
    }
}
