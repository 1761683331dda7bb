//! The bytes of a pickle, with its operations' arguments.

/// What a pickle that ends too early is told.
const CUT_OFF: &str = "the pickle in the file breaks off";

/// Reads forwards; every read checks what is left.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    place: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, place: 0 }
    }

    /// Bytes read so far.
    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.place.checked_add(count).ok_or(CUT_OFF)?;
        let bytes = self.bytes.get(self.place..end).ok_or(CUT_OFF)?;
        self.place = end;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    /// An unsigned little-endian number of 1 to 8 bytes.
    pub(super) fn number(&mut self, width: usize) -> Result<u64, String> {
        Ok(self.take(width)?.iter().rev().fold(0, |number, &byte| (number << 8) | u64::from(byte)))
    }

    /// A length of `width` bytes, then as many bytes.
    pub(super) fn counted(&mut self, width: usize) -> Result<&'a [u8], String> {
        let count = self.number(width)?;
        self.take(usize::try_from(count).map_err(|_| CUT_OFF)?)
    }

    /// A length of `width` bytes, then as many bytes of UTF-8.
    pub(super) fn text(&mut self, width: usize) -> Result<String, String> {
        String::from_utf8(self.counted(width)?.to_vec()).map_err(|_| "a text in the pickle is not UTF-8".to_owned())
    }

    /// Up to the next line feed, which is read but left out.
    pub(super) fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.place..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or(CUT_OFF)?;
        let line = std::str::from_utf8(self.take(length)?).map_err(|_| "a name in the pickle is not UTF-8")?;
        self.byte()?;
        Ok(line)
    }

    /// A signed little-endian number of 0 to 16 bytes, after its length in `width` bytes.
    pub(super) fn long(&mut self, width: usize) -> Result<i128, String> {
        let bytes = self.counted(width)?;
        if bytes.len() > 16 {
            return Err("an int in the pickle has more than 128 bits".to_owned());
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut whole = [if negative { 0xff } else { 0 }; 16];
        whole[..bytes.len()].copy_from_slice(bytes);
        Ok(i128::from_le_bytes(whole))
    }
}
