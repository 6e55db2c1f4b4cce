//! The binary.

mod golden;

fn main() -> anyhow::Result<()> {
    golden::run(&golden::GoldenArgs { root: ".".into(), check: false })
}
