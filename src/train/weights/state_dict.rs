//! Named tensors as a weight file stores them.
//!
//! Reading a file only notes where each tensor lies. Values are made one tensor at a time, when a graph asks for one and
//! its shape is the one that the graph wants, so that a file cannot make us allocate more than the graph is large.

use std::{collections::BTreeMap, ops::Range};

use super::{checkpoint, element::Element, legacy, pickle, safetensors, torch_zip};
use crate::onnx::GraphProto;

/// A file's tensors by name.
#[derive(Debug)]
pub struct StateDict {
    bytes: Vec<u8>,
    tensors: BTreeMap<String, StoredTensor>,
    /// What a user should know about how the file was read.
    notes: Vec<String>,
}

/// Where a tensor lies. Offset and strides count elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredTensor {
    pub(super) element: Element,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
    pub(super) offset: usize,
    /// The bytes of the storage that the tensor is a view of; within the file.
    pub(super) storage: Range<usize>,
}

/// A PyTorch file: the pickled object, and where the storages lie that it mentions.
pub(super) struct TorchFile {
    pub(super) pickle: pickle::Pickle,
    pub(super) storages: BTreeMap<String, Range<usize>>,
}

impl StateDict {
    /// Reads a `.safetensors` file, or a PyTorch state dict in the zip or the older format; which one, its bytes tell.
    /// No code from the file is run.
    ///
    /// A checkpoint that has the state dict in it is unwrapped. `num_batches_tracked`, which PyTorch's batch norm
    /// carries along, is left out.
    ///
    /// # Errors
    /// What the file is instead, or what is wrong with it.
    pub fn read(bytes: Vec<u8>) -> Result<Self, String> {
        let (tensors, mut notes) = if bytes.starts_with(b"PK\x03\x04") {
            checkpoint::state_dict(&torch_zip::read(&bytes)?)?
        } else if bytes.starts_with(&[0x80]) && bytes.get(1).is_some_and(|protocol| (2..=5).contains(protocol)) {
            checkpoint::state_dict(&legacy::read(&bytes)?)?
        } else if safetensors::looks_so(&bytes) {
            (safetensors::read(&bytes)?, Vec::new())
        } else {
            return Err(no_weights(&bytes).to_owned());
        };
        let tensors = checkpoint::without_prefixes(tensors, &mut notes);
        let tensors = tensors.into_iter().filter(|(name, _)| !name.ends_with("num_batches_tracked")).collect();
        Ok(Self { bytes, tensors, notes })
    }

    /// The float32 parameters of a graph.
    ///
    /// # Errors
    /// A parameter whose data do not fit its shape.
    pub fn of_graph(graph: &GraphProto) -> Result<Self, crate::onnx::OnnxError> {
        let mut dict = Self { bytes: Vec::new(), tensors: BTreeMap::new(), notes: Vec::new() };
        for tensor in &graph.initializer {
            if tensor.data_type() != crate::onnx::proto::DataType::Float {
                continue;
            }
            let start = dict.bytes.len();
            dict.bytes.extend(tensor.little_endian_bytes()?);
            let shape = tensor.dims.iter().filter_map(|&dim| usize::try_from(dim).ok()).collect();
            let stored = StoredTensor::row_major(Element::Float32, shape, start..dict.bytes.len());
            dict.tensors.insert(tensor.name().to_owned(), stored);
        }
        Ok(dict)
    }

    /// The names of the tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor's shape.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.shape.as_slice())
    }

    /// A tensor's values as float32, in row-major order.
    ///
    /// # Errors
    /// No such tensor, whole numbers, or a tensor that reaches over the end of its storage.
    pub fn values(&self, name: &str) -> Result<Vec<f32>, String> {
        let tensor = self.tensors.get(name).ok_or("is missing")?;
        tensor.values(self.bytes.get(tensor.storage.clone()).ok_or("lies outside of the file")?)
    }

    /// What a user should know about how the file was read, in sentences' parts such as `without the prefix "module."`.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Gives every tensor the name that `rename` gives, and says why.
    pub(super) fn rename(&mut self, rename: impl Fn(&str) -> Option<String>, note: &str) {
        let tensors = std::mem::take(&mut self.tensors);
        self.tensors = tensors.into_iter().map(|(name, tensor)| (rename(&name).unwrap_or(name), tensor)).collect();
        self.notes.push(note.to_owned());
    }
}

impl StoredTensor {
    /// A tensor whose elements lie in row-major order from the start of its storage.
    pub(super) fn row_major(element: Element, shape: Vec<usize>, storage: Range<usize>) -> Self {
        let mut strides = vec![1_usize; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
        }
        Self { element, shape, strides, offset: 0, storage }
    }

    fn values(&self, storage: &[u8]) -> Result<Vec<f32>, String> {
        if matches!(self.element, Element::Whole(_)) {
            return Err("has whole numbers, where only floating-point types are weights".into());
        }
        let count = self.shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size));
        let (Some(count), Some(end)) = (count, self.end()) else { return Err(self.outside()) };
        let width = self.element.width();
        if end > storage.len() / width {
            return Err(self.outside());
        }
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0; self.shape.len()];
        let mut place = self.offset;
        for _ in 0..count {
            let bytes = storage.get(width * place..width * (place + 1));
            values.push(bytes.and_then(|bytes| self.element.to_f32(bytes)).ok_or_else(|| self.outside())?);
            // The next index in row-major order: the last axis that has not come to its end goes one further.
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                place += self.strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                place -= self.strides[axis] * self.shape[axis];
                index[axis] = 0;
            }
        }
        Ok(values)
    }

    /// One past the last element of the storage that the tensor uses; none where that is no number.
    fn end(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        let mut end = self.offset.checked_add(1)?;
        for (&size, &stride) in self.shape.iter().zip(&self.strides) {
            // The walk over the index passes one stride beyond the last element, so that has to be a number as well.
            stride.checked_mul(size)?.checked_add(end)?;
            end = end.checked_add(stride.checked_mul(size - 1)?)?;
        }
        Some(end)
    }

    fn outside(&self) -> String {
        format!("has shape {:?} with strides {:?}, which is more than its storage holds", self.shape, self.strides)
    }
}

/// What a file without weights may be.
fn no_weights(bytes: &[u8]) -> &'static str {
    let start = bytes.trim_ascii_start();
    if bytes.get(257..262) == Some(b"ustar") {
        "a tar archive, which PyTorch wrote before version 0.1.10; load it there and save it anew"
    } else if start.starts_with(b"<") {
        "a web page, not weights: was it saved from a link that leads to a page?"
    } else if start.starts_with(b"version https://git-lfs") {
        "a pointer of Git LFS, not the file itself: git lfs pull fetches it"
    } else {
        "neither a .safetensors file nor a PyTorch state dict nor an ONNX file (*.onnx)"
    }
}
