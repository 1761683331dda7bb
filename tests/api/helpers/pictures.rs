//! Encoded pictures, drawn by code.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

/// A PNG of one colour.
pub fn plain(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
    png(&RgbImage::from_pixel(width, height, Rgb(colour)))
}

/// A PNG of a pattern that differs from seed to seed.
pub fn pattern(side: u32, seed: u32) -> Vec<u8> {
    let colour = |x: u32, y: u32, channel: u32| ((x * 7 + y * 13 + channel * 50 + seed * 71) % 256) as u8;
    png(&RgbImage::from_fn(side, side, |x, y| Rgb([0, 1, 2].map(|channel| colour(x, y, channel)))))
}

/// A PNG of noise, the same for the same seed.
pub fn noise(width: u32, height: u32, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut byte = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    png(&RgbImage::from_fn(width, height, |_, _| Rgb([byte(), byte(), byte()])))
}

/// A JPEG of one colour that is stored on its side: EXIF orientation 6, so `stored` turned a quarter clockwise.
pub fn turned_jpeg(stored_width: usize, stored_height: usize, colour: [u8; 3]) -> Vec<u8> {
    let pixels = colour.repeat(stored_width * stored_height);
    let image = turbojpeg::Image {
        pixels: pixels.as_slice(),
        width: stored_width,
        pitch: 3 * stored_width,
        height: stored_height,
        format: turbojpeg::PixelFormat::RGB,
    };
    let jpeg = turbojpeg::compress(image, 95, turbojpeg::Subsamp::None).unwrap();
    // APP1: "Exif", big-endian TIFF with one entry: tag 0x0112 (orientation), type SHORT, count 1, value 6.
    let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, exif, &jpeg[2..]].concat()
}

fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}
