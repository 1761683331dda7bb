//! Bit-equality with libjpeg-turbo: real pictures, made ones, random coefficients, damaged ones.

use std::path::Path;

use super::{
    huffman::{END_OF_BLOCK, EOB, Huffman, LONG, SKIP_BITS, extend},
    quarters::{CONSTANT_BITS, transform},
    *,
};
use turbojpeg::{Compressor, Decompressor, Image, PixelFormat, ScalingFactor, Subsamp};

type Decoded = (Vec<u8>, PictureSize);

fn turbo(bytes: &[u8]) -> Result<Decoded, turbojpeg::Error> {
    let mut decompressor = Decompressor::new()?;
    decompressor.set_scaling_factor(ScalingFactor::ONE_EIGHTH)?;
    let header = decompressor.read_header(bytes)?.scaled(ScalingFactor::ONE_EIGHTH);
    let (width, height) = (header.width, header.height);
    let mut pixels = vec![0; width * height * 3];
    let image = Image { pixels: &mut pixels[..], width, pitch: width * 3, height, format: PixelFormat::RGB };
    decompressor.decompress(bytes, image)?;
    Ok((pixels, PictureSize { width: width as u32, height: height as u32 }))
}

/// Whether it was decoded; panics where libjpeg-turbo decodes otherwise.
fn check(bytes: &[u8], what: &str) -> bool {
    let Some(ours) = decode(bytes) else { return false };
    match turbo(bytes) {
        Ok(theirs) => assert!(ours == theirs, "{what}: other pixels"),
        Err(error) => panic!("{what}: libjpeg-turbo says {error}"),
    }
    true
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn made(width: usize, height: usize, subsamp: Subsamp, quality: i32, optimize: bool, noise: u64) -> Vec<u8> {
    let mut random = Random((width * 1000 + height + 7) as u64);
    let mut pixels = vec![0_u8; width * height * 3];
    for (index, pixel) in pixels.iter_mut().enumerate() {
        let (x, y, channel) = (index / 3 % width, index / 3 / width, index % 3);
        let smooth = (x * (3 + channel) + y * (7 - channel)) as u64;
        *pixel = ((smooth * (256 - noise) / 256 + random.below(noise + 1)) % 256) as u8;
    }
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(quality).unwrap();
    compressor.set_subsamp(subsamp).unwrap();
    compressor.set_optimize(optimize).unwrap();
    let image = Image { pixels: &pixels[..], width, pitch: width * 3, height, format: PixelFormat::RGB };
    compressor.compress_to_vec(image).unwrap()
}

const DONE: [Subsamp; 4] = [Subsamp::None, Subsamp::Sub2x1, Subsamp::Sub2x2, Subsamp::Gray];

#[test]
fn real_pictures() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/scenes/images");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let paths: Vec<_> = paths.into_iter().step_by(10).collect();
    let done = paths.iter().filter(|path| check(&std::fs::read(path).unwrap(), &path.display().to_string())).count();
    assert!(done * 100 >= paths.len() * 95, "{done} of {}", paths.len());
}

#[test]
fn made_pictures() {
    let (mut done, mut count) = (0, 0);
    for subsamp in DONE {
        for width in 1..=40 {
            for height in 1..=40 {
                let quality = [1, 50, 95, 100][(width + height) % 4];
                let noise = [0, 20, 128, 255][(width * 3 + height) % 4];
                let bytes = made(width, height, subsamp, quality, (width + height / 2) % 2 == 0, noise);
                done += usize::from(check(&bytes, &format!("{width} x {height} {subsamp:?} {quality} {noise}")));
                count += 1;
            }
        }
        for quality in [1, 2, 5, 10, 25, 50, 75, 90, 95, 98, 100] {
            for noise in [0, 10, 100, 255] {
                let bytes = made(333, 217, subsamp, quality, quality % 2 == 0, noise);
                done += usize::from(check(&bytes, &format!("333 x 217 {subsamp:?} {quality} {noise}")));
                count += 1;
            }
        }
    }
    assert_eq!(done, count);
}

