//! Golden pictures: tiny pictures drawn by code, never a user's photos, chosen so that a model's outputs spread.

use std::io::Cursor;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use image::{ImageFormat, RgbImage};
use sha2::{Digest as _, Sha256};

use crate::model::{Golden, GoldenSample};

/// Golden samples of a model.
const KEPT: usize = 6;
/// Width and height of a golden picture.
const SIZE: (u32, u32) = (48, 40);

/// Draws `count` pictures: a gradient with a few discs and bars on it, as PNG.
///
/// # Errors
/// What the encoder says.
pub fn draw_pictures(seed: u64, count: u64) -> image::ImageResult<Vec<Vec<u8>>> {
    (0..count).map(|item| encode(&draw(&mut Draws { seed, item, next: 0 }))).collect()
}

fn encode(picture: &RgbImage) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
    Ok(bytes)
}

/// Random numbers as a function of seed, picture and place, from SHA-256: the server's program has no other generator.
struct Draws {
    seed: u64,
    item: u64,
    next: u64,
}

impl Draws {
    /// A number from `low` up to but not including `high`.
    fn within(&mut self, low: f32, high: f32) -> f32 {
        let mut state = Sha256::new_with_prefix(b"golden pictures");
        for part in [self.seed, self.item, self.next] {
            state.update(part.to_le_bytes());
        }
        self.next += 1;
        let [a, b, c, ..]: [u8; 32] = state.finalize().into();
        // 24 bits are as many as a float32 holds.
        let share = u32::from_le_bytes([a, b, c, 0]) as f32 / (1 << 24) as f32;
        low + (high - low) * share
    }
}

fn draw(random: &mut Draws) -> RgbImage {
    let colour = |random: &mut Draws| -> [f32; 3] { std::array::from_fn(|_| random.within(0.0, 255.0)) };
    let (from, to) = (colour(random), colour(random));
    let mut picture = RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        let share = (x + y) as f32 / (SIZE.0 + SIZE.1) as f32;
        image::Rgb(std::array::from_fn(|i| (from[i] + (to[i] - from[i]) * share) as u8))
    });
    for _ in 0..random.within(2.0, 7.0) as u32 {
        let shape = Shape {
            centre: (random.within(0.0, SIZE.0 as f32), random.within(0.0, SIZE.1 as f32)),
            reach: (random.within(2.0, 18.0), random.within(2.0, 18.0)),
            round: random.within(0.0, 1.0) < 0.5,
        };
        let colour = colour(random).map(|value| value as u8);
        for (x, y, pixel) in picture.enumerate_pixels_mut() {
            if shape.covers(x as f32, y as f32) {
                pixel.0 = colour;
            }
        }
    }
    picture
}

struct Shape {
    centre: (f32, f32),
    reach: (f32, f32),
    round: bool,
}

impl Shape {
    fn covers(&self, x: f32, y: f32) -> bool {
        let (dx, dy) = ((x - self.centre.0) / self.reach.0, (y - self.centre.1) / self.reach.1);
        if self.round { dx * dx + dy * dy <= 1.0 } else { dx.abs().max(dy.abs()) <= 1.0 }
    }
}

/// The samples of a model, those pictures whose outputs lie farthest apart; each picture has the output at its place.
pub fn choose_golden(pictures: &[Vec<u8>], outputs: &[Vec<f32>]) -> Golden {
    let sample =
        |place: usize| GoldenSample { picture: BASE64.encode(&pictures[place]), output: outputs[place].clone() };
    Golden { samples: spread(outputs, KEPT).into_iter().map(sample).collect() }
}

/// The places of up to `count` outputs that lie far apart: each next one is farthest from those already chosen.
pub fn spread(outputs: &[Vec<f32>], count: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    let mut distance = vec![f32::INFINITY; outputs.len()];
    while chosen.len() < count.min(outputs.len()) {
        let farthest = (0..outputs.len()).filter(|place| !chosen.contains(place)).max_by(|&a, &b| {
            // Of equals the first, so that the choice does not depend on the iterator.
            distance[a].total_cmp(&distance[b]).then(b.cmp(&a))
        });
        let Some(next) = farthest else { break };
        chosen.push(next);
        for (place, output) in outputs.iter().enumerate() {
            distance[place] = distance[place].min(squared_distance(output, &outputs[next]));
        }
    }
    chosen
}

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_small_different_and_the_same_for_the_same_seed() {
        let pictures = draw_pictures(3, 8).unwrap();
        assert_eq!(pictures, draw_pictures(3, 8).unwrap());
        assert!(pictures.iter().all(|bytes| bytes.len() < 8_000));
        assert!(pictures.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn chosen_outputs_lie_far_apart() {
        let outputs: Vec<Vec<f32>> = [0.0, 0.1, 0.9, 0.5, 1.0].map(|value| vec![value]).to_vec();
        assert_eq!(spread(&outputs, 3), [0, 4, 3]);
        assert_eq!(spread(&outputs, 9).len(), 5);
    }
}
