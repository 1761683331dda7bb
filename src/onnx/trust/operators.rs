//! Which versions and operators may run: the standard's, and those that quantised graphs need.

use std::collections::BTreeSet;

use super::{TrustLimits, tensors, untrusted, walk::Constants};
use crate::onnx::{ModelProto, NodeProto, OnnxError, proto::OperatorSetIdProto};

/// IR versions, from the first with operator sets to the last that ONNX Runtime 1.31 reads.
const IR_VERSIONS: std::ops::RangeInclusive<i64> = 3..=13;
/// The last version of the standard operator set that ONNX Runtime 1.31 has.
pub const LAST_OPSET: i64 = 26;
/// Domains with the versions that ONNX Runtime 1.31 has.
const DOMAINS: [(&str, std::ops::RangeInclusive<i64>); 4] =
    [("", 7..=LAST_OPSET), ("ai.onnx", 7..=LAST_OPSET), ("ai.onnx.ml", 1..=5), ("com.microsoft", 1..=1)];
/// The operators of com.microsoft that quantised graphs have.
const QUANTISED: [&str; 13] = [
    "DequantizeLinear",
    "DynamicQuantizeMatMul",
    "MatMulIntegerToFloat",
    "QGemm",
    "QLinearAdd",
    "QLinearAveragePool",
    "QLinearConcat",
    "QLinearGlobalAveragePool",
    "QLinearLeakyRelu",
    "QLinearMul",
    "QLinearSigmoid",
    "QLinearSoftmax",
    "QuantizeLinear",
];

/// A local function's domain, name and overload.
pub(super) type FunctionId<'a> = (&'a str, &'a str, &'a str);

pub(super) fn check_versions(model: &ModelProto) -> Result<(), OnnxError> {
    let ir = model.ir_version();
    if !IR_VERSIONS.contains(&ir) {
        let (low, high) = IR_VERSIONS.into_inner();
        return Err(untrusted(format!(
            "it is of IR version {ir}, known are {low} to {high}: export it for one of them"
        )));
    }
    check_imports(&model.opset_import)?;
    if !model.opset_import.iter().any(|import| is_standard(import.domain())) {
        return Err(untrusted("it names no version of the standard operator set"));
    }
    model.functions.iter().try_for_each(|function| check_imports(&function.opset_import))
}

/// Exporters name sets that no node uses, so an unknown one is no fault; a node of such a set is refused where it stands.
fn check_imports(imports: &[OperatorSetIdProto]) -> Result<(), OnnxError> {
    for import in imports {
        let (domain, version) = (import.domain(), import.version());
        let known = DOMAINS.iter().find(|(known, _)| *known == domain).map(|(_, versions)| versions);
        if let Some(versions) = known.filter(|versions| !versions.contains(&version)) {
            let name = if domain.is_empty() { "ai.onnx" } else { domain };
            return Err(untrusted(format!(
                "it uses version {version} of the operator set {name}, known are {} to {}: export it for one of them",
                versions.start(),
                versions.end()
            )));
        }
    }
    Ok(())
}

fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// Checks a node's operator, which is the standard's, a quantised graph's, or one of the file's own functions.
pub(super) fn check_operator(node: &NodeProto, functions: &BTreeSet<FunctionId<'_>>) -> Result<(), OnnxError> {
    let (domain, operator) = (node.domain(), node.op_type());
    if functions.contains(&(domain, operator, node.overload())) {
        return Ok(());
    }
    let named = || format!("node {:?}: operator {domain}.{operator}", shorten(node.name()));
    match domain {
        "" | "ai.onnx" if matches!(operator, "Loop" | "Scan") => Err(untrusted(format!(
            "node {:?}: a {operator} may run for ever, so graphs with one are not served",
            shorten(node.name())
        ))),
        "" | "ai.onnx" | "ai.onnx.ml" => Ok(()),
        "com.microsoft" if QUANTISED.contains(&operator) => Ok(()),
        "com.microsoft" => Err(untrusted(format!(
            "{} is none of the operators that quantised graphs need ({}); export to the standard's",
            named(),
            QUANTISED.join(", ")
        ))),
        _ => {
            Err(untrusted(format!("{} is a custom operator: only the standard's are served; export to them", named())))
        }
    }
}

/// Checks operators that make large tensors of small ones, where the size that they make stands in the file.
pub(super) fn check_made_size(
    node: &NodeProto,
    constants: &Constants<'_>,
    limits: &TrustLimits,
) -> Result<(), OnnxError> {
    if !is_standard(node.domain()) {
        return Ok(());
    }
    let input = |place: usize| node.input.get(place).and_then(|name| constants.get(name.as_str()));
    let attribute = || node.attribute.iter().find(|attribute| attribute.name() == "shape").map(|found| &found.ints);
    let dims = match node.op_type() {
        "ConstantOfShape" => input(0).cloned(),
        "Expand" | "Tile" => input(1).cloned(),
        "Resize" => input(3).cloned(),
        "Pad" => input(1).cloned(),
        "RandomNormal" | "RandomUniform" => attribute().cloned(),
        _ => None,
    };
    let Some(dims) = dims else { return Ok(()) };
    // Of a dimension that is 0 or open nothing is known; the others alone may be too much.
    let dims: Vec<i64> = dims.iter().map(|dim| (*dim).max(1)).collect();
    tensors::bytes_of(&dims, 32).filter(|bytes| *bytes <= limits.max_tensor_bytes).map(drop).ok_or_else(|| {
        untrusted(format!(
            "node {:?}: {} makes a tensor of shape {dims:?}, which is more than {} bytes",
            shorten(node.name()),
            node.op_type(),
            limits.max_tensor_bytes
        ))
    })
}

/// A name for a message.
pub(super) fn shorten(name: &str) -> String {
    const SHOWN: usize = 80;
    if name.chars().count() <= SHOWN { name.to_owned() } else { name.chars().take(SHOWN).chain(['…']).collect() }
}
