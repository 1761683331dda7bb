//! Drawings of every kind of answer, looked at by their pixels. With `SHOW_DRAWINGS=folder` they are written there.

use image::{Rgb, RgbImage};

use super::*;
use crate::answer::{LabelAnswer, PointAnswer, ValueAnswer};

/// A PNG of a soft pattern around a grey, from black (0) to white (255).
fn photo(width: u32, height: u32, grey: u8) -> Vec<u8> {
    let wave = |x: u32, y: u32| (f64::from(x) / 37.0).sin() * 20.0 + (f64::from(y) / 23.0).cos() * 20.0;
    let colour =
        |x, y| Rgb([0.0, 15.0, 30.0].map(|shift| (f64::from(grey) + wave(x, y) + shift).clamp(0.0, 255.0) as u8));
    let mut bytes = std::io::Cursor::new(Vec::new());
    RgbImage::from_fn(width, height, colour).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn labels(count: usize) -> Answer {
    let names = [
        "beach",
        "sunset over <the> sea & \"clouds\"",
        "Größe",
        "cat",
        "a label whose name has no end in sight at all, none, never, nowhere",
    ];
    let label = |i: usize| LabelAnswer {
        label: names[i % names.len()].to_owned(),
        score: 1.0 - i as f32 / count.max(1) as f32,
        threshold: None,
    };
    Answer::Labels { labels: (0..count).map(label).collect() }
}

fn points(count: usize) -> Answer {
    let point = |i: usize| {
        let (angle, radius) = (i as f32 * 2.4, 0.45 * (i as f32 / count as f32).sqrt());
        let (x_norm, y_norm) = (0.5 + radius * angle.cos(), 0.5 + radius * angle.sin());
        PointAnswer { name: format!("point_{i}"), x: 600.0 * x_norm, y: 400.0 * y_norm, x_norm, y_norm, in_frame: true }
    };
    Answer::Points { points: (0..count).map(point).collect() }
}

/// The drawing's pixels; the pixels that the plain picture has in the same place.
fn drawn(name: &str, bytes: &[u8], answer: &Answer) -> (RgbImage, RgbImage) {
    let png = annotate(bytes, &Limits::default(), answer).unwrap();
    if let Some(folder) = std::env::var_os("SHOW_DRAWINGS") {
        std::fs::write(std::path::Path::new(&folder).join(name), &png).unwrap();
    }
    let plain = annotate(bytes, &Limits::default(), &Answer::Points { points: Vec::new() }).unwrap();
    let read = |png: &[u8]| image::load_from_memory(png).unwrap().into_rgb8();
    (read(&png), read(&plain))
}

/// Of the pixels that were drawn over, how many are bright and how many dark.
fn ink((drawn, plain): &(RgbImage, RgbImage)) -> (usize, usize) {
    let changed = drawn.pixels().zip(plain.pixels()).filter(|(drawn, plain)| drawn != plain);
    let brightness: Vec<u32> = changed.map(|(pixel, _)| pixel.0.iter().map(|&c| u32::from(c)).sum()).collect();
    (brightness.iter().filter(|sum| **sum > 500).count(), brightness.iter().filter(|sum| **sum < 250).count())
}

#[test]
fn every_answer_can_be_read_on_black_grey_and_white() {
    let values = vec![ValueAnswer { name: "age".to_owned(), value: 31.5 }];
    for grey in [0, 128, 255] {
        let picture = photo(600, 400, grey);
        let answers = [
            ("labels", labels(5)),
            ("none", labels(0)),
            ("points", points(9)),
            ("values", Answer::Values { values: values.clone() }),
        ];
        for (name, answer) in answers {
            let (bright, dark) = ink(&drawn(&format!("{name}-{grey}.png"), &picture, &answer));
            // On white the bright part may be the picture itself, and the other way round.
            assert!(bright > 30 || grey == 255, "{name} on {grey}: {bright} bright");
            assert!(dark > 50 || grey == 0, "{name} on {grey}: {dark} dark");
        }
    }
}

#[test]
fn a_picture_is_scaled_into_480_to_1600_pixels() {
    for (size, expected) in [
        ((2400, 1200), (1600, 800)),
        ((1600, 100), (1600, 100)),
        ((90, 120), (360, 480)),
        ((4000, 1), (1600, 1)),
        ((1, 1), (480, 480)),
    ] {
        let (drawing, _) = drawn(&format!("size-{}x{}.png", size.0, size.1), &photo(size.0, size.1, 90), &labels(3));
        assert_eq!(drawing.dimensions(), expected, "{size:?}");
    }
}

#[test]
fn a_point_is_drawn_at_its_place() {
    let nose = PointAnswer { name: "nose".to_owned(), x: 300.0, y: 100.0, x_norm: 0.25, y_norm: 0.125, in_frame: true };
    let outside =
        PointAnswer { name: "tail".to_owned(), x: -50.0, y: 100.0, x_norm: -0.04, y_norm: 0.125, in_frame: false };
    let (drawing, plain) = drawn("nose.png", &photo(1200, 800, 128), &Answer::Points { points: vec![nose, outside] });
    assert_eq!(drawing.get_pixel(300, 100).0, [0xff, 0x2f, 0x7d]);
    // Larger than shown: at half the size it lies at half the place.
    let answer = Answer::Points {
        points: vec![PointAnswer {
            name: "nose".to_owned(),
            x: 1600.0,
            y: 800.0,
            x_norm: 0.5,
            y_norm: 0.5,
            in_frame: true,
        }],
    };
    let (half, _) = drawn("half.png", &photo(3200, 1600, 128), &answer);
    assert_eq!(half.get_pixel(800, 400).0, [0xff, 0x2f, 0x7d]);
    // Nothing of the point outside, nor anything far from the nose and its name.
    let far = drawing
        .enumerate_pixels()
        .zip(plain.pixels())
        .filter(|((x, y, drawn), plain)| drawn != plain && (*x < 250 || *y > 150));
    assert_eq!(far.count(), 0);
}

#[test]
fn many_labels_and_many_points_find_a_place_or_are_counted() {
    let (bright, _) = ink(&drawn("labels-200.png", &photo(600, 400, 60), &labels(200)));
    assert!(bright > 2000, "{bright}");
    drawn("labels-30.png", &photo(1500, 900, 200), &labels(30));
    drawn("points-68.png", &photo(600, 400, 120), &points(68));
    drawn("points-300.png", &photo(600, 400, 120), &points(300));
    drawn("tiny.png", &photo(30, 3, 120), &labels(7));
}

#[test]
fn numbers_have_four_digits_at_most() {
    for (value, text) in
        [(31.5, "31.5"), (0.0, "0"), (-2.0, "-2"), (1234.56, "1235"), (0.001_234_5, "0.001234"), (1e9, "1000000000")]
    {
        assert_eq!(number(value), text);
    }
}
