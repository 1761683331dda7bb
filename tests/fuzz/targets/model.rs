//! Model files, and what is said about them.

use std::{collections::BTreeSet, sync::LazyLock};

use tagpoint::{
    model::{Manifest, ModelFile, Sidecar, wrapped},
    onnx::{
        arch::Normalisation,
        cut::find_cut,
        foreign::{adopt, is_folded},
        quantize,
        trust::{self, TrustLimits},
    },
};

/// Little enough that what is taken for a small file shows.
const LIMITS: TrustLimits = TrustLimits {
    max_bytes: 1 << 20,
    max_messages: 20_000,
    max_fields: 100_000,
    max_packed_bytes: 1 << 20,
    max_nodes: 5000,
    max_depth: 16,
    max_name: 1024,
    max_tensor_bytes: 16 << 20,
    max_value_bytes: 16 << 20,
    batch: 8,
};

/// What is said of every file here, as if it were somebody else's.
static SIDECAR: LazyLock<Sidecar> = LazyLock::new(|| {
    let text = r#"{"schema_version": 1, "task": {"kind": "values", "names": ["r", "g", "b"]},
        "input": {"resize": {"method": "squish", "size": {"width": 64, "height": 48}}, "mean": [0, 0, 0], "std": [1, 1, 1]}}"#;
    serde_json::from_str(text).unwrap()
});

/// ONNX file → graph, and everything that is done to a graph before a runtime sees it.
pub fn onnx(bytes: &[u8]) {
    let _ = ModelFile::parse(bytes.to_vec());
    let Ok(model) = trust::decode(bytes, &LIMITS) else { return };
    if trust::check(&model, &LIMITS).is_err() {
        return;
    }
    if let Some(mut graph) = model.graph.clone() {
        let _ = quantize::simplify(&mut graph);
        let units = quantize::units(&graph);
        let _ = quantize::active(&units, &BTreeSet::new());
    }
    let _ = wrapped(model.clone(), &SIDECAR);
    if let Ok(source) = adopt(model, "fuzz", "32x32".parse().unwrap(), &Normalisation::default()) {
        let _ = (is_folded(&source.graph), find_cut(&source.graph));
    }
}

/// The manifest inside a model file: what is valid stays so when it is written and read again.
pub fn manifest(bytes: &[u8]) {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) else { return };
    if manifest.validate().is_ok() {
        let written = serde_json::to_string(&manifest).unwrap();
        let again: Manifest = serde_json::from_str(&written).unwrap();
        assert_eq!(again.validate(), Ok(()), "{written}");
        assert_eq!(serde_json::to_string(&again).unwrap(), written);
    }
}

/// The manifest beside somebody else's model file.
pub fn sidecar(bytes: &[u8]) {
    let Ok(sidecar) = serde_json::from_slice::<Sidecar>(bytes) else { return };
    let _ = (sidecar.manifest(), sidecar.wrapping().is_ok());
}
