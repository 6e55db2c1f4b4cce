//! A small softmax model of hand-written digits: what each client of the federated story trains.

pub(super) const PIXELS: usize = 64;
pub(super) const CLASSES: usize = 10;
const WEIGHTS: usize = CLASSES * (PIXELS + 1);

/// One digit: its pixels from 0 to 1, and what it is.
#[derive(Clone, Debug)]
pub(super) struct Digit {
    pixels: [f64; PIXELS],
    label: usize,
}

/// The rows of a file of digits.
pub(super) fn digits(csv: &str) -> Vec<Digit> {
    let row = |line: &str| {
        let numbers: Vec<u8> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        let (label, pixels) = numbers.split_last().unwrap();
        let pixels: [u8; PIXELS] = pixels.try_into().unwrap();
        Digit { pixels: pixels.map(|pixel| f64::from(pixel) / 16.0), label: usize::from(*label) }
    };
    csv.lines().filter(|line| !line.is_empty()).map(row).collect()
}

/// Weights of each class and pixel, the bias last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Model(Vec<f64>);

impl Model {
    pub(super) fn new() -> Self {
        Self(vec![0.0; WEIGHTS])
    }

    fn scores(&self, digit: &Digit) -> [f64; CLASSES] {
        let mut scores = [0.0; CLASSES];
        for (score, weights) in scores.iter_mut().zip(self.0.chunks_exact(PIXELS + 1)) {
            let (bias, weights) = weights.split_last().unwrap();
            let sum: f64 = weights.iter().zip(&digit.pixels).map(|(w, x)| w * x).sum();
            *score = sum + bias;
        }
        scores
    }

    /// Goes through the digits so many times, a small step against the gradient at each.
    pub(super) fn train(&mut self, digits: &[Digit], epochs: u32) {
        const STEP: f64 = 0.05;
        for digit in (0..epochs).flat_map(|_| digits) {
            let scores = self.scores(digit);
            let most = scores.iter().copied().fold(f64::MIN, f64::max);
            let powers = scores.map(|score| (score - most).exp());
            let sum: f64 = powers.iter().sum();
            for (class, weights) in self.0.chunks_exact_mut(PIXELS + 1).enumerate() {
                let wanted = f64::from(u8::from(class == digit.label));
                let step = STEP * (wanted - powers[class] / sum);
                let (bias, weights) = weights.split_last_mut().unwrap();
                *bias += step;
                for (weight, pixel) in weights.iter_mut().zip(&digit.pixels) {
                    *weight += step * pixel;
                }
            }
        }
    }

    /// Share of the digits it names rightly.
    pub(super) fn accuracy(&self, digits: &[Digit]) -> f64 {
        let right = |digit: &&Digit| {
            let scores = self.scores(digit);
            let best = (0..CLASSES).max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
            best == Some(digit.label)
        };
        digits.iter().filter(right).count() as f64 / digits.len() as f64
    }

    /// As a client sends it: one column per weight, one row.
    pub(super) fn to_csv(&self) -> String {
        let names: Vec<_> = (0..WEIGHTS).map(|n| format!("w{n}")).collect();
        let numbers: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        format!("{}\n{}\n", names.join(","), numbers.join(","))
    }

    /// As the worker averages it: a line per weight, name, mean and count.
    pub(super) fn from_means(csv: &str) -> Self {
        let mut model = Self::new();
        for line in csv.lines().skip(1) {
            let mut cells = line.split(',');
            let name: usize = cells.next().unwrap()[1..].parse().unwrap();
            model.0[name] = cells.next().unwrap().parse().unwrap();
        }
        model
    }

    /// The mean of several, as the worker should have computed it.
    pub(super) fn mean(models: &[Self]) -> Self {
        let sum = |n: usize| models.iter().map(|model| model.0[n]).sum::<f64>();
        Self((0..WEIGHTS).map(|n| sum(n) / models.len() as f64).collect())
    }

    /// Whether it is the same but for the rounding of a sum in another order.
    pub(super) fn is_near(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| (a - b).abs() < 1e-9)
    }
}

#[test]
fn one_model_learns_the_digits() {
    let all = digits(include_str!("../data/digits/digits.csv"));
    let (held_back, rest) = all.split_at(300);
    let mut model = Model::new();
    assert!(model.accuracy(held_back) < 0.2);
    model.train(rest, 10);
    assert!(model.accuracy(held_back) > 0.88, "{}", model.accuracy(held_back));
}
