//! CSV: a header and rows of cells, judged as they come, piece by piece. No more of the file is in
//! memory than one row.

use std::collections::HashSet;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use schemas::event::{FAULTS_NAMED_MAX, FaultCode, FileFaults, RowFault};
use schemas::policy::{CellKind, Column, Csv, OtherColumns};
use schemas::time::ObservedAt;

/// Most cells of a row.
const CELLS_MAX: usize = 10_000;

/// A file being judged by one inspection.
#[derive(Debug)]
pub(super) struct CsvCheck<'a> {
    rules: &'a Csv,
    reader: Reader,
    /// The row that is being read: its cells, and where each ends.
    cells: Vec<u8>,
    ends: Vec<usize>,
    filled: (usize, usize),
    /// For each column of the header what its cells are to be; once there was one.
    header: Option<Vec<Option<&'a Column>>>,
    rows: u64,
    count: u64,
    faults: Vec<RowFault>,
    /// Nothing that follows can be judged.
    over: bool,
}

impl<'a> CsvCheck<'a> {
    pub(super) fn new(rules: &'a Csv) -> Self {
        let delimiter = u8::try_from(rules.delimiter).unwrap_or(b',');
        Self {
            rules,
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            cells: vec![0; rules.row_bytes_max as usize],
            ends: vec![0; CELLS_MAX],
            filled: (0, 0),
            header: None,
            rows: 0,
            count: 0,
            faults: Vec::new(),
            over: false,
        }
    }

    /// The next bytes of the file.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.read(bytes);
        }
    }

    /// There are no more: what is wrong with it, if anything is.
    pub(super) fn end(mut self) -> Option<FileFaults> {
        // No bytes: that is how the reader is told of the end.
        self.read(&[]);
        if self.header.is_none() && !self.over {
            self.fault(1, None, "there is no header".into());
        }
        let Self { rules, rows, count, faults, .. } = self;
        let (inspection, code) = (rules.name.clone(), FaultCode::CsvInvalid);
        (count > 0).then_some(FileFaults { inspection, code, rows, count, faults })
    }

    fn read(&mut self, mut bytes: &[u8]) {
        while !self.over {
            let (cells, ends) = self.filled;
            let (result, read, wrote, ended) = self.reader.read_record(
                bytes,
                self.cells.get_mut(cells..).unwrap_or_default(),
                self.ends.get_mut(ends..).unwrap_or_default(),
            );
            bytes = bytes.get(read..).unwrap_or_default();
            self.filled = (cells + wrote, ends + ended);
            match result {
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return,
                ReadRecordResult::Record => {
                    self.row();
                    self.filled = (0, 0);
                }
                ReadRecordResult::OutputFull => {
                    let most = self.rules.row_bytes_max;
                    self.give_up(format!("more than {most} bytes"));
                }
                ReadRecordResult::OutputEndsFull => {
                    self.give_up(format!("more than {CELLS_MAX} cells"));
                }
            }
        }
    }

    fn give_up(&mut self, detail: String) {
        let row = if self.header.is_none() { 1 } else { self.rows + 2 };
        self.fault(row, None, detail);
        self.over = true;
    }

    fn fault(&mut self, row: u64, column: Option<usize>, detail: String) {
        self.count += 1;
        if self.faults.len() < FAULTS_NAMED_MAX {
            let column = column.and_then(|index| u32::try_from(index + 1).ok());
            self.faults.push(RowFault { row, column, detail: detail.into() });
        }
    }

    fn row(&mut self) {
        let (_, ends) = self.filled;
        let Some(header) = self.header.take() else { return self.header() };
        if self.rows >= self.rules.rows_max {
            let most = self.rules.rows_max;
            self.header = Some(header);
            return self.give_up(format!("more than {most} rows"));
        }
        self.rows += 1;
        let row = self.rows + 1;
        if ends == header.len() {
            let mut start = 0;
            for (index, column) in header.iter().enumerate() {
                let end = self.ends.get(index).copied().unwrap_or(start);
                let cell = self.cells.get(start..end).unwrap_or_default();
                start = end;
                let wrong = column.and_then(|column| Some((column, judge(column, cell)?)));
                if let Some((column, expected)) = wrong {
                    self.fault(row, Some(index), format!("{}: {expected}", column.name));
                }
            }
        } else {
            self.fault(row, None, format!("{ends} cells, the header has {}", header.len()));
        }
        self.header = Some(header);
    }

    /// The first row. Of a file whose header is wrong nothing more is judged.
    fn header(&mut self) {
        let (rules, (_, ends)) = (self.rules, self.filled);
        let (mut start, mut header, mut seen) = (0, Vec::with_capacity(ends), HashSet::new());
        let mut wrong = Vec::new();
        for (index, end) in self.ends.iter().take(ends).enumerate() {
            let name = self.cells.get(start..*end).unwrap_or_default();
            start = *end;
            let first = index == 0;
            let name =
                if first { name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(name) } else { name };
            let column = rules.columns.iter().find(|column| column.name.as_bytes() == name);
            match column {
                Some(column) if !seen.insert(&column.name) => {
                    wrong.push((Some(index), format!("{}: twice", column.name)));
                }
                None if rules.others == OtherColumns::Refuse => {
                    wrong.push((Some(index), "a column that is not expected".to_owned()));
                }
                _ => {}
            }
            header.push(column);
        }
        for column in &rules.columns {
            if column.required && !seen.contains(&column.name) {
                wrong.push((None, format!("{}: there is no such column", column.name)));
            }
        }
        self.over = !wrong.is_empty();
        for (index, detail) in wrong {
            self.fault(1, index, detail);
        }
        self.header = Some(header);
    }
}

