//! Backbones that PyTorch's two exporters wrote give PyTorch's logits and gradients, and ONNX Runtime's outputs.
//!
//! EfficientNet-B0, RegNetY-400MF, ConvNeXt-tiny and ViT-tiny of torchvision and timm, made by
//! scripts/fixtures/backbones.py at their full width and depth for pictures of 64 pixels. With TAGPOINT_BACKBONES=FOLDER
//! the files that the script wrote into FOLDER for another size are checked too.

use std::{collections::BTreeMap, fs, io::Read as _, path::Path, sync::OnceLock};

use flate2::read::GzDecoder;
use ort::{environment::Environment, session::Session, value::TensorRef};
use prost::Message as _;
use tagpoint::{
    onnx::{
        ModelProto, SourceGraph,
        arch::Normalisation,
        cut::find_cut,
        foreign::adopt,
        proto::{DimensionValue, TypeValue},
        weights::fill,
    },
    picture::PictureSize,
    train::network::{Mode, Network, to_f32},
};
use tch::{Device, Kind};

use super::{
    formula::{tensor, weights},
    torchvision::{Pass, Reference},
};

type References = BTreeMap<String, Reference>;

#[test]
fn efficientnet_of_torchvision() {
    check_fixture("torchvision-efficientnet_b0", Some(1280));
}

#[test]
fn efficientnet_of_timm() {
    check_fixture("timm-efficientnet_b0", Some(1280));
}

#[test]
fn regnet_of_torchvision() {
    check_fixture("torchvision-regnet_y_400mf", Some(440));
}

#[test]
fn regnet_of_timm() {
    check_fixture("timm-regnety_004", Some(440));
}

#[test]
fn convnext_of_torchvision() {
    check_fixture("torchvision-convnext_tiny", None);
}

#[test]
fn convnext_of_timm() {
    check_fixture("timm-convnext_tiny", None);
}

#[test]
fn vit_of_torchvision() {
    check_fixture("torchvision-vit_tiny", None);
}

#[test]
fn vit_of_timm() {
    check_fixture("timm-vit_tiny", None);
}

#[test]
fn files_of_full_size_where_a_folder_has_them() {
    let Some(folder) = std::env::var_os("TAGPOINT_BACKBONES") else {
        println!("skipped: TAGPOINT_BACKBONES names no folder");
        return;
    };
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let model = ModelProto::decode(fs::read(&path).unwrap().as_slice()).unwrap();
        check(&path.file_stem().unwrap().to_string_lossy(), model, &references(&path.with_extension("json")));
    }
}

/// Both exporters' files. `pooled` is the number of channels before the pooling, where the cut is there.
fn check_fixture(name: &str, pooled: Option<i64>) {
    for exporter in ["script", "dynamo"] {
        let name = format!("{name}-{exporter}");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/backbones");
        let mut bytes = Vec::new();
        let file = fs::File::open(folder.join(format!("{name}.onnx.gz"))).unwrap();
        GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        let mut model = ModelProto::decode(bytes.as_slice()).unwrap();
        fill(model.graph.as_mut().unwrap(), weights).unwrap();
        let source = check(&name, model, &references(&folder.join(format!("{name}.json"))));
        let cut = find_cut(&source.graph).unwrap();
        assert_eq!(cut.pools.then_some(cut.channels), pooled, "{cut:?}");
    }
}

fn references(path: &Path) -> References {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn check(name: &str, model: ModelProto, references: &References) -> SourceGraph {
    let size = size_of(&model);
    let source = adopt(model, name, size, &Normalisation::default()).unwrap();
    for (mode, reference) in references {
        let differences = Pass::run(&source, size, mode, Kind::Double).differences(reference);
        println!("{name} {mode} against PyTorch: {differences:?}");
        assert!(differences.logits < 1e-7, "{name} {mode}: {differences:?}");
        assert!(differences.gradient.0 < 1e-6 && differences.gradient_length < 1e-7, "{name} {mode}: {differences:?}");
        assert!(differences.statistic.0 < 1e-7, "{name} {mode}: {differences:?}");
    }
    let difference = difference_to_onnx_runtime(&source, size);
    println!("{name} against ONNX Runtime: {difference:e}");
    assert!(difference < 1e-4, "{name} differs from ONNX Runtime by {difference:e}");
    source
}

fn size_of(model: &ModelProto) -> PictureSize {
    let input = &model.graph.as_ref().unwrap().input[0];
    let Some(TypeValue::Tensor(tensor)) = &input.r#type.as_ref().unwrap().value else { unreachable!("no tensor") };
    let dims = &tensor.shape.as_ref().unwrap().dim;
    assert!(matches!(dims[0].value, Some(DimensionValue::Param(_))), "the batch is open");
    let [height, width] = [2, 3].map(|axis| match dims[axis].value {
        Some(DimensionValue::Value(value)) => u32::try_from(value).unwrap(),
        _ => unreachable!("the script fixes the size"),
    });
    PictureSize { width, height }
}

/// The largest difference of an output in float32, relative to the largest output, over a batch of three.
fn difference_to_onnx_runtime(source: &SourceGraph, size: PictureSize) -> f64 {
    let output = source.graph.output[0].name();
    let shape = [3_i64, size.height.into(), size.width.into(), 3];
    let image = (tensor("pixels", &shape) * 255.0).to_kind(Kind::Uint8);
    let mut network = Network::new(&source.graph, source.opset, Device::Cpu, Kind::Float).unwrap();
    let own = tch::no_grad(|| network.forward(&image, &[output], &Mode::Evaluate)).unwrap().remove(0);
    let bytes = source.clone().into_model(("test", "0")).encode_to_vec();
    let mut session = Session::builder(environment()).unwrap().commit_from_memory(&bytes).unwrap();
    let mut pixels = vec![0_u8; image.numel()];
    image.copy_data(&mut pixels, image.numel());
    let input = TensorRef::from_array_view((shape, pixels.as_slice())).unwrap();
    let outputs = session.run(ort::inputs!["image" => input]).unwrap();
    let (_, theirs) = outputs[output].try_extract_tensor::<f32>().unwrap();
    let own = to_f32(&own).unwrap();
    assert_eq!(own.len(), theirs.len());
    let largest = theirs.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let difference = own.iter().zip(theirs).map(|(own, theirs)| (own - theirs).abs()).fold(0.0, f32::max);
    f64::from(difference / largest)
}

fn environment() -> &'static Environment {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join(".deps/onnxruntime/libonnxruntime.so");
        let library = std::env::var_os("ORT_DYLIB_PATH").map_or(library, Into::into);
        ort::init_from(library).unwrap().with_telemetry(false).build().unwrap()
    })
}
