//! Weights that lie in files beside an ONNX file, brought into it: a model of ours is one file.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Component, Path},
};

use super::{
    GraphProto, ModelProto, OnnxError, TensorProto,
    proto::{DataLocation, StringStringEntryProto},
};

/// Reads every tensor that a model has in other files; they are looked for in `folder`, the model file's own.
///
/// # Errors
/// A file that cannot be read, lies outside the folder, or is too short.
pub fn inline(model: &mut ModelProto, folder: &Path) -> Result<(), OnnxError> {
    model.graph.as_mut().map_or(Ok(()), |graph| inline_graph(graph, folder))
}

fn inline_graph(graph: &mut GraphProto, folder: &Path) -> Result<(), OnnxError> {
    for tensor in &mut graph.initializer {
        inline_tensor(tensor, folder)?;
    }
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        if let Some(tensor) = &mut attribute.t {
            inline_tensor(tensor, folder)?;
        }
        if let Some(subgraph) = &mut attribute.g {
            inline_graph(subgraph, folder)?;
        }
    }
    Ok(())
}

fn inline_tensor(tensor: &mut TensorProto, folder: &Path) -> Result<(), OnnxError> {
    if tensor.data_location() != DataLocation::External {
        return Ok(());
    }
    let bytes = read(tensor, folder).map_err(|reason| OnnxError::Tensor {
        name: tensor.name().to_owned(),
        reason: format!("its data: {reason}"),
    })?;
    tensor.raw_data = Some(bytes);
    tensor.external_data.clear();
    tensor.data_location = None;
    // A length that does not fit the shape shows here, not when the model first runs.
    tensor.little_endian_bytes().map(drop)
}

fn read(tensor: &TensorProto, folder: &Path) -> Result<Vec<u8>, String> {
    let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key() == key);
    let number = |key: &str| match entry(key).map(StringStringEntryProto::value) {
        Some(text) => text.parse::<u64>().map(Some).map_err(|_| format!("{key} {text:?} is not a number")),
        None => Ok(None),
    };
    let location = Path::new(entry("location").ok_or("no file is named")?.value());
    if !location.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(format!("{} does not lie beside the model", location.display()));
    }
    let path = folder.join(location);
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(&path).map_err(failed)?;
    file.seek(SeekFrom::Start(number("offset")?.unwrap_or(0))).map_err(failed)?;
    let mut bytes = Vec::new();
    match number("length")? {
        Some(length) => file.take(length).read_to_end(&mut bytes),
        None => file.read_to_end(&mut bytes),
    }
    .map_err(failed)?;
    Ok(bytes)
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
        inline(&mut found, folder.path()).unwrap();
        assert_eq!(found.graph.unwrap().initializer[0].to_f32().unwrap(), [1.5, -2.0]);
    }

    #[test]
    fn files_elsewhere_absent_or_too_short_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("w.data"), [0; 10]).unwrap();
        for (location, length, part) in [
            ("../w.data", "8", "does not lie beside"),
            ("/etc/passwd", "8", "does not lie beside"),
            ("absent", "8", "absent"),
            ("w.data", "many", "not a number"),
            ("w.data", "8", "6 bytes of data for shape [2]"),
        ] {
            let error = inline(&mut model(location, "4", length), folder.path()).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("\"w\""), "{error}");
        }
    }
}
