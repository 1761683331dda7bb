//! An inference request, however it travelled.

use std::time::Duration;

use super::{
    datatype::Datatype,
    tensor::{Elements, Tensor},
    wrong,
};
use crate::error::Error;
use bytes::Bytes;

/// What a client asks a model, over HTTP or gRPC.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct InferRequest {
    /// The client's own id, sent back.
    pub(super) id: Option<String>,
    /// 1 is first; 0 leaves the choice to the server.
    pub(super) priority: u64,
    /// How long the client waits.
    pub(super) timeout: Option<Duration>,
    /// The tensors.
    pub(super) inputs: Vec<Tensor>,
    /// The outputs asked for; none means all of the model's own.
    pub(super) outputs: Vec<RequestedOutput>,
    /// Whether outputs that are not listed travel in binary.
    pub(super) binary_by_default: bool,
}

/// An output that a client asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RequestedOutput {
    /// Its name.
    pub(super) name: String,
    /// Not the elements, but so many of the best, with their labels.
    pub(super) classes: Option<usize>,
    /// Whether it travels in binary.
    pub(super) binary: bool,
}

/// The pictures of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pictures {
    /// Pixels as the model takes them, uint8 [H, W, 3] each.
    Pixels(Vec<Bytes>),
    /// Encoded pictures.
    Encoded(Vec<Bytes>),
}

/// What a model takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct InputRule<'a> {
    /// The input's name.
    pub(super) name: &'a str,
    /// Its frame: height, width and 3 colours.
    pub(super) frame: [usize; 3],
    /// The most pictures of a request.
    pub(super) max_pictures: usize,
}

impl InputRule<'_> {
    /// The request's pictures: its one input is pixels of the model's frame, or encoded pictures.
    ///
    /// # Errors
    /// No input, another input, another type or shape, no picture or too many.
    pub(super) fn pictures(&self, inputs: Vec<Tensor>) -> Result<Pictures, Error> {
        let expected = self.name;
        let Ok([Tensor { header, elements }]) = <[Tensor; 1]>::try_from(inputs) else {
            return Err(wrong(format!("the request has to have one input, {expected:?}")));
        };
        if header.name != expected {
            return Err(wrong(format!("there is no input {:?}; the model takes {expected:?}", header.name)));
        }
        let [height, width, colours] = self.frame;
        let shape = &header.shape;
        match (header.datatype, elements) {
            (Datatype::Uint8, Elements::Fixed(pixels)) => {
                let &[count, ref frame @ ..] = shape.as_slice() else { return Err(self.wrong_shape(shape)) };
                if frame != self.frame {
                    return Err(self.wrong_shape(shape));
                }
                self.check_count(count)?;
                let size = height * width * colours;
                Ok(Pictures::Pixels((0..count).map(|i| pixels.slice(i * size..(i + 1) * size)).collect()))
            }
            (Datatype::Bytes, Elements::Bytes(pictures)) => match shape.as_slice() {
                &[count] | &[count, 1] => {
                    self.check_count(count)?;
                    Ok(Pictures::Encoded(pictures))
                }
                _ => Err(wrong(format!(
                    "input {expected:?}: encoded pictures have the shape [N] or [N, 1], not {shape:?}"
                ))),
            },
            (datatype, _) => Err(wrong(format!(
                "input {expected:?} is UINT8 [N, {height}, {width}, {colours}], or BYTES [N] of encoded pictures; \
                 not {}",
                datatype.name()
            ))),
        }
    }

    fn wrong_shape(&self, shape: &[usize]) -> Error {
        let [height, width, colours] = self.frame;
        let name = self.name;
        wrong(format!("input {name:?} has the shape [N, {height}, {width}, {colours}], not {shape:?}"))
    }

    fn check_count(&self, count: usize) -> Result<(), Error> {
        let most = self.max_pictures;
        match count {
            0 => Err(wrong(format!("input {:?} has no picture", self.name))),
            count if count > most => {
                Err(wrong(format!("input {:?} has {count} pictures; a request may have {most}", self.name)))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tensor::Header, *};

    const RULE: InputRule<'static> = InputRule { name: "image", frame: [1, 2, 3], max_pictures: 2 };

    fn tensor(name: &str, datatype: &str, shape: &[i64], raw: &'static [u8]) -> Tensor {
        Header::new(name.to_owned(), datatype, shape).unwrap().with_raw(Bytes::from_static(raw)).unwrap()
    }

    fn refused(inputs: Vec<Tensor>) -> String {
        RULE.pictures(inputs).unwrap_err().to_string()
    }

    #[test]
    fn a_pixel_tensor_is_cut_into_pictures() {
        let found = RULE.pictures(vec![tensor("image", "UINT8", &[2, 1, 2, 3], b"abcdefghijkl")]).unwrap();
        assert_eq!(found, Pictures::Pixels(vec![Bytes::from_static(b"abcdef"), Bytes::from_static(b"ghijkl")]));
    }

    #[test]
    fn encoded_pictures_lie_in_a_row_or_a_column() {
        for shape in [&[2][..], &[2, 1]] {
            let found = RULE.pictures(vec![tensor("image", "BYTES", shape, b"\x01\0\0\0a\x01\0\0\0b")]).unwrap();
            assert_eq!(found, Pictures::Encoded(vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")]));
        }
        assert!(refused(vec![tensor("image", "BYTES", &[1, 2], b"\x01\0\0\0a\x01\0\0\0b")]).contains("[1, 2]"));
    }

    #[test]
    fn anything_but_the_one_input_is_refused_by_name() {
        assert!(refused(Vec::new()).contains("one input, \"image\""));
        assert!(refused(vec![tensor("pixels", "UINT8", &[1, 1, 2, 3], b"abcdef")]).contains("\"pixels\""));
        assert!(refused(vec![tensor("image", "INT8", &[1, 1, 2, 3], b"abcdef")]).contains("not INT8"));
        for (shape, raw) in [(&[1, 2, 3][..], &b"abcdef"[..]), (&[1, 2, 1, 3], b"abcdef"), (&[], b"a")] {
            assert!(refused(vec![tensor("image", "UINT8", shape, raw)]).contains("[N, 1, 2, 3]"), "{shape:?}");
        }
    }

    #[test]
    fn no_picture_and_too_many_are_refused() {
        assert!(refused(vec![tensor("image", "UINT8", &[0, 1, 2, 3], b"")]).contains("no picture"));
        let three = tensor("image", "BYTES", &[3], &[0; 12]);
        assert!(refused(vec![three]).contains("3 pictures; a request may have 2"));
    }
}
