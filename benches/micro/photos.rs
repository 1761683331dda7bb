//! JPEGs with a photo's content.

use tagpoint::picture::{Detail, Limits, Picture, PictureSize, ResizeMethod, ResizeRule};
use turbojpeg::{Image, PixelFormat, Subsamp};

/// A small photo, and the side of a mosaic of it that has 12 megapixels.
const SMALL: PictureSize = PictureSize { width: 500, height: 375 };
const REPEATS: u32 = 8;

/// What models see.
pub(crate) const RULE: ResizeRule =
    ResizeRule { method: ResizeMethod::Squish, size: PictureSize { width: 224, height: 224 } };

/// Photos by what they are called: 500 × 375, and 4000 × 3000.
pub(crate) fn photos() -> [(&'static str, Vec<u8>); 2] {
    let sample = Picture::decode(include_bytes!("../../samples/scenes.jpg"), &Limits::default(), Detail::Full).unwrap();
    let rule = ResizeRule { method: ResizeMethod::Crop, size: SMALL };
    let mut small = vec![0; 3 * SMALL.width as usize * SMALL.height as usize];
    sample.resize_into(&rule, &mut small).unwrap();
    let row = 3 * SMALL.width as usize;
    let across: Vec<u8> = small.chunks_exact(row).flat_map(|row| row.repeat(REPEATS as usize)).collect();
    let large = PictureSize { width: REPEATS * SMALL.width, height: REPEATS * SMALL.height };
    [("500x375", jpeg(&small, SMALL)), ("12MP", jpeg(&across.repeat(REPEATS as usize), large))]
}

fn jpeg(rgb: &[u8], size: PictureSize) -> Vec<u8> {
    let (width, height) = (size.width as usize, size.height as usize);
    let image = Image { pixels: rgb, width, pitch: 3 * width, height, format: PixelFormat::RGB };
    turbojpeg::compress(image, 90, Subsamp::Sub2x2).unwrap().to_vec()
}
