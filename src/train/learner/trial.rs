//! Which precision trains faster here: by trying, because it depends on the network as much as on the machine. ResNets
//! train twice as fast in bfloat16 on a processor with AMX, MobileNetV2 a little slower.

use std::{
    fmt,
    time::{Duration, Instant},
};

use tch::{Cuda, Device};

use super::Learner;
use crate::train::{TrainError, loader::Batch, objective::Fed, precision::Precision, schedule::PhasePlan};

/// Steps of each precision that count; one before them does not.
const ROUNDS: usize = 2;
/// Pictures of a step on a processor: enough to keep it busy, and few enough to take no time.
const PICTURES: usize = 8;
/// bfloat16 has to take less than this share of float32's time: it costs precision, and a trial is noisy.
const WORTH: f64 = 0.95;

/// What a step takes in each precision, forward and backward.
#[derive(Clone, Copy, Debug)]
pub struct PrecisionTrial {
    /// Pictures of the step.
    pub pictures: usize,
    /// The faster of a few steps in float32.
    pub float32: Duration,
    /// The same in bfloat16.
    pub bfloat16: Duration,
}

impl PrecisionTrial {
    /// The one to train in.
    pub fn faster(&self) -> Precision {
        let worth = self.bfloat16.as_secs_f64() < WORTH * self.float32.as_secs_f64();
        if worth { Precision::Bfloat16 } else { Precision::Float32 }
    }
}

impl fmt::Display for PrecisionTrial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let Self { pictures, float32, bfloat16 } = *self;
        let (float32, bfloat16) = (ms(float32), ms(bfloat16));
        write!(f, "a step of {pictures} pictures takes {bfloat16:.0} ms in bfloat16 and {float32:.0} ms in float32")
    }
}

impl Learner {
    /// Sets the faster precision for the plan's last phase, in which the most trains, and puts every weight back.
    /// Returns what was measured; nothing where the device has no bfloat16 to try.
    ///
    /// # Errors
    /// A plan without a phase, and what training itself would say.
    pub fn choose_precision(&mut self, plan: &[PhasePlan]) -> Result<Option<PrecisionTrial>, TrainError> {
        self.recipe.precision = Precision::Float32;
        if !Precision::Bfloat16.is_native(self.network.device()) {
            return Ok(None);
        }
        let phase = plan.last().ok_or_else(|| TrainError::Recipe("there is no epoch to train".into()))?;
        let before = self.network.snapshot()?;
        self.begin(phase)?;
        let trial = self.try_precisions();
        self.network.restore(&before)?;
        self.begin(phase)?;
        let trial = trial?;
        self.recipe.precision = trial.faster();
        Ok(Some(trial))
    }

    /// In turns, so that what else runs meanwhile slows both.
    fn try_precisions(&mut self) -> Result<PrecisionTrial, TrainError> {
        let pictures = match self.network.device() {
            Device::Cuda(_) => self.recipe.batch_size,
            _ => self.recipe.batch_size.min(PICTURES),
        };
        let fed = self.plain_batch(pictures);
        let mut trial = PrecisionTrial { pictures, float32: Duration::MAX, bfloat16: Duration::MAX };
        for round in 0..=ROUNDS {
            for precision in [Precision::Float32, Precision::Bfloat16] {
                self.recipe.precision = precision;
                let began = Instant::now();
                self.backward(&fed, 0)?;
                if let Device::Cuda(number) = self.network.device() {
                    Cuda::synchronize(number as i64);
                }
                let fastest = match precision {
                    Precision::Float32 => &mut trial.float32,
                    Precision::Bfloat16 => &mut trial.bfloat16,
                };
                // The first step also makes room and chooses algorithms.
                if round > 0 {
                    *fastest = began.elapsed().min(*fastest);
                }
            }
        }
        Ok(trial)
    }

    /// Grey pictures with targets of 0.
    fn plain_batch(&self, pictures: usize) -> Fed {
        let size = self.recipe.resize.size;
        let pixels = pictures * size.width as usize * size.height as usize * 3;
        let targets = pictures * self.task.output_len();
        let items = (0..pictures as u64).collect();
        Batch { pixels: vec![114.0; pixels], targets: vec![0.0; targets], mask: vec![1.0; targets], items }.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bfloat16_has_to_be_worth_it() {
        let trial = |bfloat16| PrecisionTrial {
            pictures: 8,
            float32: Duration::from_millis(100),
            bfloat16: Duration::from_millis(bfloat16),
        };
        assert_eq!(trial(94).faster(), Precision::Bfloat16);
        assert_eq!(trial(96).faster(), Precision::Float32);
        assert_eq!(trial(50).to_string(), "a step of 8 pictures takes 50 ms in bfloat16 and 100 ms in float32");
    }
}
