//! A block as 2 x 2 samples.

use super::{
    BLOCK, MAX_COEFFICIENT,
    bits::{REFILLED, Reader},
    huffman::{END_OF_BLOCK, LENGTH, MAX_LENGTH, VALUE_BITS, ValueTable, take_entry},
};

/// Where the coefficients lie in the block (figure A.6), in the order in which they are coded: 8 x row + column.
pub(super) const ZIGZAG: [u8; BLOCK as usize] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// Fractional bits of the constants of the inverse DCT, and of the values between its passes.
pub(super) const CONSTANT_BITS: u32 = 13;
pub(super) const PASS_BITS: u32 = 2;

/// Inverse DCT of a block to 2 x 2 samples, as in libjpeg: even frequencies above 0 do not count.
pub(super) struct Quarters {
    pub(super) ac: ValueTable,
    pub(super) taps: [Tap; BLOCK as usize],
}

/// What a coefficient adds to the first pass of the inverse DCT.
#[derive(Clone, Copy, Default)]
pub(super) struct Tap {
    /// To which of the sums.
    pub(super) sum: u8,
    /// Bound on the coefficient.
    pub(super) max: u16,
    pub(super) weight: i32,
}

/// Weight of frequencies 0, 1, 3, 5, 7 in the odd part, times 2^13; up to eight, as SIMD likes it.
pub(super) const ODD_WEIGHTS: [i16; 8] = [0, 29692, -10426, 6967, -5906, 0, 0, 0];
/// Sums of the first pass for columns 0, 1, 3, 5, 7: first those of row 0, from this on those of odd rows.
pub(super) const ODD_SUMS: u8 = 8;
/// A sum that does not count.
pub(super) const DROPPED: u8 = 15;

/// The taps of coefficients in zigzag order.
pub(super) fn taps(quantization: &[u8; BLOCK as usize]) -> [Tap; BLOCK as usize] {
    /// Place among the frequencies that count.
    pub(super) fn place(frequency: u8) -> Option<u8> {
        if frequency == 0 { Some(0) } else { (frequency % 2 == 1).then_some(frequency.div_ceil(2)) }
    }

    let mut taps = [Tap::default(); BLOCK as usize];
    for ((tap, at), &quantization) in taps.iter_mut().zip(ZIGZAG).zip(quantization) {
        let quantization = i32::from(quantization);
        *tap = Tap { sum: DROPPED, max: u16::MAX, weight: 0 };
        let (Some(row), Some(column)) = (place(at / 8), place(at % 8)) else { continue };
        tap.max = (MAX_COEFFICIENT / quantization) as u16;
        (tap.sum, tap.weight) = match row {
            0 => (column, quantization << (CONSTANT_BITS + 2)),
            _ => (ODD_SUMS + column, quantization * i32::from(ODD_WEIGHTS[usize::from(row)])),
        };
    }
    taps
}

impl Quarters {
    /// Takes the AC coefficients of a block, for two rows of two samples.
    #[inline(always)]
    pub(super) fn take_block(&self, reader: &mut Reader, dc: i32) -> Option<[[u8; 2]; 2]> {
        // A power of two, so that any index fits by a mask.
        let mut sums = [0; 16];
        self.add(&mut sums, 0, dc)?;
        let mut index = 1;
        loop {
            reader.refill();
            for _ in 0..REFILLED / MAX_LENGTH {
                let mut entry = self.ac.entries[reader.peek(VALUE_BITS) as usize];
                if entry & LENGTH == 0 {
                    reader.refill();
                    entry = self.ac.long.entry(reader.buffer)?;
                }
                let value = take_entry(reader, entry);
                index += entry >> 8 & 0xFF;
                if index >= END_OF_BLOCK {
                    return transform(&sums);
                }
                self.add(&mut sums, index - 1, value)?;
                if index == BLOCK {
                    return transform(&sums);
                }
                if entry & LENGTH > MAX_LENGTH {
                    break;
                }
            }
        }
    }

    /// Adds a coefficient; `None` where there is none with the index, or it is too large.
    #[inline(always)]
    pub(super) fn add(&self, sums: &mut [i32; 16], index: u32, value: i32) -> Option<()> {
        let tap = self.taps.get(index as usize)?;
        if value.unsigned_abs() > u32::from(tap.max) {
            return None;
        }
        sums[usize::from(tap.sum & 15)] += tap.weight * value;
        Some(())
    }
}

/// Both passes of the inverse DCT, from the sums to two rows of two samples.
pub(super) fn transform(sums: &[i32; 16]) -> Option<[[u8; 2]; 2]> {
    let (mut top, mut bottom) = ([0; 8], [0; 8]);
    for column in 0..8 {
        let (even, odd) = (sums[column], sums[column + usize::from(ODD_SUMS)]);
        // They fit, as the coefficients are bounded.
        top[column] = descale(even + odd, CONSTANT_BITS - PASS_BITS + 2) as i16;
        bottom[column] = descale(even - odd, CONSTANT_BITS - PASS_BITS + 2) as i16;
    }
    let row = |values: [i16; 8]| {
        let even = i32::from(values[0]) << (CONSTANT_BITS + 2);
        let odd: i32 =
            values.iter().zip(ODD_WEIGHTS).map(|(&value, weight)| i32::from(value) * i32::from(weight)).sum();
        [even + odd, even - odd]
    };
    let levels = [row(top), row(bottom)].map(|row| row.map(|sum| descale(sum, CONSTANT_BITS + PASS_BITS + 3 + 2)));
    levels.as_flattened().iter().all(|&level| is_level(level)).then(|| levels.map(|row| row.map(clamped)))
}

/// Divides by a power of two, rounding.
pub(super) fn descale(value: i32, bits: u32) -> i32 {
    (value + (1 << (bits - 1))) >> bits
}

/// Whether libjpeg clamps it to a sample: four times the range of samples. Beyond, it starts anew at the other end.
pub(super) fn is_level(level: i32) -> bool {
    (-512..512).contains(&level)
}

/// The sample of a level around 0.
pub(super) fn clamped(level: i32) -> u8 {
    (level + 128).clamp(0, 255) as u8
}
