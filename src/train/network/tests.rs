//! What goes wrong is an error that names the node, and graphs of other exporters find their parameters.

use tch::{Device, Kind, Tensor};

use super::{Mode, Network, NetworkError, Role};
use crate::{
    onnx::{
        GraphProto, TensorProto,
        builder::{GraphBuilder, float, int, ints},
        proto::DataType,
    },
    train::dropout::DropoutMasks,
};

fn graph(build: impl FnOnce(&mut GraphBuilder)) -> GraphProto {
    let mut builder = GraphBuilder::default();
    builder.input("x", DataType::Float, &[-1, 3, 8, 8]);
    build(&mut builder);
    builder.finish("test")
}

fn network(graph: &GraphProto) -> Result<Network, NetworkError> {
    Network::new(graph, 17, Device::Cpu, Kind::Float)
}

fn image() -> Tensor {
    Tensor::arange(2 * 3 * 8 * 8, (Kind::Float, Device::Cpu)).view([2, 3, 8, 8])
}

fn error_of(result: Result<impl Sized, NetworkError>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn every_unknown_operator_is_named_with_its_nodes() {
    let graph = graph(|builder| {
        builder.node("NonMaxSuppression", "boxes", &["x"], vec![]);
        builder.node("Relu", "relu", &["x"], vec![]);
        builder.node("Loop", "again", &["x"], vec![]);
        builder.node("Loop", "and_again", &["x"], vec![]);
    });
    assert_eq!(
        error_of(network(&graph)),
        "operators that training does not support: Loop (in again, and_again); NonMaxSuppression (in boxes)"
    );
}

#[test]
fn wrong_shapes_name_the_node() {
    let graph = graph(|builder| {
        builder.constant("weight", &[4, 5, 3, 3], &[0.0; 180]);
        builder.node("Conv", "stem", &["x", "weight"], vec![]);
    });
    let error = error_of(network(&graph).unwrap().forward(&image(), &["stem"], &Mode::Evaluate));
    assert!(error.starts_with("node \"stem\" (Conv): "), "{error}");
    assert!(!error.contains('\n'), "the backtrace is cut off: {error}");
}

#[test]
fn wrong_attributes_name_the_node() {
    let pool = |attributes| graph(|builder| drop(builder.node("MaxPool", "pool", &["x"], attributes)));
    let run = |graph| network(&graph)?.forward(&image(), &["pool"], &Mode::Evaluate);
    assert!(error_of(run(pool(vec![]))).contains("kernel_shape is missing"));
    assert!(error_of(run(pool(vec![ints("kernel_shape", &[3])]))).contains("2 spatial axes"));
    assert!(error_of(run(pool(vec![ints("kernel_shape", &[0, 0])]))).contains("must be positive"));
    assert!(error_of(run(pool(vec![ints("kernel_shape", &[2, 2]), float("ceil_mode", 1.0)]))).contains("ceil_mode"));
}

#[test]
fn missing_tensors_are_errors() {
    let dangling = graph(|builder| drop(builder.node("Relu", "relu", &["nowhere"], vec![])));
    assert!(error_of(network(&dangling)).contains("\"nowhere\""));
    let good = graph(|builder| drop(builder.node("Relu", "relu", &["x"], vec![])));
    let mut network = network(&good).unwrap();
    assert!(error_of(network.forward(&image(), &["nothing"], &Mode::Evaluate)).contains("\"nothing\""));
    assert!(error_of(network.run([].into(), &["relu"], &Mode::Evaluate)).contains("relu"));
}

#[test]
fn parameters_without_values_are_an_error() {
    let graph = graph(|builder| drop(builder.linear("fc", "x", (8, 2), false)));
    assert!(error_of(network(&graph)).contains("fc.weight"));
}

#[test]
fn another_operator_set_is_refused() {
    let error = error_of(Network::new(&GraphProto::default(), 11, Device::Cpu, Kind::Float));
    assert!(error.contains("operator set 11"), "{error}");
}

#[test]
fn batch_statistics_of_one_value_are_refused() {
    let graph = graph(|builder| {
        for part in ["weight", "bias", "mean", "variance"] {
            builder.constant(part, &[3], &[1.0; 3]);
        }
        builder.node("BatchNormalization", "norm", &["x", "weight", "bias", "mean", "variance"], vec![]);
    });
    let mut network = network(&graph).unwrap();
    let dropout = |_: &str, shape: &[i64], _: f64| Ok(Tensor::ones(shape, (Kind::Float, Device::Cpu)));
    let one = Tensor::zeros([1, 3], (Kind::Float, Device::Cpu));
    let error = error_of(network.forward(&one, &["norm"], &Mode::Train { dropout: &dropout }));
    assert!(error.contains("batch of two"), "{error}");
    assert!(network.forward(&one, &["norm"], &Mode::Evaluate).is_ok());
}

#[test]
fn dropout_uses_the_callers_mask_in_training_alone() {
    let graph = graph(|builder| {
        builder.constant("ratio", &[], &[0.25]);
        builder.node("Dropout", "drop", &["x", "ratio"], vec![]);
    });
    let mut network = network(&graph).unwrap();
    let dropout = |name: &str, shape: &[i64], ratio: f64| {
        assert_eq!((name, ratio), ("drop", 0.25));
        Ok(Tensor::full(shape, 3.0, (Kind::Float, Device::Cpu)))
    };
    let trained = network.forward(&image(), &["drop"], &Mode::Train { dropout: &dropout }).unwrap().remove(0);
    assert_eq!(trained, image() * 3.0);
    assert_eq!(network.forward(&image(), &["drop"], &Mode::Evaluate).unwrap()[0], image());
}

#[test]
fn dropout_where_the_batch_is_not_the_first_axis_is_refused_unless_it_drops_nothing() {
    let trained = |ratio: f32| {
        let graph = graph(|builder| {
            builder.int_constant("shape", &[3], &[2, 3, 64]);
            builder.constant("ratio", &[], &[ratio]);
            builder.node("Reshape", "tokens", &["x", "shape"], vec![]);
            builder.node("Transpose", "sequence", &["tokens"], vec![ints("perm", &[1, 0, 2])]);
            builder.node("Dropout", "drop", &["sequence", "ratio"], vec![]);
        });
        let masks = DropoutMasks::new(1, 0, &[0, 1]);
        let dropout = |_: &str, shape: &[i64], ratio: f64| masks.next(shape, ratio);
        network(&graph).unwrap().forward(&image(), &["drop"], &Mode::Train { dropout: &dropout })
    };
    let error = error_of(trained(0.1));
    assert!(error.starts_with("node \"drop\" (Dropout): ") && error.contains("[3, 2, 64]"), "{error}");
    assert_eq!(trained(0.0).unwrap()[0], image().view([2, 3, 64]).transpose(0, 1));
}

#[test]
fn the_pictures_normalisation_is_not_trained_and_what_follows_a_layer_is() {
    let graph = graph(|builder| {
        // Names such as another exporter gives.
        builder.constant("c0", &[1, 3, 1, 1], &[0.5; 3]);
        builder.constant("kernel", &[4, 3, 1, 1], &[0.1; 12]);
        builder.constant("offset", &[1, 4, 1, 1], &[0.1; 4]);
        builder.constant("root", &[1], &[1.4]);
        builder.node("Sub", "centred", &["x", "c0"], vec![]);
        builder.node("Identity", "same_kernel", &["kernel"], vec![]);
        builder.node("Conv", "stem", &["centred", "same_kernel"], vec![]);
        builder.node("Add", "shifted", &["stem", "offset"], vec![]);
        builder.node("Div", "scaled", &["shifted", "root"], vec![]);
    });
    let network = network(&graph).unwrap();
    let parameters: Vec<_> = network.parameters().iter().map(|it| (it.name.as_str(), it.role)).collect();
    assert_eq!(parameters, [("kernel", Role::Weight), ("offset", Role::Bias)]);
}

#[test]
fn shapes_computed_by_the_graph_steer_a_reshape() {
    let graph = graph(|builder| {
        builder.int_constant("zero", &[], &[0]);
        builder.int_constant("axis", &[1], &[0]);
        builder.int_constant("rest", &[1], &[-1]);
        builder.node("Shape", "shape", &["x"], vec![]);
        builder.node("Gather", "batch", &["shape", "zero"], vec![]);
        builder.node("Unsqueeze", "batch_list", &["batch", "axis"], vec![]);
        builder.node("Concat", "wanted", &["batch_list", "rest"], vec![int("axis", 0)]);
        builder.node("Reshape", "flat", &["x", "wanted"], vec![]);
    });
    let flat = network(&graph).unwrap().forward(&image(), &["flat"], &Mode::Evaluate).unwrap().remove(0);
    assert_eq!(flat.size(), [2, 192]);
}

#[test]
fn writing_back_into_another_graph_is_an_error() {
    let mut graph = graph(|builder| {
        builder.constant("fc.weight", &[2, 8], &[0.5; 16]);
        builder.node("Gemm", "fc", &["x", "fc.weight"], vec![int("transB", 1)]);
    });
    let network = network(&graph).unwrap();
    assert!(network.write_back(&mut graph).is_ok());
    graph.initializer[0] = TensorProto::from_f32("fc.weight", &[2, 7], &[0.5; 14]);
    assert!(error_of(network.write_back(&mut graph)).contains("shape"));
    graph.initializer.clear();
    assert!(error_of(network.write_back(&mut graph)).contains("0 of 1"));
}

#[test]
fn memory_is_reused_only_where_nobody_needs_it() {
    let graph = graph(|builder| {
        builder.constant("kernel", &[2, 3, 1, 1], &[-1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        builder.node("Conv", "stem", &["x", "kernel"], vec![]);
        builder.node("Relu", "relu", &["stem"], vec![]);
        builder.node("Add", "sum", &["relu", "relu"], vec![]);
        builder.node("Relu", "again", &["sum"], vec![]);
    });
    let mut network = network(&graph).unwrap();
    let mut alone = |name| network.forward(&image(), &[name], &Mode::Evaluate).unwrap().remove(0);
    let [stem, relu, again] = ["stem", "relu", "again"].map(&mut alone);
    assert_eq!(again, relu.shallow_clone() * 2.0);
    assert_ne!(stem, relu);
    let together = network.forward(&image(), &["stem", "relu", "sum"], &Mode::Evaluate).unwrap();
    assert_eq!(together, [stem, relu, again]);
    // A pass backwards fails where a tensor that a gradient needs was overwritten.
    let sum = network.forward(&image(), &["again"], &Mode::Evaluate).unwrap()[0].sum(Kind::Float);
    assert!(Tensor::f_run_backward(&[sum], &[&network.parameters()[0].tensor], false, false).is_ok());
}

/// The outputs of a small net with a head, the gradient of its kernel, and what the body gave, computed in `kind`.
fn computed_in(kind: Kind) -> (Tensor, Tensor, Kind) {
    let graph = graph(|builder| {
        let kernel: Vec<f32> = (0..4 * 3 * 9).map(|i| (i as f32 * 0.37).sin()).collect();
        builder.constant("kernel", &[4, 3, 3, 3], &kernel);
        let body = builder.node("Conv", "stem", &["x", "kernel"], vec![]);
        let pooled = builder.node("GlobalAveragePool", "head.pool", &[&body], vec![]);
        let flat = builder.node("Flatten", "head.flat", &[&pooled], vec![int("axis", 1)]);
        builder.constant("head.weight", &[2, 4], &[0.3, -0.2, 0.7, 0.1, 0.5, -0.4, 0.2, 0.9]);
        builder.node("Gemm", "head.linear", &[&flat, "head.weight"], vec![int("transB", 1)]);
    });
    let mut network = network(&graph).unwrap();
    network.compute_in(kind);
    let outputs = network.forward(&image(), &["head.linear", "stem"], &Mode::Evaluate).unwrap();
    let parameter = &network.parameters()[0];
    assert_eq!((parameter.name.as_str(), parameter.tensor.kind()), ("kernel", Kind::Float));
    let gradients = Tensor::run_backward(&[outputs[0].sum(Kind::Float)], &[&parameter.tensor], false, false);
    (outputs[0].detach(), gradients[0].shallow_clone(), outputs[1].kind())
}

#[test]
fn in_bfloat16_the_body_rounds_and_the_head_and_the_gradients_are_float32() {
    let (full, gradient, _) = computed_in(Kind::Float);
    let (reduced, rounded, body) = computed_in(Kind::BFloat16);
    assert_eq!(body, Kind::BFloat16);
    assert_eq!((reduced.kind(), rounded.kind()), (Kind::Float, Kind::Float));
    for (exact, near) in [(full, reduced), (gradient, rounded)] {
        let error = (&exact - &near).abs().max().double_value(&[]) / exact.abs().max().double_value(&[]);
        assert!(error > 1e-6 && error < 0.02, "relative error {error}");
    }
}
