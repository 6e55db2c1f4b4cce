//! A program for `sluice work`: one sheet with a small picture of each photo of a batch, by time.
//!
//!     cargo build --release --example contact_sheet
//!     sluice work --pool NAME --exec target/release/examples/contact_sheet --name sheet.png

use std::path::PathBuf;

use image::imageops::overlay;
use image::{ImageFormat, ImageReader, Rgb, RgbImage};
use serde_json::Value;

/// Width and height of the square that a picture is fitted into, and of the border around it.
const TILE: u32 = 96;
const BORDER: u32 = 8;
const COLUMNS: u32 = 3;
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manifest: Value = serde_json::from_slice(&std::fs::read(told("SLUICE_MANIFEST")?)?)?;
    let files = manifest.get("files").and_then(Value::as_array);
    let files = files.ok_or("a manifest without files")?;
    let mut photos: Vec<(&str, &str)> = Vec::with_capacity(files.len());
    for file in files {
        let text = |name: &str| {
            let text = file.get(name).and_then(Value::as_str);
            text.ok_or_else(|| format!("a file without {name}"))
        };
        photos.push((text("effective_at")?, text("path")?));
    }
    photos.sort_unstable();

    let step = TILE + BORDER;
    let rows = u32::try_from(photos.len())?.div_ceil(COLUMNS);
    let mut sheet = RgbImage::from_pixel(COLUMNS * step + BORDER, rows * step + BORDER, PAPER);
    for (place, (_, path)) in (0..).zip(&photos) {
        // Its name is the client's: what it is, its bytes say.
        let photo = ImageReader::open(path)?.with_guessed_format()?.decode()?;
        let picture = photo.thumbnail(TILE, TILE).to_rgb8();
        let (left, top) = (place % COLUMNS * step + BORDER, place / COLUMNS * step + BORDER);
        overlay(&mut sheet, &picture, left.into(), top.into());
    }
    sheet.save_with_format(told("SLUICE_OUTPUT")?, ImageFormat::Png)?;
    Ok(())
}

/// What `sluice work` tells by this name.
#[allow(clippy::disallowed_methods, reason = "this is how a program is told")]
fn told(name: &str) -> Result<PathBuf, String> {
    std::env::var_os(name).map(PathBuf::from).ok_or(format!("{name} is not set: see sluice work"))
}
