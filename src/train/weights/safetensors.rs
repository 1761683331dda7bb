//! The `.safetensors` format.

use std::collections::BTreeMap;

use safetensors::SafeTensors;

use super::{element::Element, state_dict::StoredTensor};

/// Whether the bytes begin with a length and a JSON object.
pub(super) fn looks_so(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{')
}

/// Every tensor of the file.
pub(super) fn read(bytes: &[u8]) -> Result<BTreeMap<String, StoredTensor>, String> {
    let error = |error| format!("not a whole safetensors file: {error}");
    let (header, metadata) = SafeTensors::read_metadata(bytes).map_err(error)?;
    // The file's own check: every tensor's bytes lie within the file.
    SafeTensors::deserialize(bytes).map_err(error)?;
    let start = 8 + header;
    let mut tensors = BTreeMap::new();
    for (name, info) in metadata.tensors() {
        let element = Element::of_safetensors(info.dtype)
            .ok_or_else(|| format!("{name} has elements of type {:?}, which are not read", info.dtype))?;
        let (from, to) = info.data_offsets;
        tensors.insert(name, StoredTensor::row_major(element, info.shape.clone(), start + from..start + to));
    }
    Ok(tensors)
}
