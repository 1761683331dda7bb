//! Reading messages, but none that would grow.
//!
//! Two bytes can be an empty entry of a list, which takes hundreds in memory, so a message within the size limit could
//! still take all of it, and one byte can be a number of eight. Both are counted before a message is decoded.

use std::marker::PhantomData;

use bytes::Buf as _;
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// The most entries of a message: more than any request has a use for.
const MOST_ENTRIES: usize = 20_000;
/// The most bytes of numbers of four bytes, of which pixels may be sent: in memory they are as large as the largest body may be
/// where no setting says otherwise.
const MOST_NUMBERS: usize = 8 << 20;
/// How deep messages with lists of their own lie: a request's inputs, and an input's contents.
const DEPTH: usize = 2;

/// What of a message would grow.
#[derive(Debug, Default, PartialEq)]
struct Growing {
    /// Fields that are messages, text or bytes, and bytes of numbers that no model takes.
    entries: usize,
    /// Bytes of numbers of four bytes.
    numbers: usize,
}

/// prost's codec with a limit on what it decodes.
#[derive(Debug)]
pub(super) struct BoundedCodec<E, D>(PhantomData<(E, D)>);

/// prost's decoder behind the limit.
#[derive(Debug)]
pub(super) struct BoundedDecoder<D>(ProstDecoder<D>);

impl<E, D> Default for BoundedCodec<E, D> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<E, D> Codec for BoundedCodec<E, D>
where
    E: Message + Send + 'static,
    D: Message + Default + Send + 'static,
{
    type Encode = E;
    type Decode = D;
    type Encoder = ProstEncoder<E>;
    type Decoder = BoundedDecoder<D>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<E, D>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(ProstCodec::<E, D>::default().decoder())
    }
}

