//! Pairs: a floor and ours, measured one after the other, again and again; what is told is their
//! ratio.

use std::fmt;

/// The middle and the ends of some figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one figure.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let (last, half) = (sorted.len().saturating_sub(1), sorted.len() / 2);
        let median = if sorted.len() % 2 == 1 {
            at(half)
        } else {
            f64::midpoint(at(half.saturating_sub(1)), at(half))
        };
        Self { median, min: at(0), max: at(last) }
    }
}

/// So that `{:.2}` prints all three alike.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { median, min, max } = self;
        write!(f, "{median:.digits$} [{min:.digits$}–{max:.digits$}]")
    }
}

/// One measurement of each, beside each other in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<T> {
    pub(crate) floor: T,
    pub(crate) ours: T,
}

/// Measures so many pairs; which of the two goes first changes from pair to pair.
pub(crate) fn pairs<T>(
    count: usize,
    mut floor: impl FnMut(usize) -> anyhow::Result<T>,
    mut ours: impl FnMut(usize) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<Pair<T>>> {
    let mut all = Vec::with_capacity(count);
    for index in 0..count {
        all.push(if index % 2 == 0 {
            let floor = floor(index)?;
            Pair { floor, ours: ours(index)? }
        } else {
            let ours = ours(index)?;
            Pair { floor: floor(index)?, ours }
        });
    }
    Ok(all)
}

/// The value below which this share of the figures lies.
pub(crate) fn quantile(figures: &mut [f64], share: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length is an index"
    )]
    let index = (figures.len().saturating_sub(1) as f64 * share).round() as usize;
    figures.get(index).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends() {
        let check = |figures: &[f64], expected: &str| {
            assert_eq!(format!("{:.1}", Spread::of(figures.iter().copied())), expected);
        };
        check(&[3.0], "3.0 [3.0–3.0]");
        check(&[5.0, 1.0, 3.0], "3.0 [1.0–5.0]");
        check(&[4.0, 1.0, 3.0, 2.0], "2.5 [1.0–4.0]");
        let mut figures: Vec<f64> = (0..=100).map(f64::from).collect();
        assert!((quantile(&mut figures, 0.99) - 99.0).abs() < f64::EPSILON);
    }

    #[test]
    fn they_take_turns() {
        let order = std::cell::RefCell::new(String::new());
        let note =
            |name: char| move |order: &std::cell::RefCell<String>| order.borrow_mut().push(name);
        pairs(
            3,
            |_| {
                let _: () = note('f')(&order);
                Ok(())
            },
            |_| {
                let _: () = note('o')(&order);
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(order.into_inner(), "fooffo");
    }
}
