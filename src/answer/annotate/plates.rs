//! Labels and values: one plate each, below each other, in as many columns as there is room for.

use std::fmt::Write as _;

use super::Canvas;
use crate::drawing::{escape, parse, shorten};

/// Height of a letter against the height of its line.
const LETTER: f64 = 0.62;
/// Width of an average letter of DejaVu Sans against its height, for where text is cut.
const WIDTH: f64 = 0.62;

/// A text on its dark ground, with what it is held at beside it.
struct Plate {
    /// The upper left corner.
    at: (f64, f64),
    /// Of the plate, and of the text on it.
    width: f64,
    text_width: f64,
    text: String,
    value: Option<String>,
}

/// One plate each: a text and what it is held at. What finds no place is counted on the last plate.
pub(super) fn stack(canvas: &mut Canvas, entries: &[(String, Option<String>)]) {
    let (width, height) = (f64::from(canvas.size.width), f64::from(canvas.size.height));
    let (line, gap) = (canvas.line, canvas.line / 5.0);
    let rows = ((height - gap) / (line + gap)).floor().max(1.0) as usize;
    let mut plates: Vec<Plate> = Vec::new();
    let mut x = gap;
    // A further column has to be wide enough for a word.
    while plates.len() < entries.len() && (plates.is_empty() || width - x - gap >= 8.0 * line) {
        let mut widest: f64 = 0.0;
        let room = width - x - gap;
        for (row, (text, value)) in entries[plates.len()..].iter().take(rows).enumerate() {
            let at = (x, gap + row as f64 * (line + gap));
            let plate = Plate::new(at, line, room, text, value.clone());
            widest = widest.max(plate.width);
            plates.push(plate);
        }
        x += widest + gap;
    }
    let missing = entries.len() - plates.len();
    if missing > 0
        && let Some(last) = plates.pop()
    {
        let room = (width - last.at.0 - gap).max(0.0);
        plates.push(Plate::new(last.at, line, room, &format!("and {} more", missing + 1), None));
    }
    plates.iter().for_each(|plate| plate.draw(canvas));
}

impl Plate {
    /// A plate at most `room` wide, if that leaves three letters.
    fn new(at: (f64, f64), line: f64, room: f64, text: &str, value: Option<String>) -> Self {
        let (size, inset) = (LETTER * line, line / 3.0);
        let value_width = value.as_deref().map_or(0.0, |value| text_width(value, size) + inset);
        let letters = ((room - value_width - 2.0 * inset) / (WIDTH * size)).max(3.0) as usize;
        let text = shorten(text, letters);
        let text_width = text_width(&text, size);
        Self { at, width: text_width + value_width + 2.0 * inset, text_width, text, value }
    }

    fn draw(&self, canvas: &mut Canvas) {
        let Self { at: (x, y), width, text_width, text, value } = self;
        let line = canvas.line;
        let (size, inset, round) = (LETTER * line, line / 3.0, line / 5.0);
        let (text, value) = (escape(text), escape(value.as_deref().unwrap_or_default()));
        let (left, right, baseline) = (x + inset, x + 2.0 * inset + text_width, y + line * 0.72);
        // Writing into a String cannot fail.
        let _ = write!(
            canvas.body,
            concat!(
                r##"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{line:.1}" rx="{round:.1}" fill="#101418" "##,
                r##"fill-opacity=".82" stroke="#ffffff" stroke-opacity=".55"/>"##,
                r##"<text x="{left:.1}" y="{baseline:.1}" font-size="{size:.1}" fill="#ffffff">{text}</text>"##,
                r##"<text x="{right:.1}" y="{baseline:.1}" font-size="{size:.1}" fill="#ffd34d">{value}</text>"##,
            ),
            x = x,
            y = y,
            width = width,
            line = line,
            round = round,
            left = left,
            right = right,
            baseline = baseline,
            size = size,
            text = text,
            value = value,
        );
    }
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
