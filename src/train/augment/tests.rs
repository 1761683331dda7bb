//! Against fastai, and pixels against points.

use std::collections::HashMap;

use serde::Deserialize;

use super::*;
use crate::picture::{Picture, ResizeMethod, ResizeRule};

#[derive(Deserialize)]
struct Fixture {
    width: u32,
    height: u32,
    picture: Vec<u8>,
    points: Vec<(f64, f64)>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    draw: HashMap<String, serde_json::Value>,
    pixels: Vec<f32>,
    points: Vec<(f64, f64)>,
}

impl Case {
    fn draw(&self) -> Draw {
        let number = |name: &str, otherwise: f64| self.draw.get(name).map_or(otherwise, |v| v.as_f64().unwrap());
        let pair = |name: &str, otherwise: f64| {
            let at = |i: usize| self.draw.get(name).map_or(otherwise, |v| v[i].as_f64().unwrap());
            (at(0), at(1))
        };
        let padding = match self.draw.get("padding").and_then(|name| name.as_str()) {
            Some("zeros") => Padding::Zeros,
            Some("border") => Padding::Border,
            _ => Padding::Reflection,
        };
        Draw {
            flip: self.draw.contains_key("flip"),
            flip_vertical: self.draw.contains_key("flip_vertical"),
            transpose: self.draw.contains_key("transpose"),
            padding,
            warp: pair("warp", 0.0),
            rotate: number("rotate", 0.0),
            zoom: number("zoom", 1.0),
            centre: pair("centre", 0.5),
            brightness: number("brightness", 0.5),
            contrast: number("contrast", 1.0),
            ..Draw::NONE
        }
    }
}

#[test]
fn pixels_and_points_are_fastais() {
    let fixture: Fixture =
        serde_json::from_str(include_str!("../../../tests/fixtures/training/augmented.json")).unwrap();
    let size = PictureSize { width: fixture.width, height: fixture.height };
    let points: Vec<_> = fixture.points.iter().copied().map(Some).collect();
    for case in &fixture.cases {
        let draw = case.draw();
        let mut out = vec![0; fixture.picture.len()];
        draw.apply(&Source::frame(&fixture.picture, size), &mut out, size);
        assert_eq!(out.len(), case.pixels.len());
        let (mut sum, count) = (0.0, out.len() as f32);
        for (i, (ours, fastai)) in out.iter().zip(&case.pixels).enumerate() {
            let difference = f32::from(*ours) - fastai;
            // Rounded to a fifteenth of a level and to a level, and fastai's own rounding.
            assert!(difference.abs() < 0.56, "{draw:?} value {i}: {ours} {fastai}");
            sum += difference;
        }
        // Rounding goes both ways.
        assert!((sum / count).abs() < 0.03, "{draw:?}: {} in the mean", sum / count);
        for (ours, fastai) in draw.move_points(&points, size, &[]).iter().zip(&case.points) {
            let ours = ours.unwrap();
            assert!((ours.0 - fastai.0).hypot(ours.1 - fastai.1) < 1e-5, "{draw:?}: {ours:?} {fastai:?}");
        }
    }
}

#[test]
fn nothing_drawn_changes_no_pixel() {
    let size = PictureSize { width: 9, height: 7 };
    let picture: Vec<u8> = (0..9 * 7 * 3).map(|i| (i * 37 % 256) as u8).collect();
    let mut out = vec![0; picture.len()];
    Draw::NONE.apply(&Source::frame(&picture, size), &mut out, size);
    assert_eq!(out, picture);
    Draw { flip: true, ..Draw::NONE }.apply(&Source::frame(&picture, size), &mut out, size);
    for y in 0..7 {
        for x in 0..9 {
            assert_eq!(out[3 * (9 * y + x)], picture[3 * (9 * y + 8 - x)]);
        }
    }
}

#[test]
fn a_mirror_swaps_the_declared_pairs() {
    let draw = Draw { flip: true, ..Draw::NONE };
    let points = [Some((-0.5, 0.1)), Some((0.4, 0.2)), Some((0.0, 0.3)), None];
    let frame = PictureSize { width: 2, height: 2 };
    let moved = draw.move_points(&points, frame, &[(0, 1), (2, 3)]);
    assert_eq!(moved, [Some((-0.4, 0.2)), Some((0.5, 0.1)), None, Some((0.0, 0.3))]);
    // Any mirror makes a left hand of a right one; two of them are a turn, which does not.
    let upside_down = Draw { flip_vertical: true, ..Draw::NONE }.move_points(&points, frame, &[(0, 1)]);
    assert_eq!(upside_down[..2], [Some((0.4, -0.2)), Some((-0.5, -0.1))]);
    let turned = Draw { flip: true, flip_vertical: true, ..Draw::NONE }.move_points(&points, frame, &[(0, 1)]);
    assert_eq!(turned[..2], [Some((0.5, -0.1)), Some((-0.4, -0.2))]);
}

