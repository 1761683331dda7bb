//! Reading messages, but none that would grow.
//!
//! Two bytes can be an empty entry of a list, which takes hundreds in memory, so a message within the size limit could
//! still take all of it. Entries are counted before a message is decoded.

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
/// How deep messages with lists of their own lie: a request's inputs, and an input's contents.
const DEPTH: usize = 2;

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
        let entries = entries(source.chunk(), DEPTH).map_err(|error| Status::internal(error.to_string()))?;
        if entries > MOST_ENTRIES {
            return Err(Status::invalid_argument(format!("the message has more than {MOST_ENTRIES} entries")));
        }
        self.0.decode(source)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}

/// The fields of a message that are messages, text or bytes, with those of nested messages down to a depth.
fn entries(mut message: &[u8], depth: usize) -> Result<usize, DecodeError> {
    let mut count = 0;
    while message.has_remaining() {
        let (tag, wire_type) = decode_key(&mut message)?;
        if wire_type != WireType::LengthDelimited {
            skip_field(wire_type, tag, &mut message, DecodeContext::default())?;
            continue;
        }
        count += 1;
        let length = decode_varint(&mut message)?;
        // A field that is cut off is the decoder's to complain of.
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(message.len());
        let (field, rest) = message.split_at(length);
        if has_lists(tag, depth) {
            count += entries(field, depth - 1)?;
        }
        message = rest;
    }
    Ok(count)
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

    #[test]
    fn entries_are_counted_where_they_take_memory() {
        let count = |request: &ModelInferRequest| entries(&request.encode_to_vec(), DEPTH).unwrap();
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
        // A packed list of numbers is one entry, however long.
        let contents = Some(InferTensorContents { uint_contents: vec![7; 1000], ..InferTensorContents::default() });
        let inputs = vec![InferInputTensor { contents, ..InferInputTensor::default() }];
        assert_eq!(count(&ModelInferRequest { inputs, ..ModelInferRequest::default() }), 1 + 1 + 1);
    }

    #[test]
    fn no_bytes_make_the_count_panic() {
        for bytes in
            [&b"\x2a"[..], b"\x2a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x2a\x05\x2a\x09\x42", b"\xff\xff\xff"]
        {
            let _ = entries(bytes, DEPTH);
        }
    }
}
