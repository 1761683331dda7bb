//! Hostile files, made by hand: each has one thing that may not be.

use prost::{Message as _, encoding::encode_varint};

use super::*;
use crate::onnx::{
    GraphProto, NodeProto,
    builder::{GraphBuilder, ints},
    proto::{
        AttributeProto, DataLocation, DataType, Dimension, DimensionValue, FunctionProto, OperatorSetIdProto,
        StringStringEntryProto, TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto,
    },
};

/// A model that nothing is wrong with: pictures, a constant, one node.
fn good() -> ModelProto {
    let mut builder = GraphBuilder::default();
    builder.input("x", DataType::Float, &[-1, 3, 8, 8]);
    builder.constant("w", &[1], &[2.0]);
    builder.node("Mul", "y", &["x", "w"], vec![]);
    builder.output("y", DataType::Float, &[-1, 3, 8, 8]);
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![import("", 17)],
        graph: Some(builder.finish("g")),
        ..ModelProto::default()
    }
}

fn import(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: Some(domain.to_owned()), version: Some(version) }
}

fn with(change: impl FnOnce(&mut GraphProto)) -> ModelProto {
    let mut model = good();
    change(model.graph.as_mut().unwrap());
    model
}

fn node(domain: &str, operator: &str) -> NodeProto {
    NodeProto {
        name: Some("n1".into()),
        domain: Some(domain.into()),
        op_type: Some(operator.into()),
        ..NodeProto::default()
    }
}

fn attribute(name: &str) -> AttributeProto {
    AttributeProto { name: Some(name.into()), ..AttributeProto::default() }
}

/// What is said of a model that went through a file.
fn outcome(model: &ModelProto, limits: &TrustLimits) -> Result<(), OnnxError> {
    check(&decode(&model.encode_to_vec(), limits)?, limits)
}

