//! Counting what bytes would become, before they become it.
//!
//! Decoding is where a small file grows: a node of two bytes takes hundreds in memory. This walk over the encoding
//! takes none. It also refuses fields that the standard does not have: ONNX Runtime, which reads the same bytes with a
//! decoder of its own, shall see nothing that we have not seen.

use prost::encoding::{WireType, decode_key, decode_varint};

use super::{TrustLimits, untrusted};
use crate::onnx::OnnxError;

/// How deep messages may lie in each other, as in prost.
const MAX_DEPTH: usize = 100;

/// The messages of the format; those of two plain fields are one kind.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Function,
    Annotation,
    Type,
    Wrapper,
    TensorType,
    Shape,
    Dimension,
    Entry,
}

/// What a field holds.
enum Held {
    /// A number, text or bytes, about as large in memory as in the file; or what decoding passes over.
    Plain,
    /// Integers that may be packed.
    Packed,
    Message(Kind),
    Refused(&'static str),
}

const SPARSE: Held = Held::Refused("sparse tensors are not supported: export ordinary ones");

impl Kind {
    fn field(self, number: u32) -> Option<Held> {
        use Held::{Message, Packed, Plain, Refused};
        Some(match (self, number) {
            (Self::Model, 1..=6 | 26) => Plain,
            (Self::Model, 7) => Message(Self::Graph),
            (Self::Model, 8 | 14) => Message(Self::Entry),
            (Self::Model, 20) => Refused("it has training information: export the model for inference alone"),
            (Self::Model, 25) => Message(Self::Function),
            (Self::Graph, 1) | (Self::Function, 7) => Message(Self::Node),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) => Message(Self::Tensor),
            (Self::Graph, 11..=13) | (Self::Function, 12) => Message(Self::Value),
            (Self::Graph, 14) => Message(Self::Annotation),
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => SPARSE,
            (Self::Graph, 2 | 10) => Plain,
            (Self::Node, 1..=4 | 6..=8) => Plain,
            (Self::Node, 5) | (Self::Function, 11) => Message(Self::Attribute),
            (Self::Node, 10) => Refused("its nodes name devices: export the model for one device"),
            (Self::Attribute, 1..=4 | 7 | 9 | 13 | 20 | 21) => Plain,
            (Self::Attribute, 6 | 11) => Message(Self::Graph),
            (Self::Attribute, 8) | (Self::Tensor, 1 | 5 | 7 | 11) => Packed,
            (Self::Attribute, 14 | 15) | (Self::Value, 2) => Message(Self::Type),
            (Self::Tensor, 2 | 4 | 6 | 8..=10 | 12 | 14) | (Self::Value, 1 | 3) => Plain,
            (Self::Function, 1 | 4..=6 | 8 | 10 | 13) => Plain,
            (Self::Graph, 16)
            | (Self::Node | Self::Function, 9)
            | (Self::Tensor, 3 | 13 | 16)
            | (Self::Value, 4)
            | (Self::Function, 14)
            | (Self::Annotation, 2) => Message(Self::Entry),
            (Self::Type, 1 | 8) => Message(Self::TensorType),
            (Self::Type, 4 | 5 | 9) => Message(Self::Wrapper),
            // A map's key comes before its value.
            (Self::Wrapper, 1 | 2) => Message(Self::Type),
            (Self::TensorType, 2) => Message(Self::Shape),
            (Self::Shape, 1) => Message(Self::Dimension),
            (Self::Type, 6 | 7)
            | (Self::TensorType | Self::Annotation, 1)
            | (Self::Dimension, 1..=3)
            | (Self::Entry, 1 | 2) => Plain,
            _ => return None,
        })
    }
}

/// Counts the parts of an encoded model.
pub(super) fn scan(bytes: &[u8], limits: &TrustLimits) -> Result<(), OnnxError> {
    Scan { messages: limits.max_messages, fields: limits.max_fields, packed: limits.max_packed_bytes, limits }.message(
        bytes,
        Kind::Model,
        0,
    )
}

/// What may still come.
struct Scan<'a> {
    messages: usize,
    fields: usize,
    packed: usize,
    limits: &'a TrustLimits,
}

impl Scan<'_> {
    fn message(&mut self, mut bytes: &[u8], kind: Kind, depth: usize) -> Result<(), OnnxError> {
        if depth > MAX_DEPTH {
            return Err(untrusted(format!("its messages lie more than {MAX_DEPTH} deep in each other")));
        }
        spend(&mut self.messages, 1, self.limits.max_messages, "messages (nodes, attributes, tensors, values)")?;
        while !bytes.is_empty() {
            let (number, wire_type) = decode_key(&mut bytes)?;
            let content = content(&mut bytes, wire_type)?;
            spend(&mut self.fields, 1, self.limits.max_fields, "fields")?;
            let held = kind.field(number).ok_or_else(|| {
                untrusted(format!("not an ONNX file, or of a later format: a {kind:?} has no field {number}"))
            })?;
            match (held, content) {
                (Held::Refused(reason), _) => return Err(untrusted(reason)),
                (Held::Message(inner), Some(content)) => self.message(content, inner, depth + 1)?,
                (Held::Packed, Some(content)) => {
                    let limit = self.limits.max_packed_bytes;
                    spend(&mut self.packed, content.len(), limit, "bytes of packed integers (raw_data has no limit)")?;
                }
                // A field of the wrong kind is for the decoder to name.
                _ => {}
            }
        }
        Ok(())
    }
}

/// Passes over one field; gives its bytes where it has a length.
fn content<'a>(bytes: &mut &'a [u8], wire_type: WireType) -> Result<Option<&'a [u8]>, OnnxError> {
    let length = match wire_type {
        WireType::Varint => {
            decode_varint(bytes)?;
            return Ok(None);
        }
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::LengthDelimited => decode_varint(bytes)?,
        WireType::StartGroup | WireType::EndGroup => {
            return Err(untrusted("not an ONNX file: its encoding has groups"));
        }
    };
    let split = usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length));
    let (content, rest) = split.ok_or_else(|| untrusted("not an ONNX file: it ends inside of a field"))?;
    *bytes = rest;
    Ok((wire_type == WireType::LengthDelimited).then_some(content))
}

fn spend(left: &mut usize, cost: usize, limit: usize, what: &str) -> Result<(), OnnxError> {
    *left = left.checked_sub(cost).ok_or_else(|| untrusted(format!("it has more than {limit} {what}")))?;
    Ok(())
}
