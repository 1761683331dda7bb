//! A picture with its answer drawn into it, for people to look at.
//!
//! Labels and values stand on dark plates from the upper left corner down, points lie where they are said to be.
//! Everything has a light and a dark part, so it can be read on any picture.

mod plates;
mod points;

use resvg::tiny_skia::{IntSize, Pixmap};

use super::Answer;
use crate::{
    drawing,
    picture::{Detail, Limits, Picture, PictureError, PictureSize, ResizeMethod, ResizeRule},
};

/// The longer side is at most so many pixels.
const LARGEST: u32 = 1600;
/// A smaller picture is enlarged until its longer side has so many pixels, so that text fits onto it.
const SMALLEST: u32 = 480;

/// What of the picture is needed.
const SHOWN: ResizeRule =
    ResizeRule { method: ResizeMethod::Pad, size: PictureSize { width: LARGEST, height: LARGEST } };
/// Bytes that a drawing of the largest size takes: as RGB, as RGBA, as RGB again and as PNG.
const DRAWING: u64 = 32 << 20;

/// Why there is no drawing.
#[derive(Debug, thiserror::Error)]
pub enum AnnotateError {
    /// The picture has no pixels for us.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The drawing, or its PNG, failed.
    #[error("the answer cannot be drawn: {0}")]
    Draw(String),
}

/// What is drawn: its frame and the SVG elements in it.
struct Canvas {
    size: PictureSize,
    /// Height of the letters' line in pixels.
    line: f64,
    body: String,
}

/// A PNG of a picture (its encoded bytes) with its answer. The picture is as EXIF orients it, its longer side scaled
/// into 480…1600 pixels.
///
/// # Errors
/// The picture cannot be decoded, or the drawing fails.
pub fn annotate(bytes: &[u8], limits: &Limits, answer: &Answer) -> Result<Vec<u8>, AnnotateError> {
    let picture = Picture::decode(bytes, limits, Detail::For(&SHOWN))?;
    let size = shown_size(picture.original);
    let mut pixmap = ground(&picture, size)?;
    let body = body(answer, picture.original, size);
    let PictureSize { width, height } = size;
    let svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">{body}</svg>"#
    );
    let tree = drawing::parse(&svg).map_err(draw)?;
    drawing::paint(&tree, 1.0, &mut pixmap.as_mut());
    png(&pixmap)
}

/// About the most bytes of memory that [`annotate`] takes at a time, by the picture's header.
///
/// # Errors
/// As of [`Picture::memory`].
pub fn memory(bytes: &[u8], limits: &Limits) -> Result<u64, PictureError> {
    Ok(Picture::memory(bytes, limits, Detail::For(&SHOWN))? + DRAWING)
}

/// The SVG elements of an answer.
fn body(answer: &Answer, original: PictureSize, size: PictureSize) -> String {
    let mut canvas = Canvas { size, line: line(size), body: String::new() };
    match answer {
        Answer::Labels { labels } if labels.is_empty() => {
            plates::stack(&mut canvas, &[("no label reaches its threshold".to_owned(), None)]);
        }
        Answer::Labels { labels } => {
            let plates: Vec<_> = labels.iter().map(|label| (label.label.clone(), Some(score(label.score)))).collect();
            plates::stack(&mut canvas, &plates);
        }
        Answer::Values { values } => {
            let plates: Vec<_> = values.iter().map(|value| (value.name.clone(), Some(number(value.value)))).collect();
            plates::stack(&mut canvas, &plates);
        }
        Answer::Points { points } => points::draw(&mut canvas, points, original),
    }
    canvas.body
}

/// The picture's size scaled so that its longer side lies in 480…1600.
fn shown_size(original: PictureSize) -> PictureSize {
    let longer = original.width.max(original.height).max(1);
    let scale = f64::from(longer.clamp(SMALLEST, LARGEST)) / f64::from(longer);
    let side = |pixels: u32| ((f64::from(pixels) * scale).round() as u32).clamp(1, LARGEST);
    PictureSize { width: side(original.width), height: side(original.height) }
}

/// Lines as high as can be read at this size.
fn line(size: PictureSize) -> f64 {
    (f64::from(size.width.min(size.height)) / 22.0).clamp(18.0, 44.0)
}

fn score(score: f32) -> String {
    format!("{score:.2}")
}

/// Four significant digits, without needless zeros.
fn number(value: f32) -> String {
    let magnitude = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    let decimals = (3.0 - magnitude).clamp(0.0, 8.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The picture's pixels at the shown size.
fn ground(picture: &Picture, size: PictureSize) -> Result<Pixmap, AnnotateError> {
    let mut rgb = vec![0; 3 * size.width as usize * size.height as usize];
    picture.resize_into(&ResizeRule { method: ResizeMethod::Squish, size }, &mut rgb)?;
    let rgba = rgb.as_chunks::<3>().0.iter().flat_map(|&[red, green, blue]| [red, green, blue, 255]).collect();
    let size = IntSize::from_wh(size.width, size.height).ok_or_else(|| draw("the picture has no size"))?;
    Pixmap::from_vec(rgba, size).ok_or_else(|| draw("the picture does not fit its size"))
}

/// Opaque pixels as a PNG without alpha.
fn png(pixmap: &Pixmap) -> Result<Vec<u8>, AnnotateError> {
    use image::{
        ExtendedColorType, ImageEncoder as _,
        codecs::png::{CompressionType, FilterType, PngEncoder},
    };
    let rgb: Vec<u8> =
        pixmap.data().as_chunks::<4>().0.iter().flat_map(|&[red, green, blue, _]| [red, green, blue]).collect();
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive)
        .write_image(&rgb, pixmap.width(), pixmap.height(), ExtendedColorType::Rgb8)
        .map_err(draw)?;
    Ok(png)
}

fn draw(error: impl std::fmt::Display) -> AnnotateError {
    AnnotateError::Draw(error.to_string())
}

#[cfg(test)]
mod tests;
