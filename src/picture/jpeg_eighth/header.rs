//! What precedes the pixels.

use super::{BLOCK, huffman::Huffman};

/// libjpeg's limit on width and height.
const MAX_SIDE: u16 = 65500;

/// What precedes the pixels, as it lies in the bytes.
#[derive(Default)]
pub(super) struct Header<'a> {
    /// Quantization tables, in zigzag order.
    pub(super) quantization: [Option<&'a [u8; BLOCK as usize]>; 4],
    pub(super) dc: [Option<Huffman<'a>>; 4],
    pub(super) ac: [Option<Huffman<'a>>; 4],
    pub(super) frame: Option<Frame>,
    /// DC and AC table of each component of the scan.
    pub(super) scan: Vec<(usize, usize)>,
    /// MCUs between restart markers; 0: there are none.
    pub(super) restart_interval: u16,
    jfif: bool,
    adobe_transform: Option<u8>,
    /// Chunks of the ICC profile so far, and how many there should be.
    icc: (u8, u8),
}

pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Blocks of luma in an MCU.
    pub(super) horizontal: usize,
    pub(super) vertical: usize,
    pub(super) components: Vec<FrameComponent>,
}

pub(super) struct FrameComponent {
    id: u8,
    horizontal: u8,
    vertical: u8,
    pub(super) quantization: u8,
}

impl<'a> Header<'a> {
    /// The header, and the bytes from the coded pixels on.
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut header = Self::default();
        let mut rest = bytes.strip_prefix(&[0xFF, 0xD8])?;
        loop {
            let (&[fill, marker], after) = rest.split_first_chunk()?;
            if fill != 0xFF {
                return None;
            }
            let (length, _) = after.split_first_chunk()?;
            let (segment, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
            let segment = segment.get(2..)?;
            match marker {
                // Baseline and extended sequential differ in what they allow, not in how they are decoded.
                0xC0 | 0xC1 => header.read_frame(segment)?,
                0xC4 => header.read_huffman_tables(segment)?,
                0xDA => {
                    header.read_scan(segment)?;
                    return header.is_sound().then_some((header, after));
                }
                0xDB => header.read_quantization(segment)?,
                0xDD => header.restart_interval = u16::from_be_bytes(segment.try_into().ok()?),
                0xE0 => header.read_jfif(segment)?,
                0xE2 => header.read_icc(segment)?,
                0xEE => header.read_adobe(segment),
                0xE1..=0xEF | 0xFE => {}
                _ => return None,
            }
            rest = after;
        }
    }

    fn read_frame(&mut self, segment: &[u8]) -> Option<()> {
        let (&[precision, h1, h0, w1, w0, count], components) = segment.split_first_chunk()?;
        let (height, width) = (u16::from_be_bytes([h1, h0]), u16::from_be_bytes([w1, w0]));
        let sides = 1..=MAX_SIDE;
        if self.frame.is_some() || precision != 8 || !sides.contains(&width) || !sides.contains(&height) {
            return None;
        }
        let (components, []) = components.as_chunks::<3>() else { return None };
        let components: Vec<_> = components
            .iter()
            .map(|&[id, sampling, quantization]| FrameComponent {
                id,
                horizontal: sampling >> 4,
                vertical: sampling & 0xF,
                quantization,
            })
            .collect();
        let sampling: Vec<_> = components.iter().map(|each| (each.horizontal, each.vertical)).collect();
        let (horizontal, vertical) = match sampling[..] {
            // Blocks of a single component are never interleaved.
            [(1..=4, 1..=4)] => (1, 1),
            [luma @ ((1 | 2, 1) | (2, 2)), (1, 1), (1, 1)] => luma,
            _ => return None,
        };
        self.frame = (components.len() == usize::from(count)).then_some(Frame {
            width: width.into(),
            height: height.into(),
            horizontal: horizontal.into(),
            vertical: vertical.into(),
            components,
        });
        self.frame.is_some().then_some(())
    }

    fn read_huffman_tables(&mut self, mut segment: &'a [u8]) -> Option<()> {
        while let Some((&class_and_index, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let count: usize = counts.iter().copied().map(usize::from).sum();
            let (symbols, rest) = rest.split_at_checked(count).filter(|_| count <= 256)?;
            let tables = match class_and_index >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return None,
            };
            *tables.get_mut(usize::from(class_and_index & 0xF))? = Some(Huffman { counts, symbols });
            segment = rest;
        }
        Some(())
    }

    /// Tables of bytes; those of 16 bits go beyond what 8-bit pictures need.
    fn read_quantization(&mut self, segment: &'a [u8]) -> Option<()> {
        let (tables, []) = segment.as_chunks::<65>() else { return None };
        for [precision_and_index, values @ ..] in tables {
            if values.contains(&0) {
                return None;
            }
            *self.quantization.get_mut(usize::from(*precision_and_index))? = Some(values);
        }
        Some(())
    }

    /// The scan's header: it has to hold all components, in the frame's order, and their whole spectrum at once.
    fn read_scan(&mut self, segment: &[u8]) -> Option<()> {
        let components = &self.frame.as_ref()?.components;
        let count = u8::try_from(components.len()).ok()?;
        let selectors = segment.strip_prefix(&[count])?.strip_suffix(&[0, 63, 0])?;
        let (selectors, []) = selectors.as_chunks::<2>() else { return None };
        self.scan = selectors.iter().map(|&[_, tables]| ((tables >> 4).into(), (tables & 0xF).into())).collect();
        components.iter().map(|component| component.id).eq(selectors.iter().map(|&[id, _]| id)).then_some(())
    }

    /// libjpeg warns about major versions other than 1.
    fn read_jfif(&mut self, segment: &[u8]) -> Option<()> {
        if segment.len() >= 14 && segment.starts_with(b"JFIF\0") {
            self.jfif = true;
            return (segment[5] == 1).then_some(());
        }
        Some(())
    }

    /// libjpeg warns where chunks of a profile are missing, so they are counted.
    fn read_icc(&mut self, segment: &[u8]) -> Option<()> {
        let Some(&[number, total, ref profile @ ..]) = segment.strip_prefix(b"ICC_PROFILE\0") else { return Some(()) };
        let (before, agreed) = self.icc;
        self.icc = (before.checked_add(1)?, total);
        (number == self.icc.0 && (number == 1 || total == agreed) && !profile.is_empty()).then_some(())
    }

    fn read_adobe(&mut self, segment: &[u8]) {
        if segment.starts_with(b"Adobe") {
            self.adobe_transform = segment.get(11).copied().or(self.adobe_transform);
        }
    }

    /// Whether the colours are grey or YCbCr by libjpeg's rules, and the profile is whole.
    fn is_sound(&self) -> bool {
        let ids: Vec<_> = self.frame.iter().flat_map(|frame| &frame.components).map(|each| each.id).collect();
        let colour = match (ids.len(), self.jfif, self.adobe_transform) {
            (1, ..) | (_, true, _) | (_, _, Some(1)) => true,
            (_, _, None) => ids != *b"RGB",
            _ => false,
        };
        // One component twice would be ambiguous.
        let distinct = (1..ids.len()).all(|index| !ids[..index].contains(&ids[index]));
        colour && distinct && self.icc.0 == self.icc.1
    }
}