#[test]
fn colours_and_sampling_are_those_of_libjpeg() {
    let find = |bytes: &[u8], marker| bytes.windows(2).position(|pair| pair == [0xFF, marker]).unwrap();
    // Blocks of a single component are never interleaved, whatever its sampling.
    for sampling in [0x11, 0x22, 0x21, 0x12, 0x41] {
        let mut bytes = made(77, 53, Subsamp::Gray, 80, false, 40);
        let frame = find(&bytes, 0xC0);
        bytes[frame + 11] = sampling;
        assert!(check(&bytes, &format!("grey with {sampling:x}")));
    }
    let jfif = made(77, 53, Subsamp::Sub2x2, 80, false, 40);
    assert_eq!(jfif[..4], [0xFF, 0xD8, 0xFF, 0xE0]);
    let rest = &jfif[20..];
    let with = |adobe: Option<u8>, ids: [u8; 3]| {
        let mut bytes = vec![0xFF, 0xD8];
        if let Some(transform) = adobe {
            bytes.extend(b"\xFF\xEE\x00\x0EAdobe\x00\x64\x00\x00\x00\x00");
            bytes.push(transform);
        }
        bytes.extend(rest);
        let (frame, scan) = (find(&bytes, 0xC0), find(&bytes, 0xDA));
        for (index, id) in ids.into_iter().enumerate() {
            bytes[frame + 10 + 3 * index] = id;
            bytes[scan + 5 + 2 * index] = id;
        }
        check(&bytes, &format!("{adobe:?} {ids:?}"))
    };
    assert!(with(None, [1, 2, 3]) && with(None, [0, 1, 2]) && with(Some(1), [1, 2, 3]) && with(Some(1), *b"RGB"));
    assert!(!with(None, *b"RGB") && !with(Some(0), [1, 2, 3]) && !with(Some(2), [1, 2, 3]) && !with(None, [1, 1, 2]));
}

#[test]
fn others_are_left() {
    for subsamp in [Subsamp::Sub1x2, Subsamp::Sub4x1] {
        assert!(decode(&made(64, 64, subsamp, 80, false, 20)).is_none());
    }
    let pixels = [77; 64 * 64 * 4];
    for kind in 0..4 {
        let mut compressor = Compressor::new().unwrap();
        let mut format = PixelFormat::RGB;
        match kind {
            0 => compressor.set_progressive(true).unwrap(),
            1 => compressor.set_arithmetic(true).unwrap(),
            2 => compressor.set_lossless(true).unwrap(),
            _ => format = PixelFormat::CMYK,
        }
        let image = Image { pixels: &pixels[..], width: 64, pitch: 64 * format.size(), height: 64, format };
        assert!(decode(&compressor.compress_to_vec(image).unwrap()).is_none());
    }
}

/// Writes bits with stuffed zeros.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    buffer: u64,
    count: u32,
}

impl Bits {
    fn put(&mut self, bits: u32, count: u32) {
        self.buffer = self.buffer << count | u64::from(bits);
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.buffer >> self.count) as u8;
            self.bytes.push(byte);
            if byte == 0xFF {
                self.bytes.push(0);
            }
        }
    }

    fn align(&mut self) {
        if self.count > 0 {
            self.put((1 << (8 - self.count)) - 1, 8 - self.count);
        }
    }
}

/// Codes by table (DC 0, AC 0, DC 1, AC 1) and symbol, out of a header.
fn codes(header: &[u8]) -> Vec<Vec<(u32, u32)>> {
    let mut tables = vec![vec![(0, 0); 256]; 4];
    let mut at = 2;
    while header[at + 1] != 0xDA {
        let length = usize::from(header[at + 2]) * 256 + usize::from(header[at + 3]);
        if header[at + 1] == 0xC4 {
            let mut segment = &header[at + 4..at + 2 + length];
            while !segment.is_empty() {
                let table = usize::from(segment[0] & 1) * 2 + usize::from(segment[0] >> 4);
                let (counts, symbols) = segment[1..].split_at(16);
                let (mut code, mut index) = (0, 0);
                for (length, &count) in (1..).zip(counts) {
                    code *= 2;
                    for _ in 0..count {
                        tables[table][usize::from(symbols[index])] = (code, length);
                        code += 1;
                        index += 1;
                    }
                }
                segment = &symbols[index..];
            }
        }
        at += 2 + length;
    }
    tables
}