impl<D: Message + Default> Decoder for BoundedDecoder<D> {
    type Item = D;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<D>, Status> {
        let unreadable = |reason: &str| Status::invalid_argument(format!("the message cannot be read: {reason}"));
        let mut growing = Growing::default();
        growing.count(source.chunk(), DEPTH).map_err(|error| unreadable(&error.to_string()))?;
        if growing.entries > MOST_ENTRIES {
            return Err(Status::invalid_argument(format!("the message has more than {MOST_ENTRIES} entries")));
        }
        if growing.numbers > MOST_NUMBERS {
            let advice = "send them in raw_input_contents";
            return Err(Status::invalid_argument(format!(
                "uint_contents has more than {MOST_NUMBERS} bytes: {advice}"
            )));
        }
        // A message that is broken is its client's mistake, where prost says that it is ours.
        self.0.decode(source).map_err(|status| unreadable(status.message()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}

impl Growing {
    /// Counts the fields of a message, and those of nested messages down to a depth.
    fn count(&mut self, mut message: &[u8], depth: usize) -> Result<(), DecodeError> {
        while message.has_remaining() {
            let (tag, wire_type) = decode_key(&mut message)?;
            if wire_type != WireType::LengthDelimited {
                let before = message.len();
                skip_field(wire_type, tag, &mut message, DecodeContext::default())?;
                // A number of a list that is not packed.
                self.add_numbers(tag, depth, before - message.len());
                continue;
            }
            self.entries += 1;
            let length = decode_varint(&mut message)?;
            // A field that is cut off is the decoder's to complain of.
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(message.len());
            let (field, rest) = message.split_at(length);
            if has_lists(tag, depth) {
                self.count(field, depth - 1)?;
            } else {
                self.add_numbers(tag, depth, field.len());
            }
            message = rest;
        }
        Ok(())
    }

    /// Counts so many bytes of a field where they are numbers that take more in memory: a tensor's shape, and an input's contents
    /// but bool_contents, fp32_contents and fp64_contents.
    fn add_numbers(&mut self, tag: u32, depth: usize, bytes: usize) {
        match (depth, tag) {
            // uint_contents
            (0, 4) => self.numbers += bytes,
            // shape; int_contents, int64_contents and uint64_contents
            (1, 3) | (0, 2 | 3 | 5) => self.entries += bytes,
            _ => {}
        }
    }
}

/// Whether a field, so many messages above the deepest, is a message with lists of its own: an input or an output of a request,
/// an input's contents.
fn has_lists(tag: u32, depth: usize) -> bool {
    match depth {
        DEPTH => matches!(tag, 5 | 6),
        0 => false,
        _ => tag == 5,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{
        super::proto::{
            InferParameter, InferTensorContents, ModelInferRequest,
            model_infer_request::{InferInputTensor, InferRequestedOutputTensor},
        },
        *,
    };

    fn counted(message: &[u8]) -> Growing {
        let mut growing = Growing::default();
        growing.count(message, DEPTH).unwrap();
        growing
    }

    #[test]
    fn entries_are_counted_where_they_take_memory() {
        let count = |request: &ModelInferRequest| counted(&request.encode_to_vec()).entries;
        let raw_input_contents = vec![Bytes::new(); 7];
        assert_eq!(count(&ModelInferRequest { raw_input_contents, ..ModelInferRequest::default() }), 7);
        let inputs = vec![InferInputTensor::default(); 9];
        assert_eq!(count(&ModelInferRequest { inputs, ..ModelInferRequest::default() }), 9);
        let bytes_contents = vec![Bytes::new(); 5];
        let contents = Some(InferTensorContents { bytes_contents, ..InferTensorContents::default() });
        let inputs = vec![InferInputTensor { contents, ..InferInputTensor::default() }];
        assert_eq!(count(&ModelInferRequest { inputs, ..ModelInferRequest::default() }), 1 + 1 + 5);
        let parameters = (0..6).map(|i| (i.to_string(), InferParameter::default())).collect();
        let outputs = vec![InferRequestedOutputTensor { parameters, ..InferRequestedOutputTensor::default() }];
        assert_eq!(count(&ModelInferRequest { outputs, ..ModelInferRequest::default() }), 1 + 6);
        // A packed list of pixels is one entry, however long.
        let contents = Some(InferTensorContents { uint_contents: vec![7; 1000], ..InferTensorContents::default() });
        let inputs = vec![InferInputTensor { contents, ..InferInputTensor::default() }];
        assert_eq!(count(&ModelInferRequest { inputs, ..ModelInferRequest::default() }), 1 + 1 + 1);
    }

    /// What is counted of an input with these contents.
    fn of_contents(contents: InferTensorContents) -> Growing {
        let inputs = vec![InferInputTensor { contents: Some(contents), ..InferInputTensor::default() }];
        counted(&ModelInferRequest { inputs, ..ModelInferRequest::default() }.encode_to_vec())
    }

    #[test]
    fn numbers_are_counted_where_they_take_more_memory_than_bytes() {
        let none = InferTensorContents::default;
        for contents in [
            InferTensorContents { int_contents: vec![7; 1000], ..none() },
            InferTensorContents { int64_contents: vec![7; 1000], ..none() },
            InferTensorContents { uint64_contents: vec![7; 1000], ..none() },
        ] {
            assert_eq!(of_contents(contents), Growing { entries: 3 + 1000, numbers: 0 });
        }
        let shape = vec![InferInputTensor { shape: vec![7; 1000], ..InferInputTensor::default() }];
        let shape = ModelInferRequest { inputs: shape, ..ModelInferRequest::default() };
        assert_eq!(counted(&shape.encode_to_vec()), Growing { entries: 2 + 1000, numbers: 0 });
        let pixels = InferTensorContents { uint_contents: vec![7; 1000], ..none() };
        assert_eq!(of_contents(pixels), Growing { entries: 3, numbers: 1000 });
        let floats = InferTensorContents { fp32_contents: vec![7.0; 1000], fp64_contents: vec![7.0; 1000], ..none() };
        assert_eq!(of_contents(floats), Growing { entries: 4, numbers: 0 });
        // An input whose contents are twice the same number, each with a key of its own, as a list may be written as well.
        assert_eq!(counted(b"\x2a\x06\x2a\x04\x18\x07\x18\x07"), Growing { entries: 2 + 2, numbers: 0 });
    }

    #[test]
    fn no_bytes_make_the_count_panic() {
        for bytes in
            [&b"\x2a"[..], b"\x2a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x2a\x05\x2a\x09\x42", b"\xff\xff\xff"]
        {
            let _ = Growing::default().count(bytes, DEPTH);
        }
    }
}
