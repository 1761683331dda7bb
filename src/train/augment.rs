//! TEMPORARY
#![allow(missing_docs)]
use serde::{Deserialize, Serialize};
use crate::picture::PictureSize;
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Augmentation { pub flip: bool, pub max_rotate: f64, pub max_zoom: f64, pub max_warp: f64, pub max_lighting: f64, pub p: f64 }
impl Default for Augmentation { fn default() -> Self { Self { flip: true, max_rotate: 10.0, max_zoom: 1.1, max_warp: 0.2, max_lighting: 0.2, p: 0.75 } } }
impl Augmentation { pub fn none() -> Self { Self::default() } pub fn draw(&self, _: u64, _: u64, _: u64) -> Drawn { Drawn } }
pub struct Drawn;
impl Drawn {
    pub fn apply(&self, source: &[u8], _: PictureSize, out: &mut [f32], _: PictureSize) { out.iter_mut().zip(source).for_each(|(a, b)| *a = f32::from(*b)); }
    pub fn map_point(&self, p: (f64, f64)) -> (f64, f64) { p }
    pub fn flipped(&self) -> bool { false }
}