#[test]
fn only_points_within_the_range_train() {
    let range = YRange { low: -1.2, high: 1.2 };
    assert_eq!(trainable((1.1, -1.1), &range), Some((1.1, -1.1)));
    assert_eq!(trainable((1.3, 0.0), &range), None);
    assert_eq!(trainable((0.0, -1.3), &range), None);
}

/// A dark picture with a bright blob at a point given in −1…1 coordinates.
fn blob(size: PictureSize, point: (f64, f64), radius: f64) -> Vec<u8> {
    let (x, y) = size.from_unit(point);
    let mut picture = Vec::new();
    for row in 0..size.height {
        for column in 0..size.width {
            let squared = (f64::from(column) + 0.5 - x).powi(2) + (f64::from(row) + 0.5 - y).powi(2);
            picture.extend([(255.0 * (-squared / (2.0 * radius * radius)).exp()).round() as u8; 3]);
        }
    }
    picture
}

/// The brightness-weighted mean place of the pixels near a place; `None` where there is no blob. Elsewhere there may be
/// another one, mirrored at an edge.
fn brightest_near(pixels: &[u8], size: PictureSize, near: (f64, f64)) -> Option<(f64, f64)> {
    let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
    for (i, pixel) in pixels.chunks(3).enumerate() {
        let place = ((i % size.width as usize) as f64 + 0.5, (i / size.width as usize) as f64 + 0.5);
        if (place.0 - near.0).hypot(place.1 - near.1) < 6.0 {
            let weight = f64::from(pixel[0]);
            sum += weight;
            x += weight * place.0;
            y += weight * place.1;
        }
    }
    (sum > 1000.0).then(|| (x / sum, y / sum))
}

/// How far, in pixels, the blob is from where its point went.
fn astray(draw: &Draw, source: PictureSize, frame: PictureSize, point: (f64, f64)) -> Option<f64> {
    let to = draw.move_points(&[Some(point)], frame, &[])[0]?;
    // A blob that is cut off or mirrored at an edge has its mean elsewhere.
    if to.0.abs() > 0.8 || to.1.abs() > 0.8 {
        return None;
    }
    let mut out = vec![0; 3 * (frame.width * frame.height) as usize];
    let radius = 1.5 * f64::from(source.width) / f64::from(frame.width);
    // A blob has the same size in the frame, however much of the source that shows.
    let shown = draw.crop.map_or(1.0, |crop| (crop.half.0 * crop.half.1).sqrt()) / draw.zoom.min(1.0);
    let picture = blob(source, point, radius * shown);
    draw.apply(&Source { pixels: &picture, size: source, resized: true }, &mut out, frame);
    let expected = frame.from_unit(to);
    let Some(found) = brightest_near(&out, frame, expected) else { return Some(f64::INFINITY) };
    Some((found.0 - expected.0).hypot(found.1 - expected.1))
}

#[test]
fn a_bright_dot_is_found_where_its_keypoint_went() {
    let everything = Augmentation::default();
    let crop = Some(RandomCrop { min_area: 0.2, ..RandomCrop::default() });
    let none =
        Augmentation { flip: false, max_rotate: 0.0, max_zoom: 1.0, max_warp: 0.0, p_lighting: 0.0, ..everything };
    let alone = [
        Augmentation { flip: true, ..none },
        Augmentation { max_rotate: 45.0, ..none },
        Augmentation { max_zoom: 1.5, ..none },
        Augmentation { max_warp: 0.3, ..none },
        Augmentation { max_lighting: 0.0, ..everything },
        Augmentation { flip_vertical: true, ..none },
        Augmentation { flip: true, flip_vertical: true, transpose: true, ..none },
        Augmentation { min_zoom: 0.5, padding: Padding::Zeros, ..none },
        Augmentation { min_zoom: 0.7, padding: Padding::Border, max_lighting: 0.0, ..everything },
        Augmentation { crop, ..none },
        Augmentation {
            crop,
            flip_vertical: true,
            transpose: true,
            padding: Padding::Zeros,
            max_lighting: 0.0,
            ..everything
        },
    ];
    let frames = [(48, 48), (64, 40)].map(|(width, height)| PictureSize { width, height });
    for (settings, frame) in alone.iter().flat_map(|settings| frames.map(|frame| (settings, frame))) {
        // The frame's own pixels, a kept picture's twice as many along each side, and those of another progressive size.
        let sources =
            [2, 3, 4].map(|half| PictureSize { width: frame.width * half / 2, height: frame.height * half / 2 });
        let mut tried = 0;
        for seed in 0..60 {
            let point = (0.7 * (seed as f64 * 2.4).sin(), 0.7 * (seed as f64 * 1.7).cos());
            for source in sources {
                let crop = settings.crop.map(|crop| crop.draw((seed, 0, 0), source, frame));
                let draw = Draw { crop, ..settings.draw(seed, 0, 0) };
                let Some(distance) = astray(&draw, source, frame, point) else { continue };
                assert!(distance < 0.5, "{draw:?} {frame:?} from {source:?}: {distance}");
                tried += 1;
            }
        }
        assert!(tried > 60, "{settings:?}: {tried}");
    }
}