/// What a cell is to be, if it is not.
fn judge(column: &Column, cell: &[u8]) -> Option<&'static str> {
    if cell.is_empty() {
        return column.required.then_some("not empty");
    }
    let text = std::str::from_utf8(cell);
    let (good, expected) = match column.kind {
        CellKind::Text => (text.is_ok(), "UTF-8"),
        CellKind::Integer => (text.is_ok_and(|it| it.parse::<i64>().is_ok()), "a whole number"),
        CellKind::Number => (text.is_ok_and(is_number), "a number"),
        CellKind::Boolean => {
            (text.is_ok_and(|it| ["true", "false", "1", "0"].contains(&it)), "true or false")
        }
        CellKind::Timestamp => {
            (text.is_ok_and(|it| it.parse::<ObservedAt>().is_ok()), "a time (RFC 3339)")
        }
    };
    (!good).then_some(expected)
}

/// Finite; `inf` and `nan` are read as numbers elsewhere.
fn is_number(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    starts && text.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: CellKind, required: bool) -> Column {
        Column { name: name.into(), kind, required }
    }

    fn rules() -> Csv {
        Csv {
            name: "readings".parse().unwrap(),
            media_types: Vec::new(),
            delimiter: ',',
            columns: vec![
                column("at", CellKind::Timestamp, true),
                column("count", CellKind::Integer, false),
                column("value", CellKind::Number, true),
                column("good", CellKind::Boolean, false),
                column("note", CellKind::Text, false),
            ],
            others: OtherColumns::Allow,
            rows_max: 1_000,
            row_bytes_max: 200,
        }
    }

    /// The faults, whatever the pieces the file comes in.
    fn faults(rules: &Csv, file: &[u8]) -> Option<FileFaults> {
        let judge = |piece_bytes: usize| {
            let mut check = CsvCheck::new(rules);
            for piece in file.chunks(piece_bytes) {
                check.take(piece);
            }
            check.end()
        };
        let whole = judge(file.len().max(1));
        for piece_bytes in [1, 2, 3, 7, 64] {
            assert_eq!(judge(piece_bytes), whole, "in pieces of {piece_bytes}");
        }
        whole
    }

    fn check(rules: &Csv, file: impl AsRef<[u8]>, expected: &[&str]) {
        let found = faults(rules, file.as_ref());
        let told: Vec<String> = found
            .iter()
            .flat_map(|found| &found.faults)
            .map(|fault| {
                let column = fault.column.map_or(String::new(), |column| format!(":{column}"));
                format!("{}{column} {}", fault.row, fault.detail)
            })
            .collect();
        assert_eq!(told, expected, "{:?}", String::from_utf8_lossy(file.as_ref()));
        assert_eq!(found.map_or(0, |found| found.count), expected.len() as u64);
    }

    const AT: &str = "2026-11-21T10:30:00Z";

    #[test]
    fn what_is_as_it_is_to_be_is_accepted() {
        let rules = rules();
        check(&rules, format!("at,value\n{AT},1.5\n{AT},-2e3\n"), &[]);
        check(&rules, format!("value,more,at\r\n.5,\"a \"\"b\"\",\n c\",{AT}\r\n"), &[]);
        check(&rules, format!("\u{feff}at,value,count,good,note\n{AT},+1,-7,true,Grüße\n"), &[]);
        check(&rules, format!("at,value,count,good,note\n{AT},1,,,"), &[]);
        check(&rules, "at,value\n", &[]);
        let semicolons = Csv { delimiter: ';', ..rules };
        check(&semicolons, format!("at;value\n{AT};1\n"), &[]);
    }

    #[test]
    fn each_fault_is_told_with_its_row_and_column() {
        let rules = rules();
        check(&rules, "", &["1 there is no header"]);
        check(&rules, "at\n1\n", &["1 value: there is no such column"]);
        check(&rules, "at,value,at\n", &["1:3 at: twice"]);
        check(
            &rules,
            format!("at,value,count,good\nnow,1,1,1\n{AT},nan,1.5,yes\n{AT},,x,0\n{AT}\n"),
            &[
                "2:1 at: a time (RFC 3339)",
                "3:2 value: a number",
                "3:3 count: a whole number",
                "3:4 good: true or false",
                "4:2 value: not empty",
                "4:3 count: a whole number",
                "5 1 cells, the header has 4",
            ],
        );
        let latin = [format!("at,value,note\n{AT},1,").as_bytes(), b"\xe9\n"].concat();
        check(&rules, latin, &["2:3 note: UTF-8"]);
        let strict = Csv { others: OtherColumns::Refuse, ..rules };
        check(&strict, "at,other,value\n", &["1:2 a column that is not expected"]);
    }

    #[test]
    fn a_file_is_held_to_its_bounds_and_so_is_the_report() {
        let rules = Csv { rows_max: 2, ..rules() };
        let row = format!("{AT},1\n");
        check(&rules, format!("at,value\n{}", row.repeat(2)), &[]);
        check(&rules, format!("at,value\n{}", row.repeat(9)), &["4 more than 2 rows"]);
        let long = format!("at,value,note\n{AT},1,{}\n{row}", "x".repeat(300));
        check(&rules, long, &["2 more than 200 bytes"]);
        check(&rules, format!("\"{}", "x\n".repeat(300)), &["1 more than 200 bytes"]);
        let wide = Csv { row_bytes_max: 100_000, ..rules };
        check(&wide, ",".repeat(20_000), &["1 more than 10000 cells"]);
        let many = Csv { rows_max: 1_000, ..wide };
        let found = faults(&many, format!("at,value\n{}", "x,1\n".repeat(500)).as_bytes());
        let found = found.unwrap();
        assert_eq!((found.faults.len(), found.count, found.rows), (100, 500, 500));
    }
}
