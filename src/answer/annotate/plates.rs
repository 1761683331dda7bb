//! Labels and values: one plate each, below each other, in as many columns as there is room for.

use std::fmt::Write as _;

use super::Canvas;
use crate::drawing::{escape, parse, shorten};

/// Height of a letter against the height of its line.
const LETTER: f64 = 0.62;
/// Width of an average letter of DejaVu Sans against its height, for where text is cut.
const WIDTH: f64 = 0.62;

/// One plate each: a text and what it is held at. What finds no place is counted on the last plate.
pub(super) fn stack(canvas: &mut Canvas, plates: &[(String, Option<String>)]) {
    let (width, height) = (f64::from(canvas.size.width), f64::from(canvas.size.height));
    let (line, gap) = (canvas.line, canvas.line / 5.0);
    let rows = ((height - gap) / (line + gap)).floor().max(1.0) as usize;
    let (mut x, mut shown) = (gap, 0);
    while shown < plates.len() {
        let room = width - x - gap;
        // A further column has to be wide enough for a word.
        if shown > 0 && room < 8.0 * line {
            break;
        }
        let mut widest: f64 = 0.0;
        for (row, (text, value)) in plates[shown..].iter().take(rows).enumerate() {
            let y = gap + row as f64 * (line + gap);
            widest = widest.max(plate(canvas, (x, y), room, text, value.as_deref()));
        }
        shown += rows.min(plates.len() - shown);
        x += widest + gap;
    }
    if shown < plates.len() {
        let (y, text) = (height - line - gap, format!("and {} more", plates.len() - shown));
        let wide = text_width(&text, LETTER * line) + line;
        plate(canvas, ((width - wide - gap).max(gap), y.max(0.0)), width, &text, None);
    }
}

/// Draws a plate and gives its width, at most `room`.
fn plate(canvas: &mut Canvas, (x, y): (f64, f64), room: f64, text: &str, value: Option<&str>) -> f64 {
    let line = canvas.line;
    let (size, inset) = (LETTER * line, line / 3.0);
    let value_width = value.map_or(0.0, |value| text_width(value, size) + inset);
    let letters = ((room - value_width - 2.0 * inset) / (WIDTH * size)).max(3.0) as usize;
    let text = shorten(text, letters);
    let text_width = text_width(&text, size);
    let width = text_width + value_width + 2.0 * inset;
    let baseline = y + line * 0.72;
    // Writing into a String cannot fail.
    let _ = write!(
        canvas.body,
        r##"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{line:.1}" rx="{:.1}" fill="#101418" fill-opacity=".82" stroke="#ffffff" stroke-opacity=".55"/><text x="{:.1}" y="{baseline:.1}" font-size="{size:.1}" fill="#ffffff">{}</text>"##,
        line / 5.0,
        x + inset,
        escape(&text),
    );
    if let Some(value) = value {
        let _ = write!(
            canvas.body,
            r##"<text x="{:.1}" y="{baseline:.1}" font-size="{size:.1}" fill="#ffd34d">{}</text>"##,
            x + 2.0 * inset + text_width,
            escape(value),
        );
    }
    width
}

/// How wide a text is at this height of letters; as wide as its letters are on average where it cannot be measured.
fn text_width(text: &str, size: f64) -> f64 {
    let svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><text font-size="{size:.1}">{}</text></svg>"#,
        escape(text)
    );
    match parse(&svg).map(|tree| f64::from(tree.root().abs_bounding_box().width())) {
        Ok(width) if width > 0.0 => width,
        _ => text.chars().count() as f64 * WIDTH * size,
    }
}