/// Lighting moves no pixel, but it lifts the dark ground, so the blob is told by its peak.
#[test]
fn lighting_leaves_the_brightest_pixel_in_place() {
    let size = PictureSize { width: 32, height: 32 };
    let picture = blob(size, (0.25, -0.5), 1.5);
    let peak = |values: &[u8]| values.iter().enumerate().max_by_key(|(_, value)| **value).map(|(place, _)| place / 3);
    let before = peak(&picture);
    let mut out = vec![0; picture.len()];
    Draw { brightness: 0.6, contrast: 0.8, ..Draw::NONE }.apply(&Source::frame(&picture, size), &mut out, size);
    assert_eq!(before, peak(&out));
}

#[test]
fn sizes_that_do_not_fit_write_nothing() {
    let size = PictureSize { width: 2, height: 2 };
    let mut out = vec![7; 12];
    let map = Homography::scale(1.0, 1.0);
    let lighting = Curve::new(0.5, 1.0);
    resample(&Source::frame(&[0; 11], size), &map, Padding::Reflection, &lighting, &mut out, size);
    resample(&Source::frame(&[0; 12], size), &map, Padding::Reflection, &lighting, &mut out[..9], size);
    assert!(out.iter().all(|value| *value == 7));
}

/// Noise of one pixel's grain.
fn noise(size: PictureSize) -> Vec<u8> {
    let mut state = 7_u32;
    let grey = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        [(state >> 24) as u8; 3]
    };
    (0..size.width * size.height).flat_map(grey).collect()
}

/// The root mean square of the differences between neighbours in a row, which falls as a picture becomes softer.
fn sharpness(pixels: &[u8], size: PictureSize) -> f64 {
    let rows = pixels.as_chunks::<3>().0.chunks_exact(size.width as usize);
    let squares: Vec<f64> = rows
        .flat_map(|row| row.windows(2).map(|pair| (f64::from(pair[1][0]) - f64::from(pair[0][0])).powi(2)))
        .collect();
    (squares.iter().sum::<f64>() / squares.len() as f64).sqrt()
}

fn resized(picture: &[u8], size: PictureSize, to: PictureSize) -> Vec<u8> {
    let picture = Picture { rgb: picture.to_vec(), size, original: size };
    let mut out = vec![0; 3 * to.width as usize * to.height as usize];
    picture.resize_into(&ResizeRule { method: ResizeMethod::Squish, size: to }, &mut out).unwrap();
    out
}

#[test]
fn a_crop_of_an_original_has_the_pixels_of_a_resize() {
    let (size, frame) = (PictureSize { width: 96, height: 80 }, PictureSize { width: 40, height: 40 });
    let picture = noise(size);
    let crop = Crop { centre: (0.0, 0.0), half: (1.0, 1.0) };
    let mut ours = vec![0; 3 * 40 * 40];
    let source = Source { pixels: &picture, size, resized: false };
    Draw { crop: Some(crop), ..Draw::NONE }.apply(&source, &mut ours, frame);
    let expected = resized(&picture, size, frame);
    // At an edge a resize leaves out what lies beyond, and this mirrors it.
    for (place, (ours, resized)) in ours.iter().zip(&expected).enumerate() {
        let (column, row) = (place / 3 % 40, place / 120);
        if (2..38).contains(&column) && (2..38).contains(&row) {
            assert!(ours.abs_diff(*resized) <= 1, "{column} {row}: {ours} {resized}");
        }
    }
}

/// With noise, which no photo has: there they are within a hundredth.
#[test]
fn random_crops_are_as_sharp_as_the_frames_that_a_model_is_judged_on() {
    let (original, frame) = (PictureSize { width: 640, height: 640 }, PictureSize { width: 64, height: 64 });
    let picture = noise(original);
    let kept_size = RandomCrop::kept_size(original, frame);
    let kept = resized(&picture, original, kept_size);
    let mut out = vec![0; 3 * 64 * 64];
    for (half, softest, sharpest) in [(1.0, 0.9, 1.1), (0.8, 0.9, 1.15), (0.6, 0.8, 1.1)] {
        let size = PictureSize { width: (640.0 * half) as u32, height: (640.0 * half) as u32 };
        let judged = resized(&noise(size), size, frame);
        let (mut ratio, tries) = (0.0, 8);
        for i in 0..tries {
            let centre = ((1.0 - half) * (i as f64).sin(), (1.0 - half) * (i as f64 * 2.0).cos());
            let draw = Draw { crop: Some(Crop { centre, half: (half, half) }), ..Draw::NONE };
            draw.apply(&Source { pixels: &kept, size: kept_size, resized: true }, &mut out, frame);
            ratio += sharpness(&out, frame) / sharpness(&judged, frame) / f64::from(tries);
        }
        println!("a part of {half} of each side: {ratio:.3} times as sharp as a resize of it");
        assert!((softest..sharpest).contains(&ratio), "{half}: {ratio}");
    }
}
