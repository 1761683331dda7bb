//! Huffman codes, and tables that skip coefficients or read them.

use super::{
    BLOCK,
    bits::{REFILLED, Reader},
};

/// Bits that one look-up in a [`SkipTable`] sees. More bits hold more coefficients, but the table has to stay in the
/// first-level cache: 2^13 entries of two bytes.
pub(super) const SKIP_BITS: u32 = 13;
/// Bits that one look-up in a [`ValueTable`] sees; few codes are longer.
pub(super) const VALUE_BITS: u32 = 9;
/// Bits that an entry of either may stand for. It need not see those of the last value.
pub(super) const MAX_LENGTH: u32 = 18;

/// The low bits of an entry: for how many bits of the scan it stands, 0 where it does not know.
pub(super) const LENGTH: u32 = 0x3F;
/// The next eight bits are its step: over how many coefficients. An end of block adds this, which coefficients alone
/// do not reach.
pub(super) const END_OF_BLOCK: u32 = 128;
/// The step of an entry that does not know: no block ends there.
pub(super) const LONG: u32 = 255;
/// Symbols for the end of a block, and for 16 coefficients of zero (table F.1).
pub(super) const EOB: u8 = 0x00;
pub(super) const ZRL: u8 = 0xF0;

/// A Huffman table as coded: how many codes there are of 1 to 16 bits, and their symbols.
#[derive(Clone, Copy)]
pub(super) struct Huffman<'a> {
    pub(super) counts: &'a [u8; 16],
    pub(super) symbols: &'a [u8],
}

impl Huffman<'_> {
    /// Whether the codes fit into their lengths; none may be all ones.
    pub(super) fn is_valid(&self) -> bool {
        let mut next = 0;
        self.counts.iter().zip(1..).all(|(&count, length)| {
            next = 2 * next + u32::from(count);
            count == 0 || next < 1 << length
        })
    }

    /// All codes with their lengths and symbols, from the shortest to the longest.
    pub(super) fn codes(&self) -> impl Iterator<Item = (u32, u32, u8)> {
        let mut next = 0;
        let lengths = self.counts.iter().zip(1..).flat_map(|(&count, length)| (0..count).map(move |_| length));
        let mut before = 0;
        lengths.zip(self.symbols).map(move |(length, &symbol)| {
            next <<= length - before;
            before = length;
            next += 1;
            (next - 1, length, symbol)
        })
    }
}

/// For each combination of some bits, the code that they start with: [`LENGTH`] with its value, step, and length of the
/// code alone (from bit 16 on).
pub(super) fn code_table<const SIZE: usize>(huffman: &Huffman) -> Box<[u32; SIZE]> {
    let mut entries = Box::new([LONG << 8; SIZE]);
    for (code, length, symbol) in huffman.codes().take_while(|&(_, length, _)| length <= SIZE.ilog2()) {
        if let Some(entry) = entry(length, symbol).filter(|entry| entry & LENGTH <= MAX_LENGTH) {
            let unknown = SIZE.ilog2() - length;
            entries[(code << unknown) as usize..][..1 << unknown].fill(entry);
        }
    }
    entries
}

/// Codes too long for a look-up table.
pub(super) struct LongCodes {
    /// For each length (from 1 on): what 16 bits are below when they start with a code of up to this length, and what
    /// to add to the code for the index of its symbol.
    pub(super) lengths: [(u32, u32); 16],
    pub(super) symbols: [u8; 256],
}

impl LongCodes {
    pub(super) fn new(huffman: &Huffman) -> Self {
        let mut symbols = [0; 256];
        symbols.iter_mut().zip(huffman.symbols).for_each(|(to, &from)| *to = from);
        let (mut code, mut index) = (0_u32, 0_u32);
        let mut lengths = [(0, 0); 16];
        for ((entry, &count), length) in lengths.iter_mut().zip(huffman.counts).zip(1..) {
            code *= 2;
            let offset = index.wrapping_sub(code);
            code += u32::from(count);
            index += u32::from(count);
            *entry = (code << (16 - length), offset);
        }
        Self { lengths, symbols }
    }

    /// The code that the bits (from the highest on) start with, as an entry of a [`code_table`]; `None` where there is
    /// none, or its symbol means nothing (figure F.16).
    #[cold]
    #[inline(never)]
    pub(super) fn entry(&self, bits: u64) -> Option<u32> {
        let bits = (bits >> 48) as u32;
        let (&(_, offset), length) = self.lengths.iter().zip(1..).find(|&(&(limit, _), _)| bits < limit)?;
        let index = (bits >> (16 - length)).wrapping_add(offset);
        entry(length, *self.symbols.get(index as usize)?)
    }
}

