//! Points: a dot each, with its name where they are few, and its number where they are not too many.

use std::fmt::Write as _;

use super::Canvas;
use crate::{
    answer::PointAnswer,
    drawing::{escape, shorten},
    picture::PictureSize,
};

/// Up to so many points have their names beside them.
const NAMED: usize = 12;
/// Up to so many have their number, counted from 0.
const NUMBERED: usize = 100;
/// Letters of a name.
const LETTERS: usize = 24;

pub(super) fn draw(canvas: &mut Canvas, points: &[PointAnswer], original: PictureSize) {
    let scale = f64::from(canvas.size.width) / f64::from(original.width.max(1));
    let scale_y = f64::from(canvas.size.height) / f64::from(original.height.max(1));
    let few = points.len() <= NAMED;
    let (radius, size) =
        if few { (canvas.line / 6.0, 0.55 * canvas.line) } else { (canvas.line / 10.0, (0.34 * canvas.line).max(9.0)) };
    let placed = || points.iter().map(|point| (f64::from(point.x) * scale, f64::from(point.y) * scale_y, point));
    for (x, y, _) in placed().filter(|(.., point)| point.in_frame) {
        // Writing into a String cannot fail.
        let _ = write!(
            canvas.body,
            r##"<circle cx="{x:.1}" cy="{y:.1}" r="{:.1}" fill="#101418"/><circle cx="{x:.1}" cy="{y:.1}" r="{:.1}" fill="#ffffff"/><circle cx="{x:.1}" cy="{y:.1}" r="{radius:.1}" fill="#ff2f7d"/>"##,
            radius + 2.0,
            radius + 1.0,
        );
    }
    if points.len() > NUMBERED {
        return;
    }
    for (number, (x, y, point)) in placed().enumerate().filter(|(_, (.., point))| point.in_frame) {
        let text = if few { escape(&shorten(&point.name, LETTERS)) } else { number.to_string() };
        // On the side that has more room.
        let right = x * 2.0 < f64::from(canvas.size.width) || !few;
        let (x, anchor) = if right { (x + radius + 3.0, "start") } else { (x - radius - 3.0, "end") };
        let _ = write!(
            canvas.body,
            r##"<text x="{x:.1}" y="{:.1}" text-anchor="{anchor}" font-size="{size:.1}" fill="#ffffff" stroke="#101418" stroke-width="{:.1}" stroke-linejoin="round" paint-order="stroke">{text}</text>"##,
            y + 0.36 * size,
            size / 5.0,
        );
    }
}
