//! Runs an ONNX graph on libtorch with gradients.
