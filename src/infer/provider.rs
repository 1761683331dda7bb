//! What models run on: the processor, or a graphics card with CUDA.

use std::fmt;

use ort::{
    ep::{ArenaExtendStrategy, CPU, CUDA, cuda::ConvAlgorithmSearch},
    session::builder::SessionBuilder,
};

use super::{InferError, SessionOptions, Tolerance};

/// An execution provider of ONNX Runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// The processor.
    #[default]
    Cpu,
    /// A graphics card of NVIDIA's.
    Cuda {
        /// Its number, from 0.
        device: u16,
        /// Bytes that each session of ONNX Runtime's may take, weights included; the card's memory where there is no
        /// limit. cuDNN takes some more beside it.
        memory_limit: Option<usize>,
    },
}

impl Provider {
    /// How far golden outputs may lie apart on it: convolutions on CUDA sum in another order, in TensorFloat-32.
    pub fn tolerance(&self) -> Tolerance {
        match self {
            Self::Cpu => Tolerance::FLOAT32,
            Self::Cuda { .. } => Tolerance::CUDA,
        }
    }

    /// Whether convolutions and matrix products can round to TensorFloat-32, so that golden outputs may fail for that
    /// alone.
    pub fn has_tensor_float32(&self) -> bool {
        matches!(self, Self::Cuda { .. })
    }

    /// The sizes of batch, ascending, that need a session of their own; `None` alone where one takes any size.
    ///
    /// Powers of four and the largest: a batch is filled up to at most four times its size, and what that wastes a card
    /// mostly has idle.
    pub(super) fn batch_sizes(&self, max_batch: usize) -> Vec<Option<usize>> {
        match self {
            Self::Cpu => vec![None],
            Self::Cuda { .. } => {
                let max_batch = max_batch.max(1);
                let below = std::iter::successors(Some(1_usize), |size| size.checked_mul(4));
                below.take_while(|&size| size < max_batch).chain([max_batch]).map(Some).collect()
            }
        }
    }

    /// Refuses a limit that does not even hold the model: ONNX Runtime counts weights and arena together, and where the
    /// weights alone are more than the limit its subtraction wraps around, so that there is none (seen with 1.31.1).
    pub(super) fn check_limit(&self, model_bytes: usize) -> Result<(), InferError> {
        match *self {
            Self::Cuda { memory_limit: Some(limit), .. } if limit < model_bytes => {
                Err(InferError::MemoryLimit { limit, model_bytes })
            }
            _ => Ok(()),
        }
    }

    /// Puts the provider into a session's options. Without it there is no session: ONNX Runtime would otherwise go on
    /// with the processor, and say so in its own log alone.
    pub(super) fn register(
        &self,
        builder: SessionBuilder,
        options: &SessionOptions,
    ) -> Result<SessionBuilder, InferError> {
        let provider = match *self {
            Self::Cpu => CPU::default().with_arena_allocator(options.arena).build(),
            Self::Cuda { device, memory_limit } => {
                let mut cuda = CUDA::default()
                    .with_device_id(i32::from(device))
                    .with_tf32(options.tensor_float32)
                    // The exhaustive search takes seconds for each session, for little.
                    .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
                    .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested);
                if let Some(limit) = memory_limit {
                    cuda = cuda.with_memory_limit(limit);
                }
                cuda.build()
            }
        };
        builder.with_execution_providers([provider.error_on_failure()]).map_err(|error| self.error(&error.to_string()))
    }

    /// What ONNX Runtime said, with the provider's name and what it needs.
    pub(super) fn error(&self, said: &str) -> InferError {
        match self {
            Self::Cpu => InferError::OnnxRuntime(said.to_owned()),
            Self::Cuda { .. } => InferError::Provider { provider: self.to_string(), reason: said.trim().to_owned() },
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda { device, .. } => write!(f, "cuda:{device}"),
        }
    }
}

impl std::str::FromStr for Provider {
    type Err = String;

