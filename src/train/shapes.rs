//! A data set drawn by code, to try the trainer without photos: circles, squares and triangles on noisy ground.

use std::{fmt::Write as _, fs, io, path::Path};

use image::{Rgb, RgbImage};
use rand::{RngExt as _, rngs::ChaCha8Rng};

use super::random::{Purpose, draws};

/// Width and height of a drawn picture.
const SIZE: (u32, u32) = (96, 72);
/// The labels.
const SHAPES: [&str; 3] = ["circle", "square", "triangle"];
/// Every fifth picture validates.
const VALID_EVERY: u64 = 5;

/// Draws `count` pictures into `folder`/images and writes two tables beside them: `labels.csv` (which shapes a picture
/// has) and `points.csv` (the centre of its circle, empty where it has none).
///
/// # Errors
/// Whatever the file system or the encoder says.
pub fn draw_data_set(folder: &Path, count: u64, seed: u64) -> io::Result<()> {
    fs::create_dir_all(folder.join("images"))?;
    let (mut labels, mut points) =
        ("fname,labels,is_valid\n".to_owned(), "fname,circle_x,circle_y,is_valid\n".to_owned());
    for item in 0..count {
        let (picture, shapes) = draw(&mut draws(seed, Purpose::Shapes, 0, item));
        let file = format!("{item:05}.png");
        picture.save(folder.join("images").join(&file)).map_err(io::Error::other)?;
        let is_valid = item % VALID_EVERY == 0;
        let names: Vec<&str> = shapes.iter().map(|shape| SHAPES[shape.kind]).collect();
        let circle = shapes.iter().find(|shape| shape.kind == 0);
        let centre = circle.map_or(",".to_owned(), |shape| format!("{:.1},{:.1}", shape.x, shape.y));
        let _ = writeln!(labels, "{file},{},{is_valid}", names.join(" "));
        let _ = writeln!(points, "{file},{centre},{is_valid}");
    }
    fs::write(folder.join("labels.csv"), labels)?;
    fs::write(folder.join("points.csv"), points)
}

/// One shape: its kind is a place in [`SHAPES`], its radius is that of the circle around it.
struct Shape {
    kind: usize,
    x: f32,
    y: f32,
    radius: f32,
}

/// A picture with none to three shapes, each kind at most once.
fn draw(random: &mut ChaCha8Rng) -> (RgbImage, Vec<Shape>) {
    let ground: [f32; 3] = std::array::from_fn(|_| random.random_range(30.0..225.0));
    let mut picture = RgbImage::from_fn(SIZE.0, SIZE.1, |_, _| {
        Rgb(ground.map(|value| (value + random.random_range(-20.0..20.0)) as u8))
    });
    let mut shapes = Vec::new();
    for kind in 0..SHAPES.len() {
        if !random.random_bool(0.5) {
            continue;
        }
        let radius = random.random_range(7.0..16.0_f32);
        let shape = Shape {
            kind,
            x: random.random_range(radius..SIZE.0 as f32 - radius),
            y: random.random_range(radius..SIZE.1 as f32 - radius),
            radius,
        };
        // Far from the ground's brightness, so that a person can tell the shape too.
        let colour = ground.map(|value| ((value + random.random_range(90.0..160.0)) % 256.0) as u8);
        for (x, y, pixel) in picture.enumerate_pixels_mut() {
            if shape.covers(x as f32 + 0.5, y as f32 + 0.5) {
                pixel.0 = colour;
            }
        }
        shapes.push(shape);
    }
    (picture, shapes)
}

impl Shape {
    fn covers(&self, x: f32, y: f32) -> bool {
        let (dx, dy) = ((x - self.x) / self.radius, (y - self.y) / self.radius);
        match self.kind {
            0 => dx * dx + dy * dy <= 1.0,
            1 => dx.abs().max(dy.abs()) <= std::f32::consts::FRAC_1_SQRT_2,
            // Its tip is up at −1, its base down at ½.
            _ => dy <= 0.5 && dx.abs() <= (dy + 1.0) / 3.0_f32.sqrt(),
        }
    }
}
