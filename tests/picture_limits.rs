//! Limits, damaged pictures and hostile headers.

// Helpers, too, state what they expect by panicking; clippy.toml's exemption sees only functions marked as tests.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tagpoint::picture::{Detail, Limits, Picture, PictureError, PictureSize, ResizeMethod, ResizeRule};

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures").join(name)).unwrap()
}

/// Every small fixture: its name and bytes, in a fixed order.
fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures/pictures");
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names.iter().map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())).collect()
}

fn decode(bytes: &[u8]) -> Result<Picture, PictureError> {
    Picture::decode(bytes, &Limits::default(), Detail::Full)
}

/// Decodes both ways; what decodes has to be consistent and to resize.
fn decode_consistently(bytes: &[u8]) {
    let rule = ResizeRule { method: ResizeMethod::Crop, size: PictureSize { width: 5, height: 4 } };
    for detail in [Detail::Full, Detail::For(&rule)] {
        if let Ok(picture) = Picture::decode(bytes, &Limits::default(), detail) {
            assert_eq!(picture.rgb.len(), 3 * picture.size.width as usize * picture.size.height as usize);
            picture.resize_into(&rule, &mut [0; 3 * 5 * 4]).unwrap();
        }
    }
}

/// Headers of pictures with these sides and hardly any data behind them.
fn tiny_files_that_claim(width: u16, height: u16) -> Vec<(&'static str, Vec<u8>)> {
    let (wide, high) = (u32::from(width), u32::from(height));
    let mut png = fixture("pictures/rgb.png");
    png[16..20].copy_from_slice(&wide.to_be_bytes());
    png[20..24].copy_from_slice(&high.to_be_bytes());
    let mut jpeg = fixture("pictures/baseline-420.jpg");
    let frame = jpeg.windows(4).position(|bytes| bytes == [0xFF, 0xC0, 0x00, 0x11]).unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    let mut gif = fixture("pictures/still.gif");
    gif[6..8].copy_from_slice(&width.to_le_bytes());
    gif[8..10].copy_from_slice(&height.to_le_bytes());
    let mut bmp = fixture("pictures/rgb.bmp");
    bmp[18..22].copy_from_slice(&wide.to_le_bytes());
    bmp[22..26].copy_from_slice(&high.to_le_bytes());
    let mut webp = fixture("pictures/lossy.webp");
    let frame = webp.windows(3).position(|bytes| bytes == [0x9D, 0x01, 0x2A]).unwrap();
    webp[frame + 3..frame + 5].copy_from_slice(&width.to_le_bytes());
    webp[frame + 5..frame + 7].copy_from_slice(&height.to_le_bytes());
    vec![("PNG", png), ("JPEG", jpeg), ("GIF", gif), ("BMP", bmp), ("WebP", webp)]
}

#[test]
fn a_tiny_file_that_claims_67_megapixels_is_refused_from_its_header() {
    for (format, bytes) in tiny_files_that_claim(8192, 8192) {
        match decode(&bytes) {
            Err(PictureError::TooLarge(message)) => assert!(message.contains("8192 x 8192"), "{format}: {message}"),
            other => panic!("{format}: {other:?}"),
        }
    }
}

#[test]
fn what_decoding_takes_is_known_from_the_header() {
    let memory = |bytes: &[u8], detail: Detail<'_>| Picture::memory(bytes, &Limits::default(), detail).unwrap();
    for (name, bytes_of_a_pixel) in [
        ("rgb.png", 6),
        ("rgba-16-bit.png", 8),
        ("rgb.bmp", 6),
        ("still.gif", 8),
        ("lossy.webp", 8),
        ("baseline-420.jpg", 3),
        ("orientation-6.jpg", 6),
        ("cmyk.jpg", 4),
        // Three coefficients of two bytes, too.
        ("progressive.jpg", 9),
    ] {
        let bytes = fixture(&format!("pictures/{name}"));
        let pixels = decode(&bytes).unwrap().original.pixels();
        assert_eq!(memory(&bytes, Detail::Full), bytes_of_a_pixel * pixels, "{name}");
    }
    // A photo that is decoded at an eighth takes a 64th.
    let rule = ResizeRule { method: ResizeMethod::Squish, size: PictureSize { width: 24, height: 24 } };
    let photo = fixture("large.jpg");
    assert!(60 * memory(&photo, Detail::For(&rule)) < memory(&photo, Detail::Full));
    for (format, bytes) in tiny_files_that_claim(8192, 8192) {
        let told = Picture::memory(&bytes, &Limits::default(), Detail::Full);
        assert!(matches!(told, Err(PictureError::TooLarge(_))), "{format}: {told:?}");
    }
}

#[test]
fn a_webp_whose_canvas_hides_a_larger_frame_is_refused() {
    let mut webp = fixture("pictures/lossy-alpha.webp");
    assert_eq!(&webp[12..16], b"VP8X");
    let frame = webp.windows(3).position(|bytes| bytes == [0x9D, 0x01, 0x2A]).unwrap();
    webp[frame + 3..frame + 7].copy_from_slice(&[0xFF, 0x3F, 0xFF, 0x3F]);
    assert!(matches!(decode(&webp), Err(PictureError::TooLarge(_))));
}

#[test]
fn limits_hold_exactly_at_their_border() {
    // 45 x 34 pixels.
    for (name, bytes) in fixtures().iter().filter(|(name, _)| !name.starts_with("orientation")) {
        let exact = Limits { max_bytes: bytes.len(), max_side: 45, max_pixels: 45 * 34 };
        assert!(Picture::decode(bytes, &exact, Detail::Full).is_ok(), "{name}");
        for below in [
            Limits { max_bytes: bytes.len() - 1, ..exact },
            Limits { max_side: 44, ..exact },
            Limits { max_pixels: 45 * 34 - 1, ..exact },
        ] {
            let result = Picture::decode(bytes, &below, Detail::Full);
            assert!(matches!(result, Err(PictureError::TooLarge(_))), "{name} with {below:?}: {result:?}");
        }
    }
}