    /// `cpu`, `cuda`, or `cuda:1` for another device than 0; the memory limit is said elsewhere.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not cpu, cuda or cuda:DEVICE");
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda { device: 0, memory_limit: None }),
            Some(("cuda", device)) => {
                Ok(Self::Cuda { device: device.parse().map_err(|_| wrong())?, memory_limit: None })
            }
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        infer::{Runtime, Session, SessionOptions},
        model::{ModelFile, Sidecar, wrapped},
        onnx::{
            ModelProto,
            builder::{GraphBuilder, ints},
            proto::{DataType, OperatorSetIdProto},
        },
    };

    #[test]
    fn providers_are_read_from_text_and_written_to_it() {
        for text in ["cpu", "cuda:0", "cuda:3"] {
            assert_eq!(text.parse::<Provider>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(Provider::Cuda { device: 0, memory_limit: None }));
        for wrong in ["gpu", "cuda:", "cuda:-1", "cpu:0", "CUDA", "cuda:0:1"] {
            assert!(wrong.parse::<Provider>().unwrap_err().contains("cuda:DEVICE"), "{wrong}");
        }
        assert_eq!(Provider::Cpu.tolerance(), Tolerance(1e-3));
        assert_eq!("cuda".parse::<Provider>().unwrap().tolerance(), Tolerance(5e-3));
    }

    #[test]
    fn a_card_has_a_session_for_a_few_sizes_of_batch_and_the_processor_one_for_all() {
        let cuda: Provider = "cuda".parse().unwrap();
        let sizes = |max| cuda.batch_sizes(max).into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(8), [1, 4, 8]);
        assert_eq!(sizes(64), [1, 4, 16, 64]);
        assert_eq!(Provider::Cpu.batch_sizes(64), [None]);
    }

    #[test]
    fn a_limit_that_does_not_hold_the_model_is_refused() {
        let limited = |limit| Provider::Cuda { device: 0, memory_limit: limit };
        assert!(limited(None).check_limit(100).is_ok() && limited(Some(100)).check_limit(100).is_ok());
        let error = limited(Some(99)).check_limit(100).unwrap_err().to_string();
        assert!(error.contains("99 bytes") && error.contains("cuda_memory_bytes"), "{error}");
    }

    /// The means of red, green and blue.
    pub(in crate::infer) fn model() -> ModelFile {
        let mut builder = GraphBuilder::default();
        builder.input("x", DataType::Float, &[-1, 3, 4, 4]);
        let mean = builder.node("ReduceMean", "mean", &["x"], vec![ints("axes", &[2, 3])]);
        builder.output(&mean, DataType::Float, &[-1, 3, 1, 1]);
        let model = ModelProto {
            ir_version: Some(8),
            opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
            graph: Some(builder.finish("means")),
            ..ModelProto::default()
        };
        let sidecar: Sidecar = serde_json::from_str(
            r#"{"schema_version": 1, "task": {"kind": "values", "names": ["r", "g", "b"]},
                "input": {"resize": {"method": "squish", "size": {"width": 4, "height": 4}},
                          "mean": [0, 0, 0], "std": [1, 1, 1]}}"#,
        )
        .unwrap();
        wrapped(model, &sidecar).unwrap()
    }

    #[test]
    fn a_device_that_is_not_there_is_named_with_what_to_do_and_nothing_else_runs_in_its_place() {
        let runtime = Runtime::load(None).unwrap();
        // No machine has as many, and most have none.
        let provider = Provider::Cuda { device: 4096, memory_limit: Some(1 << 30) };
        let options = SessionOptions { provider, ..SessionOptions::default() };
        let error = Session::open(&runtime, &model(), &options).unwrap_err();
        assert!(matches!(error, InferError::Provider { .. }), "{error}");
        let message = error.to_string();
        for part in ["cuda:4096", "NVIDIA driver", "onnxruntime-gpu", "provider = \"cpu\""] {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }

    #[test]
    fn the_processor_gives_the_same_with_and_without_an_arena() {
        let runtime = Runtime::load(None).unwrap();
        let pixels: Vec<u8> = (0..48).collect();
        for arena in [true, false] {
            let options = SessionOptions { arena, ..SessionOptions::default() };
            let found = Session::open(&runtime, &model(), &options).unwrap().run(&pixels).unwrap();
            let expected = [22.5, 23.5, 24.5].map(|value: f32| value / 255.0);
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{arena}: {found:?}");
        }
    }
}