/// Entry of a code of this length.
pub(super) fn entry(length: u32, symbol: u8) -> Option<u32> {
    let size = u32::from(symbol & 0xF);
    let step = match symbol {
        EOB => END_OF_BLOCK,
        ZRL => 16,
        // Other runs without a value mean nothing in sequential pictures.
        _ if size == 0 => return None,
        _ => u32::from(symbol >> 4) + 1,
    };
    Some(length << 16 | step << 8 | (length + size))
}

/// For each combination of [`SKIP_BITS`] bits, how far AC coefficients reach whose codes lie in them as a whole.
pub(super) struct SkipTable {
    /// [`LENGTH`] and step.
    pub(super) entries: Box<[u16; 1 << SKIP_BITS]>,
    pub(super) long: LongCodes,
}

impl SkipTable {
    pub(super) fn new(huffman: &Huffman) -> Self {
        let single = code_table::<{ 1 << SKIP_BITS }>(huffman);
        let mut entries = Box::new([(LONG << 8) as u16; 1 << SKIP_BITS]);
        for (entry, index) in entries.iter_mut().zip(0_u32..) {
            let (mut steps, mut length) = (0, 0);
            while steps < END_OF_BLOCK {
                let next = single[(index << length) as usize % single.len()];
                let (code, step, whole) = (next >> 16, next >> 8 & 0xFF, next & LENGTH);
                let known = whole > 0 && length + code <= SKIP_BITS && length + whole <= MAX_LENGTH;
                // More than a block's worth of coefficients would look like the end of one.
                if !known || (step < END_OF_BLOCK && steps + step >= BLOCK) {
                    break;
                }
                (steps, length) = (steps + step, length + whole);
                *entry = (steps << 8 | length) as u16;
            }
        }
        Self { entries, long: LongCodes::new(huffman) }
    }

    /// Takes the AC coefficients of a block.
    #[inline(always)]
    pub(super) fn skip_block(&self, reader: &mut Reader) -> Option<()> {
        let mut index = 1;
        loop {
            reader.refill();
            for _ in 0..REFILLED / MAX_LENGTH {
                let before = *reader;
                let entry = u32::from(self.entries[reader.peek(SKIP_BITS) as usize]);
                reader.consume(entry);
                let next = index + (entry >> 8);
                if next < BLOCK {
                    index = next;
                    continue;
                }
                // Full, or ended by a code, which only a block with room for another coefficient has.
                if next == BLOCK || (END_OF_BLOCK..END_OF_BLOCK + BLOCK).contains(&next) {
                    return Some(());
                }
                // The code is long, or the entry goes beyond this block: one code, then.
                *reader = before;
                reader.refill();
                let entry = self.long.entry(reader.buffer)?;
                reader.consume(entry);
                index += entry >> 8 & 0xFF;
                match index {
                    ..BLOCK => break,
                    BLOCK | END_OF_BLOCK.. => return Some(()),
                    _ => return None,
                }
            }
        }
    }
}

/// Table of codes whose values count.
pub(super) struct ValueTable {
    /// As of [`code_table`].
    pub(super) entries: Box<[u32; 1 << VALUE_BITS]>,
    pub(super) long: LongCodes,
}

impl ValueTable {
    pub(super) fn new(huffman: &Huffman) -> Self {
        Self { entries: code_table(huffman), long: LongCodes::new(huffman) }
    }

    /// Takes the difference of a DC coefficient to the one before.
    #[inline(always)]
    pub(super) fn take_dc(&self, reader: &mut Reader) -> Option<i32> {
        reader.refill();
        let mut entry = self.entries[reader.peek(VALUE_BITS) as usize];
        if entry & LENGTH == 0 {
            entry = self.long.entry(reader.buffer)?;
        }
        Some(take_entry(reader, entry))
    }
}

/// Takes what the entry of a [`code_table`] stands for, for its value.
#[inline(always)]
pub(super) fn take_entry(reader: &mut Reader, entry: u32) -> i32 {
    let code = entry >> 16;
    let (bits, size) = (reader.buffer << code, (entry & LENGTH) - code);
    reader.consume(entry);
    extend(bits, size)
}

/// Value of so many bits, from the highest on (figure F.12): those of negative values are inverted, and start with 0.
#[inline(always)]
pub(super) fn extend(bits: u64, size: u32) -> i32 {
    let negative = !((bits as i64) >> 63);
    let magnitude = (bits ^ negative as u64) >> 1 >> (63 - size);
    (magnitude as i32 ^ negative as i32) - negative as i32
}
