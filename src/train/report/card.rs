//! One picture with what was expected and predicted: as a figure of the page, and as a drawing in a grid.

use std::path::Path;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::svg::{Anchor, Drawing, escape, shorten};
use crate::picture::{Detail, Limits, Picture, PictureSize, ResizeMethod, ResizeRule};

/// The longer side of a shown picture, in units of a drawing.
pub(super) const SIDE: f64 = 200.0;
/// The longer side of a picture on the page, in pixels.
const THUMBNAIL: f64 = 176.0;
/// Height of a line of text below a picture.
const LINE: f64 = 15.0;
/// Characters of a line of text that fit below a picture.
const CHARACTERS: usize = 29;
/// Lines that one text below a picture may take.
const MOST_LINES: usize = 3;

/// A small JPEG.
#[derive(Clone, Debug)]
pub(super) struct Thumbnail {
    /// A data URI.
    source: String,
    /// Its size where it is shown; the longer side is [`SIDE`].
    pub(super) shown: (f64, f64),
}

impl Thumbnail {
    /// The picture of a file whose size as EXIF orients it is `size`; none where it cannot be read any more.
    pub(super) fn read(path: &Path, size: PictureSize) -> Option<Self> {
        let scale = THUMBNAIL / f64::from(size.width.max(size.height).max(1));
        let pixels = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
        let small = PictureSize { width: pixels(size.width), height: pixels(size.height) };
        let rule = ResizeRule { method: ResizeMethod::Squish, size: small };
        let bytes = std::fs::read(path).ok()?;
        let picture = Picture::decode(&bytes, &Limits::default(), Detail::For(&rule)).ok()?;
        let mut rgb = vec![0; 3 * small.width as usize * small.height as usize];
        picture.resize_into(&rule, &mut rgb).ok()?;
        Self::of(&rgb, small, 80)
    }

    /// Row-major RGB pixels, by a JPEG of this quality, 1 to 100.
    pub(super) fn of(rgb: &[u8], size: PictureSize, quality: i32) -> Option<Self> {
        let (width, height) = (size.width as usize, size.height as usize);
        let format = turbojpeg::PixelFormat::RGB;
        let image = turbojpeg::Image { pixels: rgb, width, pitch: 3 * width, height, format };
        let jpeg = turbojpeg::compress(image, quality, turbojpeg::Subsamp::Sub2x2).ok()?;
        let source = format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(&*jpeg));
        let scale = SIDE / width.max(height).max(1) as f64;
        Some(Self { source, shown: (width as f64 * scale, height as f64 * scale) })
    }
}

/// A picture with texts below it.
#[derive(Clone, Debug)]
pub(super) struct Card {
    /// The file's name.
    pub(super) name: String,
    /// What there is to say, each with its class: `right`, `wrong` or none.
    pub(super) lines: Vec<(&'static str, String)>,
    pub(super) thumbnail: Option<Thumbnail>,
    /// Drawn over the picture, in its shown units.
    pub(super) marks: Drawing,
}

impl Card {
    /// A figure of the page.
    pub(super) fn figure(&self) -> String {
        let name = escape(&self.name);
        let mut drawing = Drawing { words: self.words(), ..self.picture() };
        (drawing.width, drawing.height) = self.shown();
        let lines: String = self
            .lines
            .iter()
            .map(|(class, line)| format!(r#"<span class="{class}">{}</span>"#, escape(line)))
            .collect();
        let picture = drawing.inline();
        format!(r#"<figure class="card">{picture}<figcaption><b>{name}</b>{lines}</figcaption></figure>"#)
    }

    /// The picture, and its texts below it.
    pub(super) fn drawing(&self) -> Drawing {
        let mut drawing = Drawing::new(SIDE, SIDE, &self.words());
        let (width, height) = self.shown();
        let (x, y) = ((SIDE - width) / 2.0, (SIDE - height) / 2.0);
        let body = self.picture().body;
        drawing.add(format_args!(
            r#"<svg x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" viewBox="0 0 {width:.1} {height:.1}">{body}</svg>"#
        ));
        drawing.text("", (0.0, SIDE + LINE), Anchor::Start, &shorten(&self.name, CHARACTERS));
        drawing.height += LINE;
        for (class, line) in &self.lines {
            let class = if *class == "wrong" { "f5" } else { "soft" };
            for row in wrap(line) {
                drawing.height += LINE;
                drawing.text(class, (0.0, drawing.height), Anchor::Start, &row);
            }
        }
        drawing.height += 5.0;
        drawing
    }

    fn shown(&self) -> (f64, f64) {
        self.thumbnail.as_ref().map_or((SIDE, 0.75 * SIDE), |thumbnail| thumbnail.shown)
    }

    fn picture(&self) -> Drawing {
        let (width, height) = self.shown();
        let mut drawing = Drawing::new(width, height, "");
        if let Some(Thumbnail { source, .. }) = &self.thumbnail {
            drawing.add(format_args!(
                r#"<image href="{source}" width="{width:.1}" height="{height:.1}" preserveAspectRatio="none"/>"#
            ));
        } else {
            drawing.rectangle("blank", (0.0, 0.0), (width, height));
            let text = "the picture cannot be read";
            drawing.text("soft", (width / 2.0, height / 2.0), Anchor::Middle, text);
        }
        drawing.place(&self.marks, (0.0, 0.0));
        drawing
    }

    fn words(&self) -> String {
        let lines: Vec<&str> = self.lines.iter().map(|(_, line)| line.as_str()).collect();
        format!("{}: {}", self.name, lines.join("; "))
    }
}

/// Words in rows that fit below a picture; what is longer ends in an ellipsis.
fn wrap(text: &str) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in text.split(' ') {
        let row = rows.last_mut().filter(|row| row.chars().count() + word.chars().count() < CHARACTERS);
        match row {
            Some(row) if row.is_empty() => row.push_str(word),
            Some(row) => row.extend([" ", word]),
            None => rows.push(word.to_owned()),
        }
    }
    rows.retain(|row| !row.is_empty());
    if rows.len() > MOST_LINES {
        rows.truncate(MOST_LINES);
        rows[MOST_LINES - 1].push_str(" …");
    }
    rows.iter().map(|row| shorten(row, CHARACTERS)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_wrapped_between_words_and_end_in_an_ellipsis() {
        assert_eq!(wrap("expected: car"), ["expected: car"]);
        let long = wrap(&"bicycle, ".repeat(20));
        assert_eq!(long.len(), MOST_LINES);
        assert!(long.iter().all(|row| row.chars().count() <= CHARACTERS) && long[2].ends_with('…'));
        assert_eq!(wrap(&"x".repeat(50)), ["x".repeat(CHARACTERS - 1) + "…"]);
    }

    #[test]
    fn a_picture_that_is_gone_is_a_blank_that_says_so() {
        let size = PictureSize { width: 40, height: 30 };
        assert!(Thumbnail::read(Path::new("/no/such/file.jpg"), size).is_none());
        let marks = Drawing::new(0.0, 0.0, "");
        let card = Card { name: "<gone>.jpg".to_owned(), lines: Vec::new(), thumbnail: None, marks };
        assert!(card.figure().contains("cannot be read") && card.figure().contains("&lt;gone&gt;.jpg"));
        assert!(card.drawing().png().is_ok());
    }
}
