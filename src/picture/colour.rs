//! From what decoders give to RGB with 8 bits.
//!
//! Alpha is composited over white, 16 bit becomes 8 by its high byte, ICC profiles are ignored.

use image::ColorType;

/// Decoded samples of crate `image` as RGB, 8 bits; `None` for a colour type that no format here decodes to.
///
/// Samples of 16 bits are in the machine's byte order.
pub(super) fn to_rgb(samples: Vec<u8>, colour: ColorType) -> Option<Vec<u8>> {
    let (samples, channels) = match colour {
        ColorType::L8 => (samples, 1),
        ColorType::La8 => (samples, 2),
        ColorType::Rgb8 => (samples, 3),
        ColorType::Rgba8 => (samples, 4),
        ColorType::L16 => (high_bytes(samples), 1),
        ColorType::La16 => (high_bytes(samples), 2),
        ColorType::Rgb16 => (high_bytes(samples), 3),
        ColorType::Rgba16 => (high_bytes(samples), 4),
        _ => return None,
    };
    Some(match channels {
        1 => map_pixels(&samples, |&[grey]| [grey; 3]),
        2 => map_pixels(&samples, |&[grey, alpha]| [over_white(grey, alpha); 3]),
        4 => shrink(samples, |[r, g, b, alpha]: [u8; 4]| [r, g, b].map(|value| over_white(value, alpha))),
        _ => samples,
    })
}

/// CMYK as Pillow reads and converts it: ink values are stored inverted (Adobe's way, which all writers follow), so
/// 255 is no ink, and each of R, G, B is the paper's light less the black ink, then less its own ink.
pub(super) fn inverted_cmyk_to_rgb(samples: Vec<u8>) -> Vec<u8> {
    shrink(samples, |[c, m, y, k]: [u8; 4]| [c, m, y].map(|light| k - scaled(255 - light, k)))
}

fn map_pixels<const N: usize>(samples: &[u8], rgb: impl Fn(&[u8; N]) -> [u8; 3]) -> Vec<u8> {
    samples.as_chunks::<N>().0.iter().flat_map(rgb).collect()
}

/// Maps each N bytes to M of them, in place: a picture of 64 megapixels with 16 bits takes half a gigabyte already.
fn shrink<const N: usize, const M: usize>(mut samples: Vec<u8>, map: impl Fn([u8; N]) -> [u8; M]) -> Vec<u8> {
    const { assert!(M <= N) };
    let count = samples.len() / N;
    for i in 0..count {
        let mut taken = [0; N];
        taken.copy_from_slice(&samples[N * i..N * (i + 1)]);
        samples[M * i..M * (i + 1)].copy_from_slice(&map(taken));
    }
    samples.truncate(M * count);
    samples.shrink_to_fit();
    samples
}

fn high_bytes(samples: Vec<u8>) -> Vec<u8> {
    shrink(samples, |pair: [u8; 2]| [(u16::from_ne_bytes(pair) >> 8) as u8])
}

fn over_white(value: u8, alpha: u8) -> u8 {
    scaled(value, alpha) + (255 - alpha)
}

/// `a · b / 255`, rounded to the nearest; at most `a` and at most `b`.
fn scaled(a: u8, b: u8) -> u8 {
    ((u32::from(a) * u32::from(b) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_blends_with_white() {
        assert_eq!(to_rgb(vec![0, 100, 255, 0], ColorType::Rgba8).unwrap(), [255, 255, 255]);
        assert_eq!(to_rgb(vec![0, 100, 255, 255], ColorType::Rgba8).unwrap(), [0, 100, 255]);
        // 0.2 of black and 0.8 of white.
        assert_eq!(to_rgb(vec![0, 51], ColorType::La8).unwrap(), [204, 204, 204]);
    }

    #[test]
    fn sixteen_bits_become_their_high_byte() {
        let samples = [0x12FF_u16, 0xFF00, 0x00FF].iter().flat_map(|value| value.to_ne_bytes()).collect();
        assert_eq!(to_rgb(samples, ColorType::Rgb16).unwrap(), [0x12, 0xFF, 0x00]);
    }

    #[test]
    fn inverted_cmyk_without_ink_is_white_and_with_black_ink_is_black() {
        assert_eq!(inverted_cmyk_to_rgb(vec![255, 255, 255, 255]), [255, 255, 255]);
        assert_eq!(inverted_cmyk_to_rgb(vec![255, 255, 255, 0]), [0, 0, 0]);
        assert_eq!(inverted_cmyk_to_rgb(vec![0, 255, 255, 255]), [0, 255, 255]);
    }
}