#[test]
fn no_bytes_are_empty_and_no_pixels_are_broken() {
    assert_eq!(decode(&[]), Err(PictureError::Empty));
    for (width, height) in [(0, 34), (45, 0), (0, 0)] {
        for (format, bytes) in tiny_files_that_claim(width, height) {
            let result = decode(&bytes);
            assert!(matches!(result, Err(PictureError::Broken(_))), "{format} {width} x {height}: {result:?}");
        }
    }
}

#[test]
fn a_truncated_picture_is_broken_wherever_it_ends() {
    for (name, bytes) in fixtures() {
        // Their first picture is whole long before the file ends.
        if name == "exif.webp" || name == "animated.gif" {
            continue;
        }
        for length in [bytes.len() * 9 / 10, bytes.len() * 3 / 4, bytes.len() / 2] {
            let result = decode(&bytes[..length]);
            assert!(matches!(result, Err(PictureError::Broken(_))), "{name} cut to {length}: {:?}", result.is_ok());
        }
    }
}

#[test]
fn a_truncated_jpeg_is_broken_at_each_length_and_never_grey() {
    for name in ["pictures/baseline-420.jpg", "pictures/progressive.jpg", "pictures/restarts.jpg", "pictures/cmyk.jpg"]
    {
        let bytes = fixture(name);
        for length in (3..bytes.len()).step_by(5).chain([bytes.len() - 2, bytes.len() - 1]) {
            let result = decode(&bytes[..length]);
            assert!(matches!(result, Err(PictureError::Broken(_))), "{name} cut to {length}");
        }
    }
}

#[test]
fn surplus_bytes_before_the_end_marker_are_harmless_unless_the_end_is_missing() {
    let bytes = fixture("pictures/baseline-420.jpg");
    let end = bytes.len() - 2;
    let surplus = [&bytes[..end], &[1, 2, 3, 4], &bytes[end..]].concat();
    assert_eq!(decode(&surplus).unwrap(), decode(&bytes).unwrap());
    assert!(matches!(decode(&surplus[..surplus.len() - 2]), Err(PictureError::Broken(_))));
    assert_eq!(decode(&[&bytes[..], b"trailing data"].concat()).unwrap(), decode(&bytes).unwrap());
}

#[test]
fn oddities_in_a_jpegs_header_are_harmless() {
    let bytes = fixture("pictures/baseline-420.jpg");
    let expected = decode(&bytes).unwrap();
    let mut future_jfif = bytes.clone();
    assert_eq!(&bytes[6..12], b"JFIF\0\x01");
    future_jfif[11] = 3;
    assert_eq!(decode(&future_jfif).unwrap(), expected);
    // Behind the JFIF segment, which is 16 bytes long.
    let between_segments = [&bytes[..20], &[0, 0, 0], &bytes[20..]].concat();
    assert_eq!(decode(&between_segments).unwrap(), expected);
    let length = between_segments.len();
    assert!(matches!(decode(&between_segments[..length - 2]), Err(PictureError::Broken(_))));
}

#[test]
fn truncation_at_any_length_never_panics() {
    for (_, bytes) in fixtures() {
        for length in (0..bytes.len()).step_by(bytes.len() / 60 + 1) {
            decode_consistently(&bytes[..length]);
        }
    }
}

#[test]
fn unknown_bytes_and_videos_are_unsupported_and_say_what_to_send() {
    for (bytes, expected) in [
        (&b"hello, this is a text"[..], "the picture's format is not known: send JPEG"),
        (b"BM is how this text starts, but it is no bitmap", "the picture's format is not known: send JPEG"),
        (
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            "HEIC is not supported: send JPEG, PNG, WebP, GIF or BMP (for example: `magick photo.heic photo.jpg`)",
        ),
        (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", "MP4 or QuickTime video is not supported"),
        (b"\xFF\x0A\xFA\x1F", "JPEG XL is not supported"),
        (b"8BPS\0\x01", "PSD is not supported"),
        (b"<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "SVG is not supported"),
        (b"  <!DOCTYPE html><p>404", "HTML is not supported"),
    ] {
        match decode(bytes) {
            Err(PictureError::Unsupported(message)) => assert!(message.starts_with(expected), "{message}"),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[test]
fn a_frame_of_the_wrong_length_is_an_error() {
    let picture = decode(&fixture("pictures/rgb.png")).unwrap();
    let rule = ResizeRule { method: ResizeMethod::Pad, size: PictureSize { width: 4, height: 3 } };
    assert!(picture.resize_into(&rule, &mut [0; 35]).is_err());
    assert!(picture.resize_into(&rule, &mut [0; 36]).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn flipped_bits_never_panic(which in 0_usize..52, flips in prop::collection::vec((any::<u32>(), 0_u8..8), 1..6)) {
        let (_, mut bytes) = fixtures().swap_remove(which);
        for (at, bit) in flips {
            let at = at as usize % bytes.len();
            bytes[at] ^= 1 << bit;
        }
        decode_consistently(&bytes);
    }

    #[test]
    fn any_bytes_behind_a_known_magic_never_panic(magic in 0_usize..5, tail in prop::collection::vec(any::<u8>(), 0..400)) {
        let magics: [&[u8]; 5] =
            [b"\xFF\xD8\xFF", b"\x89PNG\r\n\x1a\n", b"RIFF\xFF\0\0\0WEBP", b"GIF89a", b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"];
        decode_consistently(&[magics[magic], &tail].concat());
    }
}
