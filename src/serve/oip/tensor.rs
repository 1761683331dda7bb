//! An input tensor: name, type, shape and elements that fit each other.

use bytes::{Buf as _, Bytes};

use super::{datatype::Datatype, wrong};
use crate::error::Error;

/// The most dimensions of a shape.
const MOST_DIMENSIONS: usize = 8;

/// What a request says about a tensor, before its elements are known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Header {
    /// The tensor's name.
    pub(super) name: String,
    /// The type of its elements.
    pub(super) datatype: Datatype,
    /// Its dimensions.
    pub(super) shape: Vec<usize>,
    /// The product of its dimensions.
    pub(super) count: usize,
}

/// A tensor with as many elements as its shape has.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    /// Name, type and shape.
    pub(super) header: Header,
    /// The elements.
    pub(super) elements: Elements,
}

/// A tensor's elements, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Elements {
    /// Elements of a fixed size as they lie in memory, little-endian.
    Fixed(Bytes),
    /// BYTES elements.
    Bytes(Vec<Bytes>),
}

impl Header {
    /// Checks what the request says about a tensor.
    ///
    /// # Errors
    /// A type that does not exist; a shape that is negative, too long, or larger than memory.
    pub(super) fn new(name: String, datatype: &str, shape: &[i64]) -> Result<Self, Error> {
        let datatype = Datatype::named(datatype)
            .ok_or_else(|| wrong(format!("input {name:?}: there is no datatype {datatype:?}")))?;
        if shape.len() > MOST_DIMENSIONS {
            return Err(wrong(format!("input {name:?}: its shape has more than {MOST_DIMENSIONS} dimensions")));
        }
        let bad_shape = || wrong(format!("input {name:?}: {shape:?} is not a shape"));
        let shape: Vec<usize> =
            shape.iter().map(|&dim| usize::try_from(dim)).collect::<Result<_, _>>().map_err(|_| bad_shape())?;
        let count = shape.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim)).ok_or_else(bad_shape)?;
        Ok(Self { name, datatype, shape, count })
    }

    /// The tensor with elements as they lie in a request's binary part.
    ///
    /// # Errors
    /// Bytes that are not as many elements as the shape has.
    pub(super) fn with_raw(self, raw: Bytes) -> Result<Tensor, Error> {
        let Some(size) = self.datatype.size() else {
            let elements = self.split(raw)?;
            return Ok(Tensor { header: self, elements: Elements::Bytes(elements) });
        };
        if self.count.checked_mul(size) != Some(raw.len()) {
            let Self { name, shape, .. } = self;
            let datatype = self.datatype.name();
            return Err(wrong(format!(
                "input {name:?}: {} bytes, but shape {shape:?} of {datatype} has {} elements of {size} bytes",
                raw.len(),
                self.count
            )));
        }
        Ok(Tensor { header: self, elements: Elements::Fixed(raw) })
    }

    /// The tensor with BYTES elements.
    ///
    /// # Errors
    /// Not as many elements as the shape has.
    pub(super) fn with_bytes(self, elements: Vec<Bytes>) -> Result<Tensor, Error> {
        self.check_count(elements.len())?;
        Ok(Tensor { header: self, elements: Elements::Bytes(elements) })
    }

    /// The elements of a BYTES tensor: each a u32 length, little-endian, and so many bytes.
    fn split(&self, mut raw: Bytes) -> Result<Vec<Bytes>, Error> {
        let name = &self.name;
        let mut elements = Vec::new();
        while !raw.is_empty() {
            let place = elements.len();
            if place == self.count {
                return Err(wrong(format!("input {name:?}: {} bytes are left over after {place} elements", raw.len())));
            }
            let length = raw
                .try_get_u32_le()
                .map_err(|_| wrong(format!("input {name:?}: the length before element {place} is cut off")))?
                as usize;
            if length > raw.len() {
                return Err(wrong(format!(
                    "input {name:?}: element {place} has {length} bytes by its length, and {} are there",
                    raw.len()
                )));
            }
            elements.push(raw.split_to(length));
        }
        self.check_count(elements.len())?;
        Ok(elements)
    }

    /// Accepts a number of elements.
    ///
    /// # Errors
    /// Another number than the shape has.
    pub(super) fn check_count(&self, found: usize) -> Result<(), Error> {
        let Self { name, shape, count, .. } = self;
        match found == *count {
            true => Ok(()),
            false => Err(wrong(format!("input {name:?}: {found} elements, but its shape {shape:?} has {count}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(datatype: &str, shape: &[i64]) -> Result<Header, Error> {
        Header::new("image".to_owned(), datatype, shape)
    }

    fn raw(datatype: &str, shape: &[i64], bytes: &[u8]) -> Result<Elements, String> {
        let header = header(datatype, shape).map_err(|error| error.to_string())?;
        header.with_raw(Bytes::copy_from_slice(bytes)).map(|t| t.elements).map_err(|error| error.to_string())
    }

    #[test]
    fn a_shape_that_is_negative_endless_or_beyond_memory_is_refused() {
        for shape in [&[-1, 8, 8, 3][..], &[1; 9], &[i64::MAX, 3], &[1 << 32, 1 << 32]] {
            assert!(header("UINT8", shape).is_err(), "{shape:?}");
        }
        assert_eq!(header("UINT8", &[2, 3]).unwrap().count, 6);
        assert_eq!(header("UINT8", &[]).unwrap().count, 1);
        assert!(header("UINT9", &[1]).unwrap_err().to_string().contains("UINT9"));
    }

    #[test]
    fn raw_elements_have_to_fill_the_shape() {
        assert_eq!(raw("UINT8", &[2], b"ab"), Ok(Elements::Fixed(Bytes::from_static(b"ab"))));
        assert_eq!(raw("FP32", &[0, 4], b""), Ok(Elements::Fixed(Bytes::new())));
        for bytes in [&b"a"[..], b"abc"] {
            assert!(raw("UINT8", &[2], bytes).unwrap_err().contains("shape [2] of UINT8"));
        }
        assert!(raw("FP32", &[1], b"abc").is_err());
    }

    #[test]
    fn bytes_elements_are_split_at_their_lengths() {
        let two = b"\x03\0\0\0abc\0\0\0\0";
        let expected = vec![Bytes::from_static(b"abc"), Bytes::new()];
        assert_eq!(raw("BYTES", &[2, 1], two), Ok(Elements::Bytes(expected)));
        assert!(raw("BYTES", &[3], two).unwrap_err().contains("2 elements"));
        assert!(raw("BYTES", &[1], two).unwrap_err().contains("4 bytes are left over"));
        assert!(raw("BYTES", &[1], b"\x03\0\0").unwrap_err().contains("cut off"));
        assert!(raw("BYTES", &[1], b"\x03\0\0\0ab").unwrap_err().contains("element 0 has 3 bytes"));
        assert!(raw("BYTES", &[1], b"\xff\xff\xff\xffab").is_err());
    }
}