/// A picture of random coefficients with the tables of another one: all codes occur, full blocks, and restarts.
fn random_coefficients(random: &mut Random, subsamp: Subsamp, restart: u16) -> Vec<u8> {
    let (width, height) = (1 + random.below(150) as usize, 1 + random.below(150) as usize);
    let model = made(width, height, subsamp, 60, false, 20);
    let tables = codes(&model);
    let scan = model.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    let mut bytes = model[..scan].to_vec();
    bytes.extend([0xFF, 0xDD, 0, 4]);
    bytes.extend(restart.to_be_bytes());
    let header = usize::from(model[scan + 3]) + 2;
    bytes.extend(&model[scan..scan + header]);
    let (blocks, unit) = match subsamp {
        Subsamp::None => (vec![0, 1, 2], (8, 8)),
        Subsamp::Sub2x1 => (vec![0, 0, 1, 2], (16, 8)),
        Subsamp::Sub2x2 => (vec![0, 0, 0, 0, 1, 2], (16, 16)),
        _ => (vec![0], (8, 8)),
    };
    let mut bits = Bits::default();
    let mut last = [0_i32; 3];
    let mcus = width.div_ceil(unit.0) * height.div_ceil(unit.1);
    let dense = random.below(3);
    for mcu in 0..mcus {
        if restart > 0 && mcu > 0 && mcu % usize::from(restart) == 0 {
            bits.align();
            bits.bytes.extend([0xFF, 0xD0 + ((mcu / usize::from(restart) - 1) % 8) as u8]);
            last = [0; 3];
        }
        for &component in &blocks {
            let (dc, ac) = (&tables[usize::from(component > 0) * 2], &tables[usize::from(component > 0) * 2 + 1]);
            let put = |bits: &mut Bits, codes: &[(u32, u32)], run: usize, value: i32| {
                let size = (32 - value.unsigned_abs().leading_zeros()) as usize;
                let (code, length) = codes[run * 16 + size];
                assert!(length > 0);
                bits.put(code, length);
                let low = if value < 0 { value - 1 } else { value };
                bits.put(low as u32 & ((1 << size) - 1), size as u32);
            };
            let level = random.below(80) as i32 - 40;
            put(&mut bits, dc, 0, level - last[component]);
            last[component] = level;
            let mut index = 1;
            while index < 64 && random.below(8 + 30 * dense) > 0 {
                let run = if dense == 2 { random.below(2) } else { random.below(18) } as usize;
                if index + run > 63 {
                    break;
                }
                if run >= 16 {
                    bits.put(ac[0xF0].0, ac[0xF0].1);
                    index += 16;
                    continue;
                }
                let limit = 1 << random.below(4);
                let value = 1 + random.below(limit) as i32;
                put(&mut bits, ac, run, if random.below(2) > 0 { value } else { -value });
                index += run + 1;
            }
            if index < 64 {
                bits.put(ac[0].0, ac[0].1);
            }
        }
    }
    bits.align();
    bytes.extend(bits.bytes);
    bytes.extend([0xFF, 0xD9]);
    bytes
}

#[test]
fn random_blocks_and_restarts() {
    let mut random = Random(99);
    let (mut done, mut count) = (0, 0);
    for round in 0..1000 {
        let subsamp = DONE[round % 4];
        let restart = if round % 3 == 0 { 0 } else { 1 + random.below(20) as u16 };
        let bytes = random_coefficients(&mut random, subsamp, restart);
        turbo(&bytes).expect("a sound picture");
        done += usize::from(check(&bytes, &format!("round {round} {subsamp:?} {restart}")));
        count += 1;
    }
    assert!(done * 100 >= count * 90);
}

