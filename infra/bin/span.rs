//! Spans of time as people write them: 90s, 5m, 2h, 7d, 250ms.

use std::str::FromStr;

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) millis: u64,
}

/// The text was no span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a whole number and ms, s, m, h or d is expected, such as 5m")]
pub(crate) struct NotASpan;

impl FromStr for Span {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(NotASpan),
        };
        let number: u64 = number.parse().map_err(|_| NotASpan)?;
        Ok(Self { millis: number.checked_mul(millis).ok_or(NotASpan)? })
    }
}

/// Milliseconds as people say them: the largest unit that leaves a whole number.
pub(crate) fn spoken(millis: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let whole = units.into_iter().find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{millis}ms"), |(unit, name)| format!("{}{name}", millis / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (text, millis) in [("90s", 90_000), ("5m", 300_000), ("31d", 2_678_400_000), ("0ms", 0)]
        {
            assert_eq!(text.parse(), Ok(Span { millis }), "{text}");
        }
        for bad in [
            "",
            "5",
            "m",
            "-5m",
            "5 m",
            "1.5h",
            "5M",
            "99999999999999999999s",
            "999999999999999999d",
        ] {
            assert_eq!(bad.parse::<Span>(), Err(NotASpan), "{bad}");
        }
        for text in ["90s", "5m", "31d", "2h", "1500ms", "0ms"] {
            assert_eq!(spoken(text.parse::<Span>().unwrap().millis), text);
        }
    }
}
