//! What training runs on: the processor, or a graphics card with CUDA.
//!
//! The program is built against libtorch's libraries for processors alone. Those for CUDA are loaded when a card is asked
//! for, so one program serves both, and nobody without a card needs them.

use tch::{Cuda, Device};

use super::TrainError;
use crate::raw;

/// libtorch's library for CUDA; it registers itself when it is loaded.
const LIBRARY: &str = if cfg!(windows) { "torch_cuda.dll" } else { "libtorch_cuda.so" };

/// Reads `cpu`, `cuda` for the first graphics card, or `cuda:1` for another.
///
/// # Errors
/// What can be given.
pub fn parse_device(text: &str) -> Result<Device, String> {
    match text.split_once(':') {
        None if text == "cpu" => Ok(Device::Cpu),
        None if text == "cuda" => Ok(Device::Cuda(0)),
        Some(("cuda", number)) => number.parse().map(Device::Cuda).map_err(|_| "give cuda:N with N from 0".to_owned()),
        _ => Err("give cpu, cuda or cuda:N".to_owned()),
    }
}

/// Makes a device usable, before the first tensor is made on it.
///
/// cuDNN then measures its algorithms at the first batch of each size, which pays over a training run.
///
/// # Errors
/// No such device, or no libtorch for it, with what is needed.
pub fn prepare(device: Device) -> Result<(), TrainError> {
    let Device::Cuda(number) = device else { return Ok(()) };
    let error = |reason: String| TrainError::Device { device: format!("cuda:{number}"), reason };
    raw::load_library(LIBRARY).map_err(|reason| error(reason.to_string()))?;
    let count = usize::try_from(Cuda::device_count()).unwrap_or(0);
    if number >= count {
        return Err(error(format!("there are {count} graphics cards that CUDA can use")));
    }
    Cuda::cudnn_set_benchmark(true);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_from_text() {
        assert_eq!(parse_device("cpu"), Ok(Device::Cpu));
        assert_eq!(parse_device("cuda"), Ok(Device::Cuda(0)));
        assert_eq!(parse_device("cuda:3"), Ok(Device::Cuda(3)));
        for wrong in ["gpu", "cuda:", "cuda:-1", "cpu:0"] {
            assert!(parse_device(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_card_that_is_not_there_is_said_with_what_is_needed() {
        let error = prepare(Device::Cuda(4096)).unwrap_err().to_string();
        for part in ["cuda:4096", "NVIDIA driver", "libtorch_cuda"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
