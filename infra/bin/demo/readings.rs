//! What the buoys measure, and what the worker makes of it: real CSV both ways.

use std::fmt::Write as _;

use schemas::digest::Digest;
use schemas::file::FileRef;

/// Rows that differ; longer files repeat them.
const ROWS: u32 = 2_000;
const HEAD: &str = "second,height_m,water_c\n";

/// A file of waves of at least this length, another one for each seed.
pub(super) fn readings(seed: u32, size_bytes: usize) -> Vec<u8> {
    let phase = f64::from(seed);
    let mut rows = String::new();
    for second in 0..ROWS {
        let at = f64::from(second);
        let (height, water) = (1.5 + (at / 7.0 + phase).sin(), 12.0 + (at / 900.0 + phase).cos());
        writeln!(rows, "{second},{height:.3},{water:.2}").expect("a text grows");
    }
    let mut text = format!("{HEAD}{rows}");
    while text.len() < size_bytes {
        let rest = (size_bytes - text.len()).min(rows.len());
        // To the end of a row.
        let end = rows
            .get(rest..)
            .and_then(|rows| rows.find('\n'))
            .map_or(rows.len(), |at| rest + at + 1);
        text.push_str(rows.get(..end).unwrap_or_default());
    }
    text.into_bytes()
}

/// The head of a summary.
pub(super) const SUMMARY_HEAD: &str = "file,observed_at,bytes,sha256,rows,mean_height_m\n";

/// One file's row of a summary. What is no table of ours has no rows and no mean.
pub(super) fn summary_row(file: &FileRef, bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).ok().and_then(|text| text.strip_prefix(HEAD));
    let heights = text.unwrap_or_default().lines().filter_map(|line| line.split(',').nth(1));
    let heights: Vec<f64> = heights.filter_map(|cell| cell.parse().ok()).collect();
    let mean = match heights.len() {
        0 => String::new(),
        rows => format!("{:.4}", heights.iter().sum::<f64>() / rows as f64),
    };
    let name = file.name.as_str().replace('"', "\"\"");
    let (at, digest, rows) = (file.effective_at, Digest::of(bytes), heights.len());
    format!("\"{name}\",{at},{},{digest},{rows},{mean}\n", bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> FileRef {
        let id = "0199f3a2-5c1e-7d53-b0a4-3d2f0c7f9a11";
        let at = "2026-11-21T10:30:00.000Z";
        let value = serde_json::json!({
            "upload": id, "client": id, "name": name, "size_bytes": 1, "media_type": "text/csv",
            "sha256": Digest::of(b"x"), "object": "u/1/1", "received_at": at, "effective_at": at,
            "time_source": "client",
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn files_have_their_size_whole_rows_and_differ() {
        for size in [1, 100_000, 1_000_000] {
            let bytes = readings(1, size);
            assert!(bytes.len() >= size && bytes.ends_with(b"\n"), "{size}");
            assert!(bytes.len() < size.max(60_000) + 40, "{} for {size}", bytes.len());
        }
        assert_ne!(readings(1, 1_000), readings(2, 1_000));
    }

    #[test]
    fn a_row_of_the_summary_is_computed_from_the_bytes() {
        let bytes = b"second,height_m,water_c\n0,1.0,12\n1,2.0,12\n";
        let row = summary_row(&file("a \"b\".csv"), bytes);
        let digest = Digest::of(bytes);
        let at = "2026-11-21T10:30:00.000Z";
        assert_eq!(row, format!("\"a \"\"b\"\".csv\",{at},42,{digest},2,1.5000\n"));
        assert!(summary_row(&file("README.md"), b"# Sluice\n").ends_with(",0,\n"));
    }
}
