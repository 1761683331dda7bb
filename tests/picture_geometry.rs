//! Placement says where pixels really land: a bright square is drawn, decoded, resized and found again.

// Helpers, too, state what they expect by panicking; clippy.toml's exemption sees only functions marked as tests.
#![allow(clippy::unwrap_used)]

use tagpoint::picture::{Detail, Limits, Picture, PictureSize, ResizeMethod, ResizeRule};
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

const SQUARE: usize = 48;

/// A grey-on-black JPEG whose white square has its top left corner here.
fn jpeg_with_square((width, height): (usize, usize), (left, top): (usize, usize)) -> Vec<u8> {
    let mut pixels = vec![0; 3 * width * height];
    for y in top..top + SQUARE {
        pixels[3 * (y * width + left)..3 * (y * width + left + SQUARE)].fill(255);
    }
    let image = Image { pixels: &pixels[..], width, pitch: 3 * width, height, format: PixelFormat::RGB };
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(100).unwrap();
    compressor.set_subsamp(Subsamp::None).unwrap();
    compressor.compress_to_vec(image).unwrap()
}

/// The same JPEG with an EXIF block that holds nothing but an orientation.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let tiff = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0";
    let length = (2 + tiff.len() + 8) as u8;
    [&jpeg[..2], &[0xFF, 0xE1, 0, length], tiff, &[orientation, 0, 0, 0, 0, 0, 0, 0], &jpeg[2..]].concat()
}

/// Where EXIF's orientation puts a point of the stored picture.
fn oriented((x, y): (f64, f64), (width, height): (f64, f64), orientation: u8) -> (f64, f64) {
    match orientation {
        2 => (width - x, y),
        3 => (width - x, height - y),
        4 => (x, height - y),
        5 => (y, x),
        6 => (height - y, x),
        7 => (height - y, width - x),
        8 => (y, width - x),
        _ => (x, y),
    }
}

/// The centre of what is bright, in pixels of the frame.
fn centre(frame: &[u8], width: u32) -> (f64, f64) {
    let (mut sum, mut sum_x, mut sum_y) = (0.0, 0.0, 0.0);
    for (index, pixel) in frame.chunks(3).enumerate() {
        // JPEG's ringing leaves faint spots on black.
        let weight = if pixel[1] > 40 { f64::from(pixel[1]) } else { 0.0 };
        let (x, y) = (index as u32 % width, index as u32 / width);
        sum += weight;
        sum_x += weight * (f64::from(x) + 0.5);
        sum_y += weight * (f64::from(y) + 0.5);
    }
    (sum_x / sum, sum_y / sum)
}

#[test]
fn a_bright_square_lands_where_the_placement_says() {
    // Sides that divide by 8, and sides that do not; frames for scaled and for whole decodes.
    let pictures = [((640, 480), (300, 200)), ((1001, 763), (520, 301)), ((333, 777), (130, 340))];
    let frames = [(96, 96), (64, 40), (210, 150)];
    let mut scaled = 0;
    for (stored, corner) in pictures {
        let jpeg = jpeg_with_square(stored, corner);
        let middle = (corner.0 as f64 + SQUARE as f64 / 2.0, corner.1 as f64 + SQUARE as f64 / 2.0);
        for orientation in 1..=8 {
            let jpeg = with_orientation(&jpeg, orientation);
            let original = oriented(middle, (stored.0 as f64, stored.1 as f64), orientation);
            for (width, height) in frames {
                for method in [ResizeMethod::Squish, ResizeMethod::Crop, ResizeMethod::Pad] {
                    let rule = ResizeRule { method, size: PictureSize { width, height } };
                    let mut frame = vec![0; 3 * (width * height) as usize];
                    let picture = Picture::decode(&jpeg, &Limits::default(), Detail::For(&rule)).unwrap();
                    scaled += u32::from(picture.size != picture.original);
                    let placement = picture.resize_into(&rule, &mut frame).unwrap();
                    let (x, y) = placement.to_model(original);
                    let found = centre(&frame, width);
                    let distance = (x - found.0).hypot(y - found.1);
                    let case = format!("{stored:?} {orientation} {method:?} {width}x{height} from {:?}", picture.size);
                    assert!(distance < 0.15, "{case}: placement says ({x}, {y}), found {found:?}");
                }
            }
        }
    }
    assert!(scaled > 90, "only {scaled} decodes were scaled");
}

#[test]
fn padding_is_black_and_the_picture_lies_between() {
    let white = Picture {
        rgb: vec![255; 3 * 40 * 30],
        size: PictureSize { width: 40, height: 30 },
        original: PictureSize { width: 40, height: 30 },
    };
    let rule = ResizeRule { method: ResizeMethod::Pad, size: PictureSize { width: 16, height: 16 } };
    let mut frame = vec![9; 3 * 16 * 16];
    white.resize_into(&rule, &mut frame).unwrap();
    for (row, pixels) in frame.chunks(3 * 16).enumerate() {
        // 12 rows of 16, 2 above and 2 below.
        let expected = if (2..14).contains(&row) { 255 } else { 0 };
        assert!(pixels.iter().all(|&value| value == expected), "row {row}: {pixels:?}");
    }
}

#[test]
fn extreme_shapes_still_show_something() {
    for (width, height) in [(1, 1), (4000, 1), (1, 4000), (3, 1000)] {
        let size = PictureSize { width, height };
        let white = Picture { rgb: vec![255; 3 * (width * height) as usize], size, original: size };
        for method in [ResizeMethod::Squish, ResizeMethod::Crop, ResizeMethod::Pad] {
            let rule = ResizeRule { method, size: PictureSize { width: 33, height: 20 } };
            let mut frame = vec![0; 3 * 33 * 20];
            white.resize_into(&rule, &mut frame).unwrap();
            assert!(frame.contains(&255), "{width} x {height} {method:?}");
        }
    }
}

#[test]
fn the_pixels_command_writes_what_the_model_would_see() {
    let folder = tempfile::tempdir().unwrap();
    let args = tagpoint::picture::command::PixelsArgs {
        file: folder.path().join("square.jpg"),
        size: "64x48".parse().unwrap(),
        method: "crop".parse().unwrap(),
        full: false,
        output: folder.path().join("square.npy"),
    };
    std::fs::write(&args.file, jpeg_with_square((640, 480), (300, 200))).unwrap();
    tagpoint::picture::command::run(&args).unwrap();
    let file = std::fs::read(&args.output).unwrap();
    let npy = npyz::NpyFile::new(&file[..]).unwrap();
    assert_eq!(npy.shape(), [48, 64, 3]);
    let found = centre(&npy.into_vec::<u8>().unwrap(), 64);
    assert!((found.0 - 32.4).abs() < 0.1 && (found.1 - 22.4).abs() < 0.1, "{found:?}");
}