#[track_caller]
fn refused(model: &ModelProto, parts: &[&str]) {
    let message = outcome(model, &TrustLimits::default()).unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn an_ordinary_model_is_trusted_and_so_is_a_quantised_one() {
    outcome(&good(), &TrustLimits::default()).unwrap();
    let mut model =
        with(|graph| graph.node.extend(["QuantizeLinear", "QLinearAdd"].map(|op| node("com.microsoft", op))));
    model.opset_import.extend([import("com.microsoft", 1), import("ai.onnx.ml", 3), import("pkg.unused", 99)]);
    outcome(&model, &TrustLimits::default()).unwrap();
}

#[test]
fn unknown_versions_are_refused_with_those_that_are_known() {
    for (ir, opset, part) in [
        (2, 17, "IR version 2, known are 3 to 13"),
        (14, 17, "IR version 14"),
        (8, 6, "version 6 of the operator set ai.onnx, known are 7 to 26"),
        (8, 27, "version 27"),
        (8, -1, "version -1"),
    ] {
        refused(&ModelProto { ir_version: Some(ir), opset_import: vec![import("", opset)], ..good() }, &[part]);
    }
    refused(&ModelProto { opset_import: vec![import("com.microsoft", 1)], ..good() }, &["no version of the standard"]);
    refused(&ModelProto { opset_import: vec![import("", 17), import("ai.onnx.ml", 6)], ..good() }, &["ai.onnx.ml"]);
    refused(&ModelProto { graph: None, ..good() }, &["no graph"]);
}

#[test]
fn custom_operators_are_refused_by_name_wherever_they_stand() {
    let evil = || node("com.evil", "Shell");
    refused(&with(|graph| graph.node.push(evil())), &["com.evil.Shell", "n1", "custom operator"]);
    refused(&with(|graph| graph.node.push(node("com.microsoft", "Attention"))), &["com.microsoft.Attention"]);
    refused(&with(|graph| graph.node.push(node("ai.onnx.preview.training", "Adam"))), &["training.Adam"]);
    let branch = GraphProto { node: vec![evil()], ..GraphProto::default() };
    let within = NodeProto {
        attribute: vec![AttributeProto { g: Some(branch.clone()), ..attribute("then_branch") }],
        ..node("", "If")
    };
    refused(&with(|graph| graph.node.push(within)), &["com.evil.Shell"]);
    let listed =
        NodeProto { attribute: vec![AttributeProto { graphs: vec![branch], ..attribute("g") }], ..node("", "If") };
    refused(&with(|graph| graph.node.push(listed)), &["com.evil.Shell"]);
    let function = FunctionProto {
        name: Some("F".into()),
        domain: Some("local".into()),
        node: vec![evil()],
        ..FunctionProto::default()
    };
    let calling = with(|graph| graph.node.push(node("local", "F")));
    refused(&ModelProto { functions: vec![function.clone()], ..calling.clone() }, &["com.evil.Shell"]);
    let harmless = FunctionProto { node: vec![node("", "Relu")], ..function };
    outcome(&ModelProto { functions: vec![harmless], ..calling.clone() }, &TrustLimits::default()).unwrap();
    refused(&calling, &["local.F"]);
}

#[test]
fn what_may_run_for_ever_is_refused() {
    refused(&with(|graph| graph.node.push(node("", "Loop"))), &["a Loop may run for ever"]);
    refused(&with(|graph| graph.node.push(node("ai.onnx", "Scan"))), &["a Scan may run for ever"]);
}

#[test]
fn functions_that_call_each_other_into_millions_are_refused() {
    let function = |name: String, calls: Vec<String>| FunctionProto {
        domain: Some("local".into()),
        name: Some(name),
        node: calls.iter().map(|name| node("local", name)).collect(),
        ..FunctionProto::default()
    };
    let calling = || with(|graph| graph.node.push(node("local", "f0")));
    let mut tens: Vec<FunctionProto> =
        (0..7).map(|level| function(format!("f{level}"), vec![format!("f{}", level + 1); 10])).collect();
    tens.push(FunctionProto { node: vec![node("", "Relu")], ..function("f7".into(), vec![]) });
    refused(&ModelProto { functions: tens.clone(), ..calling() }, &["nodes with its functions written out, 100000"]);
    tens.drain(..4);
    tens[0].name = Some("f0".into());
    outcome(&ModelProto { functions: tens, ..calling() }, &TrustLimits::default()).unwrap();

    let circle = vec![function("f0".into(), vec!["f1".into()]), function("f1".into(), vec!["f0".into()])];
    refused(&ModelProto { functions: circle, ..calling() }, &["calls itself"]);
    let chain = (0..40).map(|level| function(format!("f{level}"), vec![format!("f{}", level + 1)])).collect();
    refused(&ModelProto { functions: chain, ..calling() }, &["more than 16 deep"]);
    let twice = vec![function("f0".into(), vec![]), function("f0".into(), vec![])];
    refused(&ModelProto { functions: twice, ..calling() }, &["two functions of one name"]);
    let mut relu = function("Mul".into(), vec![]);
    relu.domain = None;
    refused(&ModelProto { functions: vec![relu], ..good() }, &["the standard's own domain"]);
}

#[test]
fn tensors_that_their_data_do_not_fill_are_refused() {
    let tensor = |dims: &[i64], data_type: i32| TensorProto {
        data_type: Some(data_type),
        ..TensorProto::from_f32("w9", dims, &[1.0])
    };
    let float = DataType::Float as i32;
    for (tensor, part) in [
        (tensor(&[2], float), "not those of its shape [2], which are 8 bytes"),
        (tensor(&[], DataType::Double as i32), "which are 8 bytes"),
        (tensor(&[-1], float), "impossible"),
        (tensor(&[1 << 32, 1 << 32], float), "impossible"),
        (tensor(&[i64::MAX, i64::MAX, 0], float), "impossible"),
        (tensor(&[1 << 30], float), "4294967296 bytes by its shape"),
        (tensor(&[1], 99), "element type 99"),
        (tensor(&[1], 0), "element type 0"),
        (tensor(&[5], DataType::String as i32), "0 texts for shape [5]"),
        (TensorProto { float_data: vec![1.0], ..tensor(&[1], float) }, "not those of its shape"),
        (TensorProto { segment: Some(Default::default()), ..tensor(&[1], float) }, "a part of a tensor"),
        (TensorProto { raw_data: None, int32_data: vec![1; 3], ..tensor(&[4], 3) }, "which are 4 bytes"),
    ] {
        refused(&with(|graph| graph.initializer.push(tensor.clone())), &[part, "\"w9\""]);
        let constant = NodeProto {
            attribute: vec![AttributeProto { t: Some(tensor.clone()), ..attribute("value") }],
            ..node("", "Constant")
        };
        refused(&with(|graph| graph.node.push(constant)), &[part]);
        let several = NodeProto {
            attribute: vec![AttributeProto { tensors: vec![tensor], ..attribute("values") }],
            ..node("", "Constant")
        };
        refused(&with(|graph| graph.node.push(several)), &[part]);
    }
    // Two of four bits in a byte, and int8 in fields of 32 bits.
    let small = [
        TensorProto { raw_data: Some(vec![0; 2]), ..tensor(&[3], 22) },
        TensorProto { raw_data: None, int32_data: vec![1; 4], ..tensor(&[4], 3) },
        TensorProto { raw_data: None, ..tensor(&[0], float) },
    ];
    outcome(&with(|graph| graph.initializer.extend(small)), &TrustLimits::default()).unwrap();
}

#[test]
fn data_in_another_file_are_refused_unless_they_were_brought_in() {
    let external = TensorProto {
        raw_data: None,
        data_location: Some(DataLocation::External as i32),
        external_data: vec![StringStringEntryProto { key: Some("location".into()), value: Some("/etc/passwd".into()) }],
        ..TensorProto::from_f32("w9", &[1], &[])
    };
    refused(&with(|graph| graph.initializer.push(external)), &["\"w9\"", "in another file"]);
}

#[test]
fn shapes_that_make_giant_tensors_are_refused() {
    let giant = TensorProto::from_i64("shape", &[2], &[1 << 20, 1 << 20]);
    for (operator, place) in [("ConstantOfShape", 0), ("Expand", 1), ("Tile", 1), ("Resize", 3), ("Pad", 1)] {
        let mut inputs = vec!["x".to_owned(); place];
        inputs.push("shape".into());
        let making = || NodeProto { input: inputs.clone(), ..node("", operator) };
        let stored = with(|graph| {
            graph.initializer.push(giant.clone());
            graph.node.push(making());
        });
        refused(&stored, &[operator, "[1048576, 1048576]"]);
        let constant = NodeProto {
            output: vec!["shape".into()],
            attribute: vec![AttributeProto { t: Some(giant.clone()), ..attribute("value") }],
            ..node("", "Constant")
        };
        refused(&with(|graph| graph.node.extend([constant, making()])), &[operator]);
    }
    let drawn = NodeProto { attribute: vec![ints("shape", &[1 << 40])], ..node("", "RandomNormal") };
    refused(&with(|graph| graph.node.push(drawn)), &["RandomNormal"]);
}

#[test]
fn inputs_and_outputs_of_absurd_size_are_refused() {
    let value = |dims: &[i64]| {
        let dim = |dim: &i64| Dimension { value: Some(DimensionValue::Value(*dim)), denotation: None };
        let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
        let tensor = TensorType { elem_type: Some(DataType::Float as i32), shape };
        let r#type = TypeProto { value: Some(TypeValue::Tensor(tensor)), ..TypeProto::default() };
        ValueInfoProto { name: Some("v1".into()), r#type: Some(r#type), ..ValueInfoProto::default() }
    };
    refused(&with(|graph| graph.input.push(value(&[-1, 3, 1 << 20, 1 << 20]))), &["v1", "1073741824 at most"]);
    refused(&with(|graph| graph.output.push(value(&[-1, 1 << 40]))), &["v1", "a batch of 8 pictures"]);
    refused(&with(|graph| graph.value_info.push(value(&[i64::MAX, i64::MAX]))), &["too many bytes"]);
    refused(&with(|graph| graph.input.push(value(&[-1, -5]))), &["its dimension 1 is -5"]);
    refused(&with(|graph| graph.input.push(value(&[1; 65]))), &["65 dimensions"]);
    let batch = |batch| TrustLimits { batch, max_value_bytes: 1 << 20, ..TrustLimits::default() };
    let model = with(|graph| graph.input.push(value(&[-1, 1 << 10])));
    outcome(&model, &batch(256)).unwrap();
    assert!(outcome(&model, &batch(257)).unwrap_err().to_string().contains("257 pictures"));
}

#[test]
fn absurd_names_are_refused() {
    let long = "n".repeat(2000);
    refused(&with(|graph| graph.node[0].output[0] = long.clone()), &["2000 bytes, 1024 at most", "…"]);
    refused(&with(|graph| graph.initializer[0].name = Some(long.clone())), &["2000 bytes"]);
    refused(&with(|graph| graph.output[0].name = Some(long.clone())), &["2000 bytes"]);
    refused(&with(|graph| graph.node[0].input[0] = "a\0b".into()), &["zero byte"]);
}

#[test]
fn graphs_within_graphs_have_an_end() {
    let nested = |depth: usize| {
        let mut graph = GraphProto { node: vec![node("", "Relu")], ..GraphProto::default() };
        for _ in 0..depth {
            let then = AttributeProto { g: Some(graph), ..attribute("then_branch") };
            graph = GraphProto {
                node: vec![NodeProto { attribute: vec![then], ..node("", "If") }],
                ..GraphProto::default()
            };
        }
        with(|outer| outer.node.append(&mut graph.node))
    };
    outcome(&nested(16), &TrustLimits::default()).unwrap();
    refused(&nested(17), &["more than 16 deep"]);
    // So deep that decoding it would fail: the count before it says so, and prost, asked alone, refuses as well.
    refused(&nested(60), &["more than 100 deep"]);
    let bytes = nested(60).encode_to_vec();
    assert!(ModelProto::decode(bytes.as_slice()).unwrap_err().to_string().contains("recursion limit"));
}

#[test]
fn ten_thousand_levels_do_not_overflow_the_stack() {
    let wrap = |tag: u8, inner: &[u8]| {
        let mut outer = vec![tag];
        encode_varint(inner.len() as u64, &mut outer);
        outer.extend_from_slice(inner);
        outer
    };
    // A type of a sequence of a type of a sequence …, written from the inside.
    let mut inner: Vec<u8> = Vec::new();
    for _ in 0..5_000 {
        inner = wrap(0x22, &wrap(0x0a, &inner));
    }
    // ModelProto.graph.input.type
    let bytes = wrap(0x3a, &wrap(0x5a, &wrap(0x12, &inner)));
    let message = decode(&bytes, &TrustLimits::default()).unwrap_err().to_string();
    assert!(message.contains("more than 100 deep"), "{message}");
    assert!(ModelProto::decode(bytes.as_slice()).unwrap_err().to_string().contains("recursion limit"));
}

#[test]
fn a_file_that_grows_when_it_is_decoded_is_counted_first() {
    // Two bytes for an empty node, and for an empty name.
    let graph = |part: [u8; 2], count: usize| {
        let mut bytes = vec![0x3a];
        encode_varint(2 * count as u64, &mut bytes);
        bytes.extend(part.repeat(count));
        bytes
    };
    let refusal = |bytes: &[u8]| decode(bytes, &TrustLimits::default()).unwrap_err().to_string();
    assert!(refusal(&graph([0x0a, 0], 400_000)).contains("more than 400000 messages"));
    assert!(refusal(&graph([0x12, 0], 4_000_000)).contains("more than 4000000 fields"));
    let packed = TensorProto { int32_data: vec![1; 65 << 20], ..TensorProto::default() };
    let message = refusal(&with(|graph| graph.initializer.push(packed)).encode_to_vec());
    assert!(message.contains("bytes of packed integers"), "{message}");
}

#[test]
fn bytes_that_are_no_onnx_file_are_refused() {
    let refusal = |bytes: &[u8]| decode(bytes, &TrustLimits::default()).unwrap_err().to_string();
    assert!(refusal(b"GIF89a..").contains("not an ONNX file"));
    assert!(refusal(&[0x3a, 0x7f, 1]).contains("ends inside of a field"));
    assert!(refusal(&[0xff; 12]).contains("not an ONNX file"));
    assert!(refusal(&[0x3b, 0x3c]).contains("groups"));
    // A field that only another decoder may know.
    let mut bytes = good().encode_to_vec();
    bytes.extend([0xa2, 0x06, 1, 0]);
    assert!(refusal(&bytes).contains("a Model has no field 100"));
    let training = ModelProto { training_info: vec![Default::default()], ..good() };
    refused(&training, &["training information"]);
    refused(&with(|graph| graph.sparse_initializer.push(Default::default())), &["sparse tensors"]);
}

#[test]
fn a_file_over_the_limit_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, good().encode_to_vec()).unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    let limits = |max_bytes| TrustLimits { max_bytes, ..TrustLimits::default() };
    let bytes = read_bytes(&path, &limits(size)).unwrap();
    assert!(read_bytes(&path, &limits(size - 1)).unwrap_err().to_string().contains("larger than"));
    assert!(decode(&bytes, &limits(size - 1)).unwrap_err().to_string().contains("at most"));
    assert!(read_bytes(folder.path(), &limits(size)).is_err());
    // A sparse file of a terabyte is refused by its size.
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert!(read_bytes(&path, &TrustLimits::default()).unwrap_err().to_string().contains("larger than"));
}
