//! Damage by a seed: the same seed and the same bytes give the same damage on every machine.

/// Numbers by xorshift64*, from a seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `end`; 0 where that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() >> 16) as usize % end }
    }
}

/// Numbers at which arithmetic tends to go wrong.
const ODD: [u32; 10] = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0xffff_ffff];

/// Damages bytes in one to four ways; `other` is spliced in now and then.
pub fn damage(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        damage_once(&mut bytes, other, random);
    }
    bytes
}

fn damage_once(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len());
    let end = at + random.below((bytes.len() - at).min(64) + 1);
    match random.below(9) {
        0 => bytes.truncate(at),
        1 | 2 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        3 if !bytes.is_empty() => bytes[at] = random.next() as u8,
        4 => drop(bytes.drain(at..end)),
        5 => {
            let copy = bytes[at..end].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, copy);
        }
        6 => {
            // A length or a count, in either byte order.
            let value = ODD[random.below(ODD.len())];
            let written = if random.below(2) == 0 { value.to_le_bytes() } else { value.to_be_bytes() };
            let width = 1 << random.below(3);
            bytes.iter_mut().skip(at).zip(&written[..width]).for_each(|(byte, new)| *byte = *new);
        }
        7 => {
            let from = random.below(other.len());
            let part = &other[from..from + random.below((other.len() - from).min(256) + 1)];
            bytes.splice(at..end, part.iter().copied());
        }
        _ => {
            let new: Vec<u8> = (0..random.below(16)).map(|_| random.next() as u8).collect();
            bytes.splice(at..at, new);
        }
    }
}
