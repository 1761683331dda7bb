//! Finding the state dict in what a PyTorch file holds.

use std::collections::BTreeMap;

use super::{
    pickle::{Pickle, Ref, Tensor, Value},
    state_dict::{StoredTensor, TorchFile},
};

/// Entries of checkpoints that hold the state dict, the averaged weights first, in timm's order.
const WRAPPERS: [&str; 4] = ["state_dict_ema", "model_ema", "state_dict", "model"];
/// What DataParallel, Lightning and torch.compile put before every name.
const PREFIXES: [&str; 3] = ["module.", "model.", "_orig_mod."];

type Tensors = BTreeMap<String, StoredTensor>;

/// The tensors of the file's state dict, and what to say about where it was.
///
/// # Errors
/// Something else than a dict of tensors, or a tensor whose storage is not in the file.
pub(super) fn state_dict(file: &TorchFile) -> Result<(Tensors, Vec<String>), String> {
    let pickle = &file.pickle;
    let Value::Dict(root) = pickle.value(pickle.root) else {
        return Err(format!("holds {}, not a state dict", pickle.value(pickle.root).kind()));
    };
    let wrapped = WRAPPERS.iter().find_map(|wrapper| {
        let (_, value) = root.iter().find(|(key, _)| pickle.text(*key) == Some(wrapper))?;
        let Value::Dict(inner) = pickle.value(*value) else { return None };
        tensors_of(pickle, inner).next().is_some().then_some((*wrapper, inner))
    });
    let (dict, notes) = match wrapped {
        Some((wrapper, inner)) => (inner, vec![format!("from its entry {wrapper:?}")]),
        None => (root, Vec::new()),
    };
    let mut tensors = Tensors::new();
    for (name, tensor) in tensors_of(pickle, dict) {
        tensors.insert(name.to_owned(), stored(file, name, tensor)?);
    }
    if tensors.is_empty() {
        let keys: Vec<&str> = root.iter().filter_map(|(key, _)| pickle.text(*key)).take(10).collect();
        return Err(format!("holds a dict without tensors, whose entries are {}", keys.join(", ")));
    }
    Ok((tensors, notes))
}

fn tensors_of<'a>(pickle: &'a Pickle, dict: &'a [(Ref, Ref)]) -> impl Iterator<Item = (&'a str, &'a Tensor)> {
    dict.iter().filter_map(|(key, value)| match (pickle.text(*key), pickle.value(*value)) {
        (Some(name), Value::Tensor(tensor)) => Some((name, tensor.as_ref())),
        _ => None,
    })
}

fn stored(file: &TorchFile, name: &str, tensor: &Tensor) -> Result<StoredTensor, String> {
    let Tensor { storage, offset, shape, strides } = tensor;
    let key = file.pickle.text(storage.key).unwrap_or_default();
    let range = file.storages.get(key).ok_or_else(|| format!("{name}: its storage {key:?} is not in the file"))?;
    let length = storage.count.checked_mul(storage.element.width());
    let fits = length.is_some_and(|length| length <= range.len()) && shape.len() == strides.len();
    let end = length.and_then(|length| range.start.checked_add(length)).filter(|_| fits);
    let end = end.ok_or_else(|| format!("{name}: its storage {key:?} has {} bytes, too few", range.len()))?;
    Ok(StoredTensor {
        element: storage.element,
        shape: shape.clone(),
        strides: strides.clone(),
        offset: *offset,
        storage: range.start..end,
    })
}

/// Takes off what stands before every name, and says so.
pub(super) fn without_prefixes(mut tensors: Tensors, notes: &mut Vec<String>) -> Tensors {
    while let Some(prefix) =
        PREFIXES.iter().find(|prefix| !tensors.is_empty() && tensors.keys().all(|name| name.starts_with(*prefix)))
    {
        let bare = |(name, tensor): (String, _)| (name[prefix.len()..].to_owned(), tensor);
        tensors = tensors.into_iter().map(bare).collect();
        notes.push(format!("without the prefix {prefix:?}"));
    }
    tensors
}
