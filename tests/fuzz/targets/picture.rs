//! Picture bytes → pixels.

use tagpoint::picture::{Detail, Limits, Picture, ResizeMethod, ResizeRule};

/// Small, so that what is decoded takes no time and little memory.
pub(super) const LIMITS: Limits = Limits { max_bytes: 1 << 20, max_side: 2048, max_pixels: 1 << 20 };

/// Decodes whole and by a rule; what decodes has the size that it says, within the limits, and resizes.
pub fn decode(bytes: &[u8]) {
    let size = "32x24".parse().unwrap();
    let rule = ResizeRule { method: ResizeMethod::Crop, size };
    let mut originals = Vec::new();
    for detail in [Detail::Full, Detail::For(&rule)] {
        if let Ok(picture) = Picture::decode(bytes, &LIMITS, detail) {
            let (width, height) = (picture.size.width as usize, picture.size.height as usize);
            assert_eq!(picture.rgb.len(), 3 * width * height);
            assert!(picture.original.width <= LIMITS.max_side && picture.original.height <= LIMITS.max_side);
            assert!(u64::from(picture.original.width) * u64::from(picture.original.height) <= LIMITS.max_pixels);
            picture.resize_into(&rule, &mut [0; 3 * 32 * 24]).unwrap();
            originals.push(picture.original);
        }
    }
    originals.dedup();
    assert!(originals.len() <= 1, "two sizes of one picture: {originals:?}");
}
