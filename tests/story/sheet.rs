//! Contact sheets, looked at.

use std::path::{Path, PathBuf};

use image::{GenericImageView as _, Rgb, RgbImage};

/// As the program draws them (`batcher/worker/examples/contact_sheet.rs`).
const TILE: u32 = 96;
const BORDER: u32 = 8;
const COLUMNS: u32 = 3;
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);

/// The sheet shows each of these photos in its place, and nothing else.
pub(super) fn check(path: &Path, photos: &[PathBuf]) {
    let bytes = std::fs::read(path).unwrap();
    let sheet = image::load_from_memory_with_format(&bytes, image::ImageFormat::Png);
    let mut sheet = sheet.unwrap().to_rgb8();
    let (step, rows) = (TILE + BORDER, u32::try_from(photos.len()).unwrap().div_ceil(COLUMNS));
    assert_eq!(sheet.dimensions(), (COLUMNS * step + BORDER, rows * step + BORDER));
    for (place, photo) in (0..).zip(photos) {
        let picture = image::open(photo).unwrap().thumbnail(TILE, TILE).to_rgb8();
        let (left, top) = (place % COLUMNS * step + BORDER, place / COLUMNS * step + BORDER);
        let (width, height) = picture.dimensions();
        let shown = sheet.view(left, top, width, height).to_image();
        assert!(shown == picture, "tile {place} of {} is not {}", path.display(), photo.display());
        let blank = RgbImage::from_pixel(width, height, PAPER);
        image::imageops::replace(&mut sheet, &blank, left.into(), top.into());
    }
    assert!(sheet.pixels().all(|pixel| *pixel == PAPER), "{} shows more", path.display());
}
