//! Baseline JPEG at an eighth of its size, with the very pixels of libjpeg-turbo in little more than half of its
//! time.
//!
//! At this size a block of 8 x 8 luma samples becomes one pixel, which is its DC coefficient. What takes libjpeg-turbo
//! its time is to read the up to 63 AC coefficients after it, code by code, only to drop them. Here a table says for
//! the next [`SKIP_BITS`] bits where the last whole coefficient in them ends, so that one step skips several.
//!
//! It does the common and sound pictures: 8-bit sequential Huffman JPEG, grey or YCbCr with whole (4:4:4), halved
//! (4:2:2) or quartered (4:2:0) chroma, in one scan. Everything else, above all everything that libjpeg-turbo warns
//! about, is `None`: then libjpeg-turbo decodes it, and says what is wrong with it.
//!
//! Figures and tables mentioned are those of ITU-T T.81, the JPEG standard.

mod bits;
mod header;
mod huffman;
mod quarters;

use bits::Reader;
use header::{Frame, Header};
use huffman::{SkipTable, ValueTable};
use quarters::{Quarters, clamped, descale, is_level, taps};

use super::PictureSize;

/// Coefficients of a block.
const BLOCK: u32 = 64;

/// Bound on dequantized coefficients. Those of a sound picture keep to half of it; with more, the 16-bit arithmetic of
/// libjpeg-turbo's SIMD code may overflow.
const MAX_COEFFICIENT: i32 = 2048;

/// RGB at an eighth of the size (rounded up), and that size; `None` where libjpeg-turbo shall decode.
pub(super) fn decode(bytes: &[u8]) -> Option<(Vec<u8>, PictureSize)> {
    let (header, scan) = Header::read(bytes)?;
    let frame = header.frame.as_ref()?;
    let mut components = components(&header, frame)?;
    let pixels = decode_scan(frame, &mut components, header.restart_interval, scan)?;
    Some((pixels, PictureSize { width: frame.width.div_ceil(8), height: frame.height.div_ceil(8) }))
}

struct Component {
    dc: ValueTable,
    blocks_to: BlocksTo,
    /// Blocks in an MCU, across and down.
    blocks: (usize, usize),
    /// Pixels of an MCU, across and down.
    samples: (usize, usize),
    /// Step of the DC coefficient.
    quantization: i32,
    /// The last DC coefficient.
    prediction: i32,
}

/// The frame's components with their tables.
fn components(header: &Header, frame: &Frame) -> Option<Vec<Component>> {
    let mut components = Vec::with_capacity(frame.components.len());
    for (index, (component, &(dc, ac))) in frame.components.iter().zip(&header.scan).enumerate() {
        let quantization = (*header.quantization.get(usize::from(component.quantization))?)?;
        let (dc, ac) = ((*header.dc.get(dc)?)?, (*header.ac.get(ac)?)?);
        if !dc.is_valid() || !ac.is_valid() || dc.symbols.iter().any(|&size| size > 15) {
            return None;
        }
        let luma = index == 0;
        let quartered = frame.horizontal == 2 && frame.vertical == 2;
        components.push(Component {
            dc: ValueTable::new(&dc),
            blocks_to: if !luma && quartered {
                BlocksTo::Quarters(Quarters { ac: ValueTable::new(&ac), taps: taps(quantization) })
            } else {
                BlocksTo::Means(SkipTable::new(&ac))
            },
            blocks: if luma { (frame.horizontal, frame.vertical) } else { (1, 1) },
            samples: (frame.horizontal, frame.vertical),
            quantization: quantization[0].into(),
            prediction: 0,
        });
    }
    Some(components)
}

/// What becomes of a block.
// There are no more than three of them, so their size does not matter.
#[expect(clippy::large_enum_variant)]
enum BlocksTo {
    /// One sample.
    Means(SkipTable),
    /// 2 x 2 samples: quartered chroma has a sample per pixel that way.
    Quarters(Quarters),
}

