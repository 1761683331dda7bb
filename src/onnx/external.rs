//! Weights that lie in files beside an ONNX file, brought into it: a model of ours is one file.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Component, Path, PathBuf},
};

use super::{
    GraphProto, ModelProto, NodeProto, OnnxError, TensorProto,
    proto::{DataLocation, StringStringEntryProto},
    trust::{self, TrustLimits},
};

/// Reads every tensor that a model has in other files; they are looked for in `folder`, the model file's own, and may
/// have as many bytes together as a model file. Gives the files' names.
///
/// The folder has to hold still meanwhile: what a name leads to is looked up before it is opened.
///
/// # Errors
/// A file that cannot be read, lies outside the folder (links count by where they lead), is no regular file, or is too
/// short; a tensor over the limits.
pub fn inline(model: &mut ModelProto, folder: &Path, limits: &TrustLimits) -> Result<BTreeSet<PathBuf>, OnnxError> {
    let mut reader = Reader { folder, left: limits.max_bytes, limits, files: BTreeSet::new() };
    if let Some(graph) = &mut model.graph {
        reader.graph(graph)?;
    }
    model.functions.iter_mut().try_for_each(|function| reader.nodes(&mut function.node))?;
    Ok(reader.files)
}

struct Reader<'a> {
    folder: &'a Path,
    /// Bytes that may still be read.
    left: u64,
    limits: &'a TrustLimits,
    files: BTreeSet<PathBuf>,
}

impl Reader<'_> {
    fn graph(&mut self, graph: &mut GraphProto) -> Result<(), OnnxError> {
        graph.initializer.iter_mut().try_for_each(|tensor| self.tensor(tensor))?;
        self.nodes(&mut graph.node)
    }

    fn nodes(&mut self, nodes: &mut [NodeProto]) -> Result<(), OnnxError> {
        for attribute in nodes.iter_mut().flat_map(|node| &mut node.attribute) {
            attribute.t.iter_mut().chain(&mut attribute.tensors).try_for_each(|tensor| self.tensor(tensor))?;
            attribute.g.iter_mut().chain(&mut attribute.graphs).try_for_each(|graph| self.graph(graph))?;
        }
        Ok(())
    }

    fn tensor(&mut self, tensor: &mut TensorProto) -> Result<(), OnnxError> {
        if tensor.data_location() != DataLocation::External {
            return Ok(());
        }
        let bytes = self.read(tensor).map_err(|reason| OnnxError::Tensor {
            name: tensor.name().to_owned(),
            reason: format!("its data: {reason}"),
        })?;
        tensor.raw_data = Some(bytes);
        tensor.external_data.clear();
        tensor.data_location = None;
        Ok(())
    }

    fn read(&mut self, tensor: &TensorProto) -> Result<Vec<u8>, String> {
        let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key() == key);
        let number = |key: &str| match entry(key).map(StringStringEntryProto::value) {
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| format!("{key} {text:?} is not a number")),
            None => Ok(None),
        };
        let shape = || format!("for shape {:?}", tensor.dims);
        let wanted = trust::byte_len(tensor).ok_or_else(|| format!("no number of bytes {}", shape()))?;
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        if let Some(length) = length.filter(|length| *length != wanted) {
            return Err(format!("{length} bytes of data {}, which are {wanted}", shape()));
        }
        if wanted > self.limits.max_tensor_bytes {
            return Err(format!("{wanted} bytes {}, {} at most", shape(), self.limits.max_tensor_bytes));
        }
        self.left = self
            .left
            .checked_sub(wanted)
            .ok_or_else(|| format!("all data of the model are more than {} bytes together", self.limits.max_bytes))?;
        let location = Path::new(entry("location").ok_or("no file is named")?.value());
        let path = inside(self.folder, location)?;
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut file = File::open(&path).map_err(failed)?;
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(wanted).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 != wanted {
            return Err(format!("{}: {} bytes of data {}, which are {wanted}", path.display(), bytes.len(), shape()));
        }
        self.files.insert(location.to_owned());
        Ok(bytes)
    }
}

