//! Drawings: SVG that stands on a page as it is and becomes a PNG with a font of our own, so that neither needs a
//! font, a browser or a library of the machine.

use std::fmt::Write as _;

use resvg::tiny_skia::Pixmap;

use super::{ReportError, style};
use crate::drawing;
pub(super) use crate::drawing::{escape, shorten};

/// Pixels of a PNG for each unit of a drawing.
const PIXELS: f32 = 2.0;
/// The largest side of a PNG, in pixels; larger drawings are drawn smaller.
const LARGEST: f32 = 12_000.0;
/// Between the drawings of a sheet.
const GAP: f64 = 12.0;

/// An SVG drawing without its outermost element.
#[derive(Clone, Debug)]
pub(super) struct Drawing {
    pub(super) width: f64,
    pub(super) height: f64,
    /// What it shows, in words, for those who do not see it.
    pub(super) words: String,
    /// SVG elements.
    pub(super) body: String,
}

/// Where a text stands to its place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Drawing {
    pub(super) fn new(width: f64, height: f64, words: &str) -> Self {
        Self { width, height, words: words.to_owned(), body: String::new() }
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(format_args!(r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#));
    }

    pub(super) fn rectangle(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
        self.add(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#
        ));
    }

    pub(super) fn circle(&mut self, class: &str, (x, y): (f64, f64), radius: f64) {
        self.add(format_args!(r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{radius:.1}"/>"#));
    }

    pub(super) fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escape(text);
        self.add(format_args!(r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#));
    }

    /// A line through points; one that is no number interrupts it.
    pub(super) fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        let (mut path, mut drawing) = (String::new(), false);
        for (x, y) in points {
            if x.is_finite() && y.is_finite() {
                let _ = write!(path, "{}{x:.1} {y:.1}", if drawing { 'L' } else { 'M' });
            }
            drawing = x.is_finite() && y.is_finite();
        }
        self.add(format_args!(r#"<path class="{class}" d="{path}"/>"#));
    }

    /// Adds elements.
    pub(super) fn add(&mut self, elements: std::fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _ = self.body.write_fmt(elements);
    }

    /// Another drawing in this one, with its upper left corner here.
    pub(super) fn place(&mut self, drawing: &Self, (x, y): (f64, f64)) {
        let body = &drawing.body;
        self.add(format_args!(r#"<g transform="translate({x:.1} {y:.1})">{body}</g>"#));
    }

    /// As an element of a page.
    pub(super) fn inline(&self) -> String {
        let Self { width, height, words, body } = self;
        let words = escape(words);
        format!(r#"<svg viewBox="0 0 {width:.0} {height:.0}" role="img" aria-label="{words}">{body}</svg>"#)
    }

    /// As a PNG on white ground, in the light colours.
    pub(super) fn png(&self) -> Result<Vec<u8>, ReportError> {
        let Self { width, height, body, .. } = self;
        let svg = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}"><style>{}</style><rect class="ground" width="100%" height="100%"/>{body}</svg>"#,
            style::alone()
        );
        let draw = |error: &dyn std::fmt::Display| ReportError::Draw(error.to_string());
        let tree = drawing::parse(&svg).map_err(|error| draw(&error))?;
        let size = tree.size();
        let scale = PIXELS.min(LARGEST / size.width().max(size.height()));
        let pixels = |length: f32| (length * scale).round() as u32;
        let mut pixmap =
            Pixmap::new(pixels(size.width()), pixels(size.height())).ok_or_else(|| draw(&"it has no size"))?;
        drawing::paint(&tree, scale, &mut pixmap.as_mut());
        pixmap.encode_png().map_err(|error| draw(&error))
    }
}

/// Drawings in rows, one of them each so many columns wide.
pub(super) fn sheet(drawings: &[Drawing], columns: usize) -> Drawing {
    let columns = columns.clamp(1, drawings.len().max(1));
    let width = drawings.iter().map(|drawing| drawing.width).fold(0.0, f64::max);
    let words: Vec<&str> = drawings.iter().map(|drawing| drawing.words.as_str()).collect();
    let mut sheet = Drawing::new(columns as f64 * (width + GAP) + GAP, GAP, &words.join("; "));
    for row in drawings.chunks(columns) {
        for (column, drawing) in row.iter().enumerate() {
            sheet.place(drawing, (GAP + column as f64 * (width + GAP), sheet.height));
        }
        sheet.height += row.iter().map(|drawing| drawing.height).fold(0.0, f64::max) + GAP;
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_ink_without_any_font_of_the_machine() {
        let mut drawing = Drawing::new(60.0, 20.0, "a word");
        let blank = ink(&drawing);
        drawing.text("", (2.0, 14.0), Anchor::Start, "Größe é 漢");
        assert_eq!(blank, 0);
        assert!(ink(&drawing) > 100);
    }

    /// Pixels that are not white.
    fn ink(drawing: &Drawing) -> usize {
        let picture = image::load_from_memory(&drawing.png().unwrap()).unwrap().into_rgb8();
        assert_eq!(picture.dimensions(), (120, 40));
        picture.pixels().filter(|pixel| pixel.0 != [255; 3]).count()
    }

    #[test]
    fn a_sheet_has_rows_as_high_as_their_highest_drawing() {
        let drawings: Vec<Drawing> = [10.0, 30.0, 20.0].map(|height| Drawing::new(40.0, height, "")).into();
        let sheet = sheet(&drawings, 2);
        assert_eq!((sheet.width, sheet.height), (2.0 * 52.0 + 12.0, 12.0 + 42.0 + 32.0));
    }
}
