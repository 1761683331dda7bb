//! PyTorch's files before version 1.6, and those that `_use_new_zipfile_serialization=False` still writes.
//!
//! Five pickles one after another: a magic number, the format's version, facts on the machine, the object, and the keys
//! of the storages in their order. Then each storage: its number of elements as int64, and the elements.

use std::{collections::BTreeMap, ops::Range};

use super::{
    pickle::{self, Pickle, Value},
    state_dict::TorchFile,
};

const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const VERSION: i128 = 1001;

/// Where the object's storages lie.
pub(super) fn read(bytes: &[u8]) -> Result<TorchFile, String> {
    let mut rest = Rest { bytes, place: 0 };
    let magic = rest.pickle().map_err(|_| "a pickle, but not a file of PyTorch's")?;
    if *magic.value(magic.root) != Value::Int(MAGIC) {
        return Err("a pickle, but not a file of PyTorch's".to_owned());
    }
    let version = rest.pickle()?;
    if *version.value(version.root) != Value::Int(VERSION) {
        return Err("a version of PyTorch's older format that is not known".to_owned());
    }
    let machine = rest.pickle()?;
    if !says_little_endian(&machine) {
        return Err("written on a big-endian machine, which is not supported".to_owned());
    }
    let pickle = rest.pickle()?;
    let keys = rest.pickle()?;
    let storages = storages(&mut rest, &pickle, &keys)?;
    Ok(TorchFile { pickle, storages })
}

/// What has not been read yet.
struct Rest<'a> {
    bytes: &'a [u8],
    place: usize,
}

impl Rest<'_> {
    fn pickle(&mut self) -> Result<Pickle, String> {
        let pickle = pickle::read(self.bytes.get(self.place..).unwrap_or_default())?;
        self.place += pickle.length;
        Ok(pickle)
    }

    /// The place of the next `count` bytes, which are stepped over.
    fn skip(&mut self, count: usize) -> Option<Range<usize>> {
        let range = self.place..self.place.checked_add(count)?;
        self.bytes.get(range.clone())?;
        self.place = range.end;
        Some(range)
    }
}

/// The dict's `little_endian`; the file was written on such a machine unless it is there and False.
fn says_little_endian(machine: &Pickle) -> bool {
    let Value::Dict(entries) = machine.value(machine.root) else { return true };
    let entry = entries.iter().find(|(key, _)| machine.text(*key) == Some("little_endian"));
    entry.is_none_or(|(_, value)| *machine.value(*value) != Value::Bool(false))
}

fn storages(rest: &mut Rest<'_>, pickle: &Pickle, keys: &Pickle) -> Result<BTreeMap<String, Range<usize>>, String> {
    let Value::List(keys_in_order) = keys.value(keys.root) else {
        return Err("a file of PyTorch's older format without the keys of its storages".to_owned());
    };
    let mentioned: BTreeMap<&str, _> =
        pickle.storages().filter_map(|storage| Some((pickle.text(storage.key)?, storage))).collect();
    let mut storages = BTreeMap::new();
    for &key in keys_in_order {
        let key = keys.text(key).unwrap_or_default();
        let storage = mentioned.get(key).ok_or_else(|| format!("the file's storage {key:?} belongs to no tensor"))?;
        let cut_off = || format!("the file breaks off in storage {key:?}: was it downloaded whole?");
        let header = rest.skip(8).and_then(|range| rest.bytes.get(range)).ok_or_else(cut_off)?;
        let count = u64::from_le_bytes(header.try_into().unwrap_or_default());
        if u64::try_from(storage.count) != Ok(count) {
            return Err(format!("storage {key:?} has {count} elements, the file's own list says {}", storage.count));
        }
        let length = storage.count.checked_mul(storage.element.width()).ok_or_else(cut_off)?;
        storages.insert(key.to_owned(), rest.skip(length).ok_or_else(cut_off)?);
    }
    Ok(storages)
}
