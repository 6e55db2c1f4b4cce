//! The one table that a run prints: Markdown, for docs/performance.md.

use crate::pairs::{Pair, Spread};

/// What is asked of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Asked {
    /// Of the ratio.
    RatioAtLeast(f64),
    /// Of the ratio.
    RatioAtMost(f64),
    /// Of our own figure.
    OursAtLeast(f64),
    /// Of our own figure.
    OursAtMost(f64),
    /// Told only.
    Nothing,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What is measured, and in what.
    pub(crate) what: String,
    pub(crate) floor: Option<Spread>,
    pub(crate) ours: Spread,
    /// Ours over the floor, pair by pair.
    pub(crate) ratio: Option<Spread>,
    pub(crate) asked: Asked,
}

impl Row {
    /// A figure that has a floor beside it.
    pub(crate) fn paired<T>(
        what: impl Into<String>,
        asked: Asked,
        pairs: &[Pair<T>],
        figure: impl Fn(&T) -> f64,
    ) -> Self {
        let ratio = pairs.iter().map(|pair| figure(&pair.ours) / figure(&pair.floor));
        Self {
            what: what.into(),
            floor: Some(Spread::of(pairs.iter().map(|pair| figure(&pair.floor)))),
            ours: Spread::of(pairs.iter().map(|pair| figure(&pair.ours))),
            ratio: Some(Spread::of(ratio)),
            asked,
        }
    }

    /// A figure that stands for itself.
    pub(crate) fn alone(
        what: impl Into<String>,
        asked: Asked,
        figures: impl IntoIterator<Item = f64>,
    ) -> Self {
        Self { what: what.into(), floor: None, ours: Spread::of(figures), ratio: None, asked }
    }

    /// Whether it is as asked; none when nothing is.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let ratio = self.ratio.map_or(f64::NAN, |ratio| ratio.median);
        Some(match self.asked {
            Asked::RatioAtLeast(least) => ratio >= least,
            Asked::RatioAtMost(most) => ratio <= most,
            Asked::OursAtLeast(least) => self.ours.median >= least,
            Asked::OursAtMost(most) => self.ours.median <= most,
            Asked::Nothing => return None,
        })
    }

    fn line(&self) -> String {
        let digits = |spread: &Spread| usize::from(spread.median < 100.0) * 2;
        let shown = |spread: Option<&Spread>| {
            spread.map_or_else(|| "–".to_owned(), |s| format!("{s:.*}", digits(s)))
        };
        let ratio = self.ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
        let asked = match self.asked {
            Asked::RatioAtLeast(least) => format!("≥ {least} ×"),
            Asked::RatioAtMost(most) => format!("≤ {most} ×"),
            Asked::OursAtLeast(least) => format!("≥ {least}"),
            Asked::OursAtMost(most) => format!("≤ {most}"),
            Asked::Nothing => "told".to_owned(),
        };
        let met = self.is_met().map_or("", |met| if met { "yes" } else { "**no**" });
        let (floor, ours) = (shown(self.floor.as_ref()), shown(Some(&self.ours)));
        format!("| {} | {floor} | {ours} | {ratio} | {asked} | {met} |", self.what)
    }
}

/// The table of all rows; each bar says once what limits it.
pub(crate) fn print(bars: &[(&str, &str, Vec<Row>)]) {
    say("| bar | floor | ours | ratio | asked | met |");
    say("|---|---|---|---|---|---|");
    for (name, _, rows) in bars {
        for row in rows {
            say(&row.line().replacen("| ", &format!("| {name}: "), 1));
        }
    }
    say("");
    for (name, limit, _) in bars {
        say(&format!("* {name}: {limit}"));
    }
}

#[allow(clippy::print_stdout, reason = "the table is this program's output")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_ratio_and_verdict() {
        let pairs = [Pair { floor: 100.0, ours: 80.0 }, Pair { floor: 200.0, ours: 120.0 }];
        let row = |asked| Row::paired("files/s", asked, &pairs, |figure| *figure);
        let met = row(Asked::RatioAtLeast(0.7));
        assert_eq!(
            met.line(),
            "| files/s | 150 [100–200] | 100 [80–120] | 0.70 [0.60–0.80] | ≥ 0.7 × | yes |"
        );
        assert_eq!(row(Asked::RatioAtLeast(0.71)).is_met(), Some(false));
        assert_eq!(row(Asked::RatioAtMost(0.7)).is_met(), Some(true));
        assert_eq!(row(Asked::OursAtLeast(101.0)).is_met(), Some(false));
        let alone = Row::alone("MiB", Asked::OursAtMost(10.0), [10.5]);
        assert_eq!(alone.line(), "| MiB | – | 10.50 [10.50–10.50] | – | ≤ 10 | **no** |");
    }
}
