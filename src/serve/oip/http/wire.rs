//! An inference request's JSON, as it is written.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, SeqAccess, Visitor},
};
use utoipa::ToSchema;

use super::elements::JsonElements;

/// The most entries of a list: no model has more inputs or outputs, no shape more dimensions.
const MOST_ENTRIES: usize = 64;

/// A request to run a model.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = InferRequest)]
pub(super) struct Request {
    /// An id of the client's own, which the answer repeats.
    #[schema(example = "7")]
    pub(super) id: Option<String>,
    /// What holds for the whole request.
    #[serde(default)]
    pub(super) parameters: RequestParameters,
    /// The one tensor that the model takes.
    #[schema(value_type = Vec<Input>)]
    pub(super) inputs: Few<Input>,
    /// The outputs that are wanted; the graph's own unless given.
    #[serde(default)]
    #[schema(value_type = Vec<Output>)]
    pub(super) outputs: Few<Output>,
}

/// What holds for a whole request. Parameters of a client's own are passed over, as the protocol allows them.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = InferRequestParameters)]
pub(super) struct RequestParameters {
    /// 1 goes first, 3 last; 2 unless given, and for 0.
    #[serde(default)]
    #[schema(maximum = 3, example = 2)]
    pub(super) priority: u64,
    /// Microseconds after which the answer is no longer wanted; 0 is as if it were not given.
    #[schema(example = 500_000)]
    pub(super) timeout: Option<u64>,
    /// Whether outputs travel in binary that do not say so themselves.
    #[serde(default)]
    pub(super) binary_data_output: bool,
}

/// An input tensor: its elements are in `data`, or in binary behind the JSON.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = InferInput)]
pub(super) struct Input {
    /// Its name, which the model's metadata say.
    #[schema(example = "image")]
    pub(super) name: String,
    /// [N, H, W, 3] of pixels; [N] or [N, 1] of encoded pictures.
    #[schema(value_type = Vec<i64>, example = json!([1]))]
    pub(super) shape: Few<i64>,
    /// `UINT8` for pixels, `BYTES` for encoded pictures.
    #[schema(value_type = InputType, example = "BYTES")]
    pub(super) datatype: String,
    /// What holds for this input.
    #[serde(default)]
    pub(super) parameters: InputParameters,
    /// Its elements, row by row, in one list or in nested ones.
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    pub(super) data: Option<JsonElements>,
}

/// The type of an input's elements.
#[derive(ToSchema)]
#[schema(as = InferInputType, rename_all = "UPPERCASE")]
#[allow(dead_code, reason = "describes the type, which is read as text: others are known, too, and refused by name")]
enum InputType {
    Uint8,
    Bytes,
}

/// What holds for one input.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = InferInputParameters)]
pub(super) struct InputParameters {
    /// Its bytes behind the JSON, where it travels in binary.
    pub(super) binary_data_size: Option<usize>,
    /// Not supported: 501.
    pub(super) shared_memory_region: Option<String>,
}

/// An output that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = InferRequestedOutput)]
pub(super) struct Output {
    /// Its name: the graph's own, or `points_px`.
    #[schema(example = "scores")]
    pub(super) name: String,
    /// What holds for this output.
    #[serde(default)]
    pub(super) parameters: OutputParameters,
}

/// What holds for one output that is asked for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = InferRequestedOutputParameters)]
pub(super) struct OutputParameters {
    /// Whether it travels in binary.
    pub(super) binary_data: Option<bool>,
    /// Not the scores, but so many of the best as `SCORE:PLACE:LABEL`; 0 for the scores. Models with labels only.
    #[serde(default)]
    #[schema(example = 2)]
    pub(super) classification: usize,
    /// Not supported: 501.
    pub(super) shared_memory_region: Option<String>,
}

/// A list that is short, so that a small text cannot become a large list.
#[derive(Debug)]
pub(super) struct Few<T>(pub(super) Vec<T>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FewVisitor(PhantomData)).map(Self)
    }
}

struct FewVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FewVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a list of at most {MOST_ENTRIES}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            if entries.len() == MOST_ENTRIES {
                return Err(A::Error::invalid_length(MOST_ENTRIES + 1, &self));
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}
