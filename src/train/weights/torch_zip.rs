//! PyTorch's files since version 1.6: a zip archive of uncompressed entries.
//!
//! `NAME/data.pkl` is the pickled object and `NAME/data/KEY` the bytes of each storage; `NAME/byteorder` says `little`
//! or `big` (PyTorch 2.1 and later). NAME is `archive` or the name that the file was saved under.

use std::{
    collections::BTreeMap,
    io::{self, Cursor},
    ops::Range,
};

use zip::{CompressionMethod, ZipArchive};

use super::{pickle, state_dict::TorchFile};

/// Where the entries lie, each of which has been read once against its checksum.
pub(super) fn read(bytes: &[u8]) -> Result<TorchFile, String> {
    let entries = entries(bytes)?;
    let pickled = |name: &&String| name.split_once('/').is_some_and(|(_, rest)| rest == "data.pkl");
    let name = entries.keys().find(pickled).ok_or("a zip archive without data.pkl, so not a file of PyTorch's")?;
    let root = name.trim_end_matches("data.pkl");
    let content = |name: &str| entries.get(&format!("{root}{name}")).and_then(|range| bytes.get(range.clone()));
    if content("byteorder").is_some_and(|order| order != b"little") {
        return Err("written on a big-endian machine, which is not supported".to_owned());
    }
    let pickle = pickle::read(content("data.pkl").unwrap_or_default())?;
    let data = format!("{root}data/");
    let storages =
        entries.iter().filter_map(|(name, range)| Some((name.strip_prefix(&data)?.to_owned(), range.clone())));
    Ok(TorchFile { pickle, storages: storages.collect() })
}

/// The place of every entry's bytes in the archive.
fn entries(bytes: &[u8]) -> Result<BTreeMap<String, Range<usize>>, String> {
    let broken = |error: &dyn std::fmt::Display| format!("a broken zip archive: {error}");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
    // A program has its constants beside it.
    if archive.file_names().flatten().any(|name| name.ends_with("/constants.pkl")) {
        return Err("a TorchScript program, not a state dict: in Python, save one with \
                    torch.save(torch.jit.load(FILE).state_dict(), PATH)"
            .to_owned());
    }
    let mut entries = BTreeMap::new();
    for place in 0..archive.len() {
        let mut entry = archive.by_index(place).map_err(|error| broken(&error))?;
        let name = entry.name().map_err(|error| broken(&error))?.into_owned();
        if entry.compression() != CompressionMethod::Stored {
            return Err(format!("a zip archive whose {name:?} is compressed, so it was not written by torch.save"));
        }
        let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
        let range = start.and_then(|start| Some(start..start.checked_add(usize::try_from(entry.size()).ok()?)?));
        let range = range.filter(|range| range.end <= bytes.len());
        let range = range.ok_or_else(|| format!("a broken zip archive: {name:?} lies outside of the file"))?;
        // Reading to the end compares the checksum.
        io::copy(&mut entry, &mut io::sink()).map_err(|error| format!("{} ({name:?})", broken(&error)))?;
        entries.insert(name, range);
    }
    Ok(entries)
}