/// The file that a model names, if it is one and lies in the model's folder once every link is followed.
fn inside(folder: &Path, location: &Path) -> Result<PathBuf, String> {
    let outside = || format!("{} does not lie beside the model", location.display());
    if !location.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(outside());
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let named = folder.join(location);
    let failed = |error: std::io::Error| format!("{}: {error}", named.display());
    let path = named.canonicalize().map_err(failed)?;
    if !path.starts_with(folder.canonicalize().map_err(failed)?) {
        return Err(outside());
    }
    // A pipe would be waited on for ever.
    if path.is_file() { Ok(path) } else { Err(format!("{} is no regular file", named.display())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(location: &str, offset: &str, length: &str) -> ModelProto {
        let entry = |key: &str, value: &str| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value.to_owned()),
        };
        let tensor = TensorProto {
            raw_data: None,
            data_location: Some(DataLocation::External as i32),
            external_data: vec![entry("location", location), entry("offset", offset), entry("length", length)],
            ..TensorProto::from_f32("w", &[2], &[])
        };
        let graph = GraphProto { initializer: vec![tensor], ..GraphProto::default() };
        ModelProto { graph: Some(graph), ..ModelProto::default() }
    }

    #[test]
    fn weights_come_from_their_place_in_the_file_beside() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = [9.0_f32, 1.5, -2.0, 7.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(folder.path().join("w.data"), bytes).unwrap();
        let mut found = model("w.data", "4", "8");
        let files = inline(&mut found, folder.path(), &TrustLimits::default()).unwrap();
        assert_eq!(files, [PathBuf::from("w.data")].into());
        assert_eq!(found.graph.unwrap().initializer[0].to_f32().unwrap(), [1.5, -2.0]);
    }

    fn refusal(mut model: ModelProto, folder: &Path, limits: &TrustLimits) -> String {
        let message = inline(&mut model, folder, limits).unwrap_err().to_string();
        assert!(message.contains("\"w\""), "the tensor is named: {message}");
        message
    }

    #[test]
    fn files_elsewhere_absent_or_too_short_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("w.data"), [0; 10]).unwrap();
        std::fs::create_dir(folder.path().join("below")).unwrap();
        for (location, length, part) in [
            ("../w.data", "8", "does not lie beside"),
            ("below/../../w.data", "8", "does not lie beside"),
            ("/etc/passwd", "8", "does not lie beside"),
            ("absent", "8", "absent"),
            ("w.data\0", "8", "w.data"),
            ("below", "8", "no regular file"),
            ("w.data", "many", "not a number"),
            ("w.data", "-8", "not a number"),
            ("w.data", "9", "9 bytes of data for shape [2], which are 8"),
            ("w.data", "8", "6 bytes of data for shape [2], which are 8"),
        ] {
            let message = refusal(model(location, "4", length), folder.path(), &TrustLimits::default());
            assert!(message.contains(part), "{location}: {message}");
        }
        // Beyond the end of what a file can be.
        let message = refusal(model("w.data", &u64::MAX.to_string(), "8"), folder.path(), &TrustLimits::default());
        assert!(message.contains("w.data"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_counts_by_where_it_leads() {
        use std::os::unix::fs::symlink;
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(other.path().join("secret"), [7; 8]).unwrap();
        std::fs::write(folder.path().join("w.data"), [7; 8]).unwrap();
        symlink(other.path().join("secret"), folder.path().join("out")).unwrap();
        symlink(other.path(), folder.path().join("away")).unwrap();
        symlink("w.data", folder.path().join("in")).unwrap();
        for location in ["out", "away/secret"] {
            let message = refusal(model(location, "0", "8"), folder.path(), &TrustLimits::default());
            assert!(message.contains("does not lie beside"), "{location}: {message}");
        }
        inline(&mut model("in", "0", "8"), folder.path(), &TrustLimits::default()).unwrap();
    }

    #[test]
    fn many_tensors_of_one_file_count_each_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("w.data"), [0; 8]).unwrap();
        let mut found = model("w.data", "0", "8");
        let graph = found.graph.as_mut().unwrap();
        graph.initializer = vec![graph.initializer[0].clone(); 3];
        inline(&mut found.clone(), folder.path(), &TrustLimits { max_bytes: 24, ..TrustLimits::default() }).unwrap();
        let message = refusal(found, folder.path(), &TrustLimits { max_bytes: 23, ..TrustLimits::default() });
        assert!(message.contains("more than 23 bytes together"), "{message}");
        let message = refusal(
            model("w.data", "0", "8"),
            folder.path(),
            &TrustLimits { max_tensor_bytes: 7, ..TrustLimits::default() },
        );
        assert!(message.contains("7 at most"), "{message}");
        let mut giant = model("w.data", "0", "8");
        giant.graph.as_mut().unwrap().initializer[0].dims = vec![i64::MAX, 8];
        assert!(refusal(giant, folder.path(), &TrustLimits::default()).contains("no number of bytes"));
    }
}
