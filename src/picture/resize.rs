//! Antialiased bilinear resize to the model's frame.
//!
//! The kernel is Pillow's `Image.resize(size, BILINEAR, box)`. The box is fractional, so every pixel lands exactly
//! where [`super::Placement`] says, by all three methods.

use std::cell::RefCell;
use std::ops::Range;

use fast_image_resize::images::{TypedCroppedImageMut, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::{Picture, PictureError, PictureSize, Placement, ResizeRule};

thread_local! {
    /// Keeps the buffer between the two passes from one picture to the next.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// One axis of a resize: these pixels of the frame show this interval of the decoded picture.
struct Axis {
    frame: Range<u32>,
    source: Range<f64>,
}

/// Resizes into `out`; see [`Picture::resize_into`].
pub(super) fn resize_into(picture: &Picture, rule: &ResizeRule, out: &mut [u8]) -> Result<Placement, PictureError> {
    let PictureSize { width, height } = rule.size;
    let expected = 3 * width as usize * height as usize;
    if out.len() != expected || expected == 0 {
        return Err(PictureError::Broken(format!(
            "a frame of {width} x {height} pixels has {expected} bytes, not {}",
            out.len()
        )));
    }
    let placement = rule.placement(picture.original);
    let divisor = f64::from(divisor(picture));
    let sides =
        [(width, picture.original.width, picture.size.width), (height, picture.original.height, picture.size.height)];
    let [x, y] = [(sides[0], placement.scale.0, placement.offset.0), (sides[1], placement.scale.1, placement.offset.1)]
        .map(|((frame, original, decoded), scale, offset)| axis(frame, original, decoded, scale, offset, divisor));

    let source = TypedImageRef::<U8x3>::from_buffer(picture.size.width, picture.size.height, &picture.rgb)
        .map_err(|error| PictureError::Broken(error.to_string()))?;
    if x.frame.len() < width as usize || y.frame.len() < height as usize {
        out.fill(0);
    }
    let mut frame =
        TypedImage::<U8x3>::from_buffer(width, height, out).map_err(|error| PictureError::Broken(error.to_string()))?;
    let mut target = TypedCroppedImageMut::from_ref(
        &mut frame,
        x.frame.start,
        y.frame.start,
        x.frame.end - x.frame.start,
        y.frame.end - y.frame.start,
    )
    .map_err(|error| PictureError::Broken(error.to_string()))?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).crop(
        x.source.start,
        y.source.start,
        x.source.end - x.source.start,
        y.source.end - y.source.start,
    );
    RESIZER
        .with_borrow_mut(|resizer| resizer.resize_typed(&source, &mut target, &options))
        .map_err(|error| PictureError::Broken(error.to_string()))?;
    Ok(placement)
}

/// By how much a scaled decode divided the sides: 1, 2, 4 or 8.
fn divisor(picture: &Picture) -> u32 {
    let fits = |divisor: &u32| {
        picture.original.width.div_ceil(*divisor) == picture.size.width
            && picture.original.height.div_ceil(*divisor) == picture.size.height
    };
    [1, 2, 4, 8].into_iter().find(fits).unwrap_or(1)
}

/// Which pixels of the frame lie wholly within the picture, and what they show of its decoded pixels.
///
/// A frame pixel that the picture covers in part, which padding can give, stays black: less than one at each side.
fn axis(frame: u32, original: u32, decoded: u32, scale: f64, offset: f64, divisor: f64) -> Axis {
    // Rounding errors of the division must not cost a row.
    const NEARLY: f64 = 1e-6;
    let (left, right) = (offset, offset + f64::from(original) * scale);
    let first = (left - NEARLY).ceil().clamp(0.0, f64::from(frame));
    let last = (right + NEARLY).floor().clamp(0.0, f64::from(frame));
    let to_source = |at: f64| ((at - offset) / scale / divisor).clamp(0.0, f64::from(decoded));
    if first < last {
        return Axis { frame: first as u32..last as u32, source: within(to_source(first)..to_source(last), decoded) };
    }
    // A picture so long and thin that it covers no pixel of the padded frame wholly: the middle one shows it.
    let middle = ((left + right) / 2.0).floor().clamp(0.0, f64::from(frame - 1)) as u32;
    Axis { frame: middle..middle + 1, source: within(to_source(left)..to_source(right), decoded) }
}

/// The interval such that start + (end − start) is within the picture in floating point too.
fn within(interval: Range<f64>, side: u32) -> Range<f64> {
    let Range { start, mut end } = interval;
    while start + (end - start) > f64::from(side) {
        end = end.next_down();
    }
    start..end
}