impl Component {
    /// Decodes the component's blocks of an MCU into its plane.
    #[inline(never)]
    fn decode_mcu(&mut self, reader: &mut Reader, plane: &mut [u8], stride: usize, mcu: usize) -> Option<()> {
        // A copy stays in registers.
        let mut own = *reader;
        let (across, down) = self.blocks;
        let at = mcu * self.samples.0;
        let quantization = self.quantization;
        let mut dc = self.prediction;
        match &self.blocks_to {
            BlocksTo::Means(table) => {
                for row in 0..down {
                    let samples = plane.get_mut(row * stride + at..)?;
                    for column in 0..across {
                        dc += self.dc.take_dc(&mut own)?;
                        table.skip_block(&mut own)?;
                        *samples.get_mut(column)? = mean(dc, quantization)?;
                    }
                    // Halved chroma has one block for two pixels.
                    if self.samples.0 > across {
                        *samples.get_mut(1)? = samples[0];
                    }
                }
            }
            BlocksTo::Quarters(quarters) => {
                dc += self.dc.take_dc(&mut own)?;
                let [top, bottom] = quarters.take_block(&mut own, dc)?;
                let samples = plane.get_mut(at..)?;
                *samples.first_chunk_mut()? = top;
                *samples.get_mut(stride..)?.first_chunk_mut()? = bottom;
            }
        }
        self.prediction = dc;
        *reader = own;
        Some(())
    }
}

/// The mean of a block as a sample.
fn mean(dc: i32, quantization: i32) -> Option<u8> {
    if dc.abs() > MAX_COEFFICIENT {
        return None;
    }
    let level = descale(dc * quantization, 3);
    is_level(level).then(|| clamped(level))
}

fn decode_scan(frame: &Frame, components: &mut [Component], restart_interval: u16, scan: &[u8]) -> Option<Vec<u8>> {
    let (width, height) = (frame.width.div_ceil(8) as usize, frame.height.div_ceil(8) as usize);
    let mcus = width.div_ceil(frame.horizontal);
    let stride = mcus * frame.horizontal;
    // For each component the rows of samples of one row of MCUs.
    let mut planes = vec![vec![0; stride * frame.vertical]; components.len()];
    // At most 200 MB, as the sides are bounded.
    let mut pixels = Vec::with_capacity(3 * width * height);
    let mut reader = Reader::new(scan);
    let mut until_restart = restart_interval;
    let mut restarts = 0;
    for mcu_row in 0..height.div_ceil(frame.vertical) {
        for mcu in 0..mcus {
            if restart_interval > 0 {
                if until_restart == 0 {
                    reader = reader.after_marker(0xD0 + restarts)?;
                    restarts = (restarts + 1) % 8;
                    until_restart = restart_interval;
                    components.iter_mut().for_each(|component| component.prediction = 0);
                }
                until_restart -= 1;
            }
            for (component, plane) in components.iter_mut().zip(&mut planes) {
                component.decode_mcu(&mut reader, plane, stride, mcu)?;
            }
            if reader.is_overdrawn() {
                return None;
            }
        }
        let rows = frame.vertical.min(height - mcu_row * frame.vertical);
        for row in 0..rows {
            append_rgb(&mut pixels, &planes, row * stride..row * stride + width)?;
        }
    }
    reader.after_marker(0xD9)?;
    Some(pixels)
}

/// Appends pixels of the planes as RGB.
fn append_rgb(pixels: &mut Vec<u8>, planes: &[Vec<u8>], range: std::ops::Range<usize>) -> Option<()> {
    let luma = planes.first()?.get(range.clone())?;
    match planes {
        [_, cb, cr] => {
            let chroma = cb.get(range.clone())?.iter().zip(cr.get(range)?);
            pixels.extend(luma.iter().zip(chroma).flat_map(|(&y, (&cb, &cr))| rgb(y, cb, cr)));
        }
        _ => pixels.extend(luma.iter().flat_map(|&y| [y; 3])),
    }
    Some(())
}

/// YCbCr to RGB with libjpeg's constants: 1.402, 0.71414, 0.34414 and 1.772 times 2^16.
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + ((91881 * cr + HALF) >> 16);
    let green = y + ((-46802 * cr - 22554 * cb + HALF) >> 16);
    let blue = y + ((116130 * cb + HALF) >> 16);
    [red, green, blue].map(|value| value.clamp(0, 255) as u8)
}

#[cfg(test)]
mod tests;
