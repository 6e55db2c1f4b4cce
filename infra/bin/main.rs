//! The binary.

mod golden;

fn main() -> anyhow::Result<()> {
    golden::write(std::path::Path::new("."))
}
