//! Bits of the scan.

use super::huffman::LENGTH;

/// Bits that the buffer holds at least after a refill: for three entries.
pub(super) const REFILLED: u32 = 56;

/// Bits of the scan, without the zeros that are stuffed after FF.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) position: usize,
    /// The next bits, from the highest on. Below `count` bits, there may be some of the byte at `position`.
    pub(super) buffer: u64,
    pub(super) count: u32,
    /// How many zeros went into the buffer after the last byte before a marker, or the end.
    pub(super) padding: u32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0, buffer: 0, count: 0, padding: 0 }
    }

    /// Fills up to at least [`REFILLED`] bits.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        if let Some(word) = self.bytes.get(self.position..).and_then(<[u8]>::first_chunk) {
            let word = u64::from_be_bytes(*word);
            let whole = (63 - self.count) / 8;
            // The highest bit of each byte that is FF; above the lowest of them, perhaps of others.
            let any_ff = (!word).wrapping_sub(0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080;
            if any_ff & !(u64::MAX >> (8 * whole)) == 0 {
                self.buffer |= word >> self.count;
                self.position += whole as usize;
                self.count += 8 * whole;
                return;
            }
        }
        *self = self.refilled_bytewise();
    }

    /// Refilled where there may be an FF, or the end. By value, as all of a reader whose address is needed elsewhere
    /// would not stay in registers.
    #[inline(never)]
    pub(super) fn refilled_bytewise(mut self) -> Self {
        while self.count < REFILLED {
            let (byte, length) = match self.bytes.get(self.position..) {
                Some([0xFF, 0, ..]) => (0xFF, 2),
                Some([byte, ..]) if *byte != 0xFF => (*byte, 1),
                _ => {
                    self.padding += 8;
                    (0, 0)
                }
            };
            self.buffer |= u64::from(byte) << (REFILLED - self.count);
            self.position += length;
            self.count += 8;
        }
        self
    }

    #[inline(always)]
    pub(super) fn peek(&self, count: u32) -> u32 {
        (self.buffer >> (64 - count)) as u32
    }

    #[inline(always)]
    pub(super) fn consume(&mut self, count: u32) {
        // The entry's other bits do not count in a shift, and masking would take a cycle of each step.
        self.buffer = self.buffer.wrapping_shl(count);
        self.count -= count & LENGTH;
    }

    /// Whether data ended too early.
    #[inline(always)]
    pub(super) fn is_overdrawn(&self) -> bool {
        self.padding > self.count
    }

    /// The reader after the marker, which has to come next; the bits that fill up the last byte do not count.
    pub(super) fn after_marker(self, marker: u8) -> Option<Self> {
        let left = self.count.checked_sub(self.padding)?;
        let next = self.bytes.get(self.position..)?;
        let sound = left < 8 && next.starts_with(&[0xFF, marker]);
        sound.then(|| Self { position: self.position + 2, buffer: 0, count: 0, padding: 0, ..self })
    }
}
