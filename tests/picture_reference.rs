//! Pictures of every kind against what Pillow makes of them (scripts/fixtures/pictures.py).

// Helpers, too, state what they expect by panicking; clippy.toml's exemption sees only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use tagpoint::picture::{Detail, Limits, Picture, PictureError, PictureSize, ResizeMethod, ResizeRule};

/// In the order in which the expected pictures stand below each other.
const METHODS: [ResizeMethod; 3] = [ResizeMethod::Squish, ResizeMethod::Crop, ResizeMethod::Pad];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures")
}

/// The three expected frames of one picture.
fn expected(name: &str) -> Vec<Vec<u8>> {
    let path = fixtures().join("expected").join(format!("{name}.png"));
    let stack = image::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).to_rgb8();
    stack.as_raw().chunks(stack.len() / METHODS.len()).map(<[u8]>::to_vec).collect()
}

fn frame(picture: &Picture, rule: &ResizeRule) -> Vec<u8> {
    let mut out = vec![7; 3 * (rule.size.width * rule.size.height) as usize];
    picture.resize_into(rule, &mut out).unwrap();
    out
}

fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.len() as f64
}

#[test]
fn every_kind_of_picture_decodes_and_resizes_as_in_pillow() {
    let size = PictureSize { width: 24, height: 24 };
    let mut checked = 0;
    for entry in fs::read_dir(fixtures().join("pictures")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = fs::read(&path).unwrap();
        let full =
            Picture::decode(&bytes, &Limits::default(), Detail::Full).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(full.rgb.len() as u32, 3 * full.size.width * full.size.height, "{name}");
        for (method, expected) in METHODS.into_iter().zip(expected(&name)) {
            let rule = ResizeRule { method, size };
            let needed = Picture::decode(&bytes, &Limits::default(), Detail::For(&rule)).unwrap();
            for picture in [&full, &needed] {
                let difference = mean_difference(&frame(picture, &rule), &expected);
                println!("{name} {method:?}: {difference:.3}");
                assert!(difference <= 1.0, "{name} {method:?}: {difference}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 6 * 40, "only {checked} frames were checked");
}

#[test]
fn a_large_jpeg_is_decoded_at_a_fraction_and_stays_close_to_pillow() {
    let bytes = fs::read(fixtures().join("large.jpg")).unwrap();
    // The frame's side, and for squish, crop and pad the fraction that 640 x 480 is decoded at.
    for (side, divisors) in [(24, [8, 8, 8]), (48, [8, 8, 8]), (96, [4, 4, 4])] {
        let size = PictureSize { width: side, height: side };
        for ((method, divisor), expected) in
            METHODS.into_iter().zip(divisors).zip(expected(&format!("large.jpg-{side}")))
        {
            let rule = ResizeRule { method, size };
            let full = Picture::decode(&bytes, &Limits::default(), Detail::Full).unwrap();
            let exact = mean_difference(&frame(&full, &rule), &expected);
            assert!(exact <= 1.0, "{side} {method:?}: {exact}");

            let scaled = Picture::decode(&bytes, &Limits::default(), Detail::For(&rule)).unwrap();
            assert_eq!(scaled.size, PictureSize { width: 640 / divisor, height: 480 / divisor }, "{side} {method:?}");
            assert_eq!(scaled.original, PictureSize { width: 640, height: 480 });
            let difference = mean_difference(&frame(&scaled, &rule), &expected);
            println!("{side} {method:?}: whole {exact:.3}, 1/{divisor} {difference:.3}");
            assert!(difference <= 2.0, "{side} {method:?}: {difference}");
        }
    }
}

#[test]
fn formats_that_are_not_decoded_are_refused_by_name() {
    for (file, name) in [
        ("picture.tif", "TIFF"),
        ("picture.avif", "AVIF"),
        ("picture.jp2", "JPEG 2000"),
        ("picture.ico", "ICO"),
        ("picture.pdf", "PDF"),
        ("picture.ppm", "PNM"),
    ] {
        let bytes = fs::read(fixtures().join("unsupported").join(file)).unwrap();
        match Picture::decode(&bytes, &Limits::default(), Detail::Full) {
            Err(PictureError::Unsupported(message)) => {
                assert!(message.starts_with(&format!("{name} is not supported: send JPEG, PNG")), "{message}");
            }
            other => panic!("{file}: {other:?}"),
        }
    }
}
