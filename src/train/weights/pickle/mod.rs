//! Python's pickle format, as far as a state dict needs it.
//!
//! A pickle is a program for a stack machine which may call any Python function, so that reading one with Python runs
//! whatever its author likes. The [`machine`] here has no way to call anything: the names that a pickle may mention are
//! the closed list of [`Global`], each of which only makes a [`Value`]; any other name is refused before it is used.
//!
//! Values lie in one flat list and refer to each other by place, so that neither building nor dropping them recurses.
//! The number of operations is bounded, and with it the memory that a hostile file can ask for.

mod machine;
mod reader;

pub(super) use self::machine::read;
use super::element::Element;

/// The place of a value in [`Pickle::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ref(u32);

/// A name that a pickle may mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`.
    RebuildParameter,
    /// `torch.FloatStorage` and the like.
    Storage(Element),
}

/// A storage: elements without a shape, which several tensors may share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    /// The type of its elements.
    pub(super) element: Element,
    /// Its name in the file, a [`Value::Text`].
    pub(super) key: Ref,
    /// How many elements it has.
    pub(super) count: usize,
}

/// A tensor: a view of a storage. Offset and strides count elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tensor {
    pub(super) storage: Storage,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// What a pickle builds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    /// Up to 16 bytes.
    Int(i128),
    Float,
    Text(String),
    Bytes,
    Tuple(Vec<Ref>),
    List(Vec<Ref>),
    /// A dict or an OrderedDict, in order of insertion.
    Dict(Vec<(Ref, Ref)>),
    Global(Global),
    Storage(Storage),
    Tensor(Box<Tensor>),
}

/// The values of one pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    values: Vec<Value>,
    /// The value that the pickle stands for.
    pub(super) root: Ref,
    /// The length of the pickle in bytes; what follows is not part of it.
    pub(super) length: usize,
}

impl Pickle {
    /// The value at a place.
    pub(super) fn value(&self, place: Ref) -> &Value {
        self.values.get(place.0 as usize).unwrap_or(&Value::None)
    }

    /// The text at a place, if there is one.
    pub(super) fn text(&self, place: Ref) -> Option<&str> {
        if let Value::Text(text) = self.value(place) { Some(text) } else { None }
    }

    /// Every storage that is mentioned, as often as it is.
    pub(super) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.values.iter().filter_map(|value| if let Value::Storage(storage) = value { Some(storage) } else { None })
    }
}

impl Global {
    /// # Errors
    /// A name that is not on the list, and what to do about it.
    fn of(module: &str, name: &str) -> Result<Self, String> {
        let storage = if module == "torch" { Element::of_storage(name) } else { None };
        match (module, name, storage) {
            (_, _, Some(element)) => Ok(Self::Storage(element)),
            ("collections", "OrderedDict", _) => Ok(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2", _) => Ok(Self::RebuildTensor),
            ("torch._utils", "_rebuild_parameter", _) => Ok(Self::RebuildParameter),
            _ => Err(format!(
                "the file wants to run {module}.{name}, which nothing here does: it is not a plain state dict; in \
                 Python, save one with torch.save(model.state_dict(), PATH)"
            )),
        }
    }
}

impl Value {
    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an int",
            Self::Float => "a float",
            Self::Text(_) => "a str",
            Self::Bytes => "bytes",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dict",
            Self::Global(_) => "a function or class",
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
        }
    }
}