#[test]
fn truncated() {
    for subsamp in DONE {
        let bytes = made(50, 40, subsamp, 90, true, 60);
        for length in 0..bytes.len() {
            assert!(!check(&bytes[..length], &format!("{subsamp:?} cut to {length}")));
            let ended = [&bytes[..length], &[0xFF, 0xD9]].concat();
            check(&ended, &format!("{subsamp:?} cut to {length} and ended"));
        }
        let tail = [&bytes[..], b"anything"].concat();
        assert!(check(&tail, "with bytes after its end"));
    }
}

#[test]
fn damaged() {
    let mut random = Random(4242);
    let originals: Vec<_> = (0..16)
        .map(|index| match index {
            0..8 => random_coefficients(&mut random, DONE[index % 4], [0, 3][index / 4]),
            _ => made(30 + index, 41, DONE[index % 4], [30, 90][index / 4 % 2], index % 3 == 0, 40),
        })
        .collect();
    let mut done = 0;
    for round in 0..20_000 {
        let mut bytes = originals[round % originals.len()].clone();
        for _ in 0..1 + random.below(3) {
            // Half of the damage goes to the headers.
            let limit = if random.below(2) > 0 { bytes.len() } else { bytes.len().min(650) } as u64;
            let at = random.below(limit) as usize;
            match random.below(6) {
                0..3 => bytes[at] ^= 1 << random.below(8),
                3 => bytes[at] = random.next() as u8,
                4 => drop(bytes.remove(at)),
                _ => bytes.insert(at, [0xFF, 0, 0xD9, 0xD0, 0xDA, 0xC0, 0xC4][random.below(7) as usize]),
            }
        }
        done += usize::from(check(&bytes, &format!("round {round}")));
    }
    // Damage that nobody can see is no test.
    assert!(done > 1000 && done < 10_000, "{done}");
}

#[test]
fn values_extend_to_both_signs() {
    assert_eq!([0, 1].map(|bits| extend(bits << 63, 1)), [-1, 1]);
    assert_eq!([0, 3, 4, 7].map(|bits| extend(bits << 61, 3)), [-7, -4, 4, 7]);
    assert_eq!(extend(0, 0), 0);
}

#[test]
#[allow(clippy::unusual_byte_groupings, reason = "grouped by code")]
fn skip_entries_hold_several_codes() {
    // 0: end of block; 10: a value of one bit; 110: two zeros and a value of two bits.
    let counts = [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let huffman = Huffman { counts: &counts, symbols: &[EOB, 0x01, 0x22] };
    assert!(huffman.is_valid());
    let entries = SkipTable::new(&huffman).entries;
    let entry = |bits: u32, length: u32| u32::from(entries[(bits << (SKIP_BITS - length)) as usize]);
    assert_eq!(entry(0b0, 1), END_OF_BLOCK << 8 | 1);
    assert_eq!(entry(0b101_110_01_0, 9), (END_OF_BLOCK + 4) << 8 | 9);
    // There is no code of ones, and the value of the code before it need not be seen.
    assert_eq!(entry(0b101_101_101_110_1, 13), 6 << 8 | 14);
    assert_eq!(entry(0b111, 3), LONG << 8);
}

#[test]
fn a_quartered_block_without_details_is_its_mean() {
    for dc in -1000..1000 {
        let mut sums = [0; 16];
        sums[0] = dc << (CONSTANT_BITS + 2);
        let sample = mean(dc, 1).unwrap_or_default();
        assert_eq!(transform(&sums), Some([[sample; 2]; 2]));
    }
}

#[test]
fn colours_of_grey_are_grey() {
    assert!((0..=255).all(|y| rgb(y, 128, 128) == [y; 3]));
}
