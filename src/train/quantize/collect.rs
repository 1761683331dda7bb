//! Where a graph's activations lie over the calibration pictures.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{QuantizeError, lab::Lab, pictures::Pictures};
use crate::{
    infer::{Probe, SessionOptions},
    onnx::quantize::{Histogram, probe, probed},
};

/// Pictures of which all activations are in memory at once.
const BATCH: usize = 4;

/// A histogram for each activation of the graph's units.
pub(super) fn collect(lab: &Lab<'_>, pictures: &Pictures<'_>) -> Result<BTreeMap<String, Histogram>, QuantizeError> {
    let activations = probed(&lab.units);
    let model = lab.model(probe(&lab.simple, &activations));
    let mut session = Probe::open(lab.runtime, &model, &lab.float.manifest.input, &SessionOptions::default())?;
    let mut histograms: BTreeMap<String, Histogram> = BTreeMap::new();
    for batch in pictures.batches(BATCH) {
        session.run(&batch?, |outputs| {
            let mut found: BTreeMap<&str, &[f32]> = outputs.into_iter().collect();
            for name in found.keys() {
                histograms.entry((*name).to_owned()).or_default();
            }
            let work: Vec<(&mut Histogram, &[f32])> = histograms
                .iter_mut()
                .filter_map(|(name, histogram)| Some((histogram, found.remove(name.as_str())?)))
                .collect();
            work.into_par_iter().for_each(|(histogram, values)| histogram.add(values));
        })?;
    }
    if let Some((name, histogram)) = histograms.iter().find(|(_, histogram)| histogram.not_finite() > 0) {
        let count = histogram.not_finite();
        return Err(QuantizeError::Unfit(format!("activation {name:?} has {count} values that are no numbers")));
    }
    Ok(histograms)
}
