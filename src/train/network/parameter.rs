//! Which initializers are trained, and how their elements lie in memory.

use std::collections::{HashMap, HashSet};

use tch::{TchError, Tensor};

use crate::onnx::{
    GraphProto, NodeProto, TensorProto, arch::PREPROCESS_PREFIX, calibrate::CALIBRATION_PREFIX, head::Y_RANGE_PREFIX,
    proto::DataType,
};

/// What a trainable parameter is; only [`Role::Weight`] gets weight decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The matrix or kernel of a Conv, Gemm, MatMul and the like.
    Weight,
    /// What is added to or scales features outside a normalisation: biases, layer scales, position embeddings.
    Bias,
    /// The scale of a normalisation.
    NormWeight,
    /// The shift of a normalisation.
    NormBias,
}

impl Role {
    /// Whether weight decay applies.
    pub fn decays(self) -> bool {
        self == Self::Weight
    }

    /// Whether the parameter belongs to a normalisation, which trains even while the body is frozen.
    pub fn is_norm(self) -> bool {
        matches!(self, Self::NormWeight | Self::NormBias)
    }
}

/// A trainable parameter.
#[derive(Debug)]
pub struct Parameter {
    /// The initializer's name.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Its values: a leaf, whose gradient is computed while `requires_grad` is set.
    pub tensor: Tensor,
    /// How the elements lie in memory.
    pub layout: Layout,
}

/// How a parameter's elements lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Row-major.
    RowMajor,
    /// A kernel [O, I, H, W] whose elements are stored in the order O, H, W, I: the order that libtorch's convolutions
    /// want where the features are channels-last, as they are behind an NHWC picture.
    ChannelsLast,
}

impl Layout {
    /// The elements of `tensor` as one flat tensor, in storage order; a view where they lie so already.
    ///
    /// # Errors
    /// libtorch's, for a channels-last tensor that has not four dimensions.
    pub fn flatten(self, tensor: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::RowMajor => tensor.f_reshape([-1]),
            Self::ChannelsLast => tensor.f_permute([0, 2, 3, 1])?.f_reshape([-1]),
        }
    }

    /// The inverse of [`Layout::flatten`]: a view of flat `elements` with this shape.
    ///
    /// # Errors
    /// libtorch's, where the shape does not fit.
    pub fn view(self, elements: &Tensor, shape: &[i64]) -> Result<Tensor, TchError> {
        match (self, shape) {
            (Self::ChannelsLast, &[o, i, h, w]) => elements.f_view([o, h, w, i])?.f_permute([0, 3, 1, 2]),
            _ => elements.f_view(shape),
        }
    }
}

/// What the graph says of its float32 initializers.
#[derive(Debug, Default)]
pub(super) struct Roles {
    /// The parameters, in order of first use.
    pub(super) parameters: Vec<(String, Role, Layout)>,
    /// Running means and variances of batch normalisations.
    pub(super) statistics: Vec<String>,
    /// Running statistics that several normalisations share, which training would mix up.
    pub(super) shared_statistics: Vec<String>,
}

/// Finds the parameters and running statistics of a graph.
///
/// An initializer that is added to or multiplied with features is a parameter only behind the first learned layer:
/// before it, the arithmetic is the picture's normalisation, whatever the exporter called its constants.
pub(super) fn classify(graph: &GraphProto) -> Roles {
    let candidates: HashMap<&str, &TensorProto> =
        graph.initializer.iter().filter(|tensor| can_train(tensor)).map(|tensor| (tensor.name(), tensor)).collect();
    // Which initializer a tensor is, through nodes that only rename or rearrange.
    let mut source: HashMap<&str, &str> = candidates.keys().map(|&name| (name, name)).collect();
    let mut learned: HashSet<&str> = HashSet::new();
    let mut seen: HashSet<&str> = HashSet::new();
    let mut roles = Roles::default();
    for node in &graph.node {
        if let Some(&initializer) = node.input.first().and_then(|input| source.get(input.as_str()))
            && matches!(
                node.op_type(),
                "Identity" | "Transpose" | "Reshape" | "Unsqueeze" | "Squeeze" | "Flatten" | "Cast" | "Expand"
            )
        {
            source.extend(node.output.iter().map(|output| (output.as_str(), initializer)));
            continue;
        }
        let mut learns = node.input.iter().any(|input| learned.contains(input.as_str()));
        for (place, input) in node.input.iter().enumerate() {
            let Some(&name) = source.get(input.as_str()) else { continue };
            let Some(&tensor) = candidates.get(name) else { continue };
            if node.op_type() == "BatchNormalization" && (place == 3 || place == 4) {
                let statistics = if seen.insert(name) { &mut roles.statistics } else { &mut roles.shared_statistics };
                statistics.push(name.to_owned());
            } else if let Some(role) = role_of(node, place, tensor, learns) {
                if seen.insert(name) {
                    roles.parameters.push((name.to_owned(), role, layout_of(node, tensor)));
                }
                learns = true;
            }
        }
        if learns {
            learned.extend(node.output.iter().map(String::as_str));
        }
    }
    roles
}

fn can_train(tensor: &TensorProto) -> bool {
    let constants = [PREPROCESS_PREFIX, Y_RANGE_PREFIX, CALIBRATION_PREFIX];
    let constant = constants.iter().any(|prefix| tensor.name().starts_with(prefix));
    tensor.data_type() == DataType::Float && !tensor.dims.is_empty() && !constant
}

fn role_of(node: &NodeProto, place: usize, tensor: &TensorProto, behind_a_layer: bool) -> Option<Role> {
    match (node.op_type(), place) {
        ("Conv" | "ConvTranspose", 1) | ("Gemm", 0 | 1) | ("MatMul" | "Einsum", _) => Some(Role::Weight),
        ("Conv" | "ConvTranspose" | "Gemm", 2) | ("PRelu", 1) => Some(Role::Bias),
        (
            "BatchNormalization"
            | "LayerNormalization"
            | "InstanceNormalization"
            | "GroupNormalization"
            | "RMSNormalization",
            1,
        ) => Some(Role::NormWeight),
        ("BatchNormalization" | "LayerNormalization" | "InstanceNormalization" | "GroupNormalization", 2) => {
            Some(Role::NormBias)
        }
        // A single number there is a constant of a formula, such as GELU's √2.
        ("Add" | "Sub" | "Mul" | "Div" | "Concat", _) if behind_a_layer && tensor.dims.iter().any(|&dim| dim > 1) => {
            Some(Role::Bias)
        }
        _ => None,
    }
}

fn layout_of(node: &NodeProto, tensor: &TensorProto) -> Layout {
    let kernel = matches!(node.op_type(), "Conv" | "ConvTranspose") && tensor.dims.len() == 4;
    if kernel { Layout::ChannelsLast } else { Layout::RowMajor }
}
