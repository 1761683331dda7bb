//! An inference request's JSON, as it is written.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, SeqAccess, Visitor},
};

use super::elements::JsonElements;

/// The most entries of a list: no model has more inputs or outputs, no shape more dimensions.
const MOST_ENTRIES: usize = 64;

/// The whole of the JSON.
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) parameters: RequestParameters,
    pub(super) inputs: Few<Input>,
    #[serde(default)]
    pub(super) outputs: Few<Output>,
}

/// What holds for the whole request. Parameters of a client's own are passed over, as the protocol allows them.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RequestParameters {
    #[serde(default)]
    pub(super) priority: u64,
    /// Microseconds.
    pub(super) timeout: Option<u64>,
    #[serde(default)]
    pub(super) binary_data_output: bool,
}

/// An input tensor.
#[derive(Debug, Deserialize)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) shape: Few<i64>,
    pub(super) datatype: String,
    #[serde(default)]
    pub(super) parameters: InputParameters,
    pub(super) data: Option<JsonElements>,
}

/// What holds for one input.
#[derive(Debug, Default, Deserialize)]
pub(super) struct InputParameters {
    pub(super) binary_data_size: Option<usize>,
    pub(super) shared_memory_region: Option<String>,
}

/// An output that is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Output {
    pub(super) name: String,
    #[serde(default)]
    pub(super) parameters: OutputParameters,
}

/// What holds for one output.
#[derive(Debug, Default, Deserialize)]
pub(super) struct OutputParameters {
    pub(super) binary_data: Option<bool>,
    #[serde(default)]
    pub(super) classification: usize,
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
