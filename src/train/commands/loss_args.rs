//! Flags of `fit` about the loss.

use std::{collections::BTreeMap, str::FromStr};

use clap::Args;

use crate::train::losses::{LossKind, LossSettings, PositiveWeights};

/// What training makes small.
#[derive(Debug, Args)]
pub struct LossArgs {
    /// Several labels: bce, focal or asymmetric; a single label: cross-entropy; points and values: mse, l1, huber or
    /// wing. Settings follow a colon, such as focal:gamma=2,alpha=0.25, asymmetric:gamma_negative=4,gamma_positive=1,clip=0.05,
    /// huber:delta=0.1, wing:width=0.08,curvature=0.016; auto is the task's first.
    #[arg(long, default_value = "auto", value_name = "NAME[:SETTINGS]")]
    pub loss: LossKind,
    /// Labels: how far targets move towards saying nothing, such as 0.1.
    #[arg(long, default_value_t = 0.0)]
    pub label_smoothing: f64,
    /// The loss bce: how much more a label counts where it is present. auto weighs each by how rare it is in training,
    /// up to 10 (auto:CAP up to CAP); LABEL=WEIGHT weighs one label. May be repeated.
    #[arg(long, value_name = "auto|LABEL=WEIGHT")]
    pub positive_weight: Vec<PositiveWeight>,
}

/// One `--positive-weight`.
#[derive(Clone, Debug, PartialEq)]
pub enum PositiveWeight {
    /// By count, up to a cap.
    Auto(f64),
    /// Of one label.
    Label(String, f64),
}

impl FromStr for PositiveWeight {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto(PositiveWeights::DEFAULT_CAP));
        }
        // A label may have an equals sign in its name.
        let label = text.rsplit_once('=').and_then(|(name, weight)| Some((name, weight.parse().ok()?)));
        let cap = || text.strip_prefix("auto:")?.parse().ok();
        match label {
            Some((name, weight)) => Ok(Self::Label(name.to_owned(), weight)),
            None => cap().map(Self::Auto).ok_or_else(|| "write auto, auto:10 or LABEL=WEIGHT".to_owned()),
        }
    }
}

impl LossArgs {
    /// The loss's settings; not yet checked.
    pub(super) fn settings(&self) -> LossSettings {
        let (mut auto_cap, mut labels) = (None, BTreeMap::new());
        for weight in &self.positive_weight {
            match weight {
                PositiveWeight::Auto(cap) => auto_cap = Some(*cap),
                PositiveWeight::Label(name, weight) => drop(labels.insert(name.clone(), *weight)),
            }
        }
        LossSettings {
            kind: self.loss,
            label_smoothing: self.label_smoothing,
            positive_weights: PositiveWeights { auto_cap, labels },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_positive_weight_is_by_count_or_of_a_label() {
        assert_eq!("auto".parse(), Ok(PositiveWeight::Auto(10.0)));
        assert_eq!("auto:3".parse(), Ok(PositiveWeight::Auto(3.0)));
        assert_eq!("a=b=2.5".parse(), Ok(PositiveWeight::Label("a=b".to_owned(), 2.5)));
        for wrong in ["", "car", "car=", "auto:", "car=much"] {
            assert!(wrong.parse::<PositiveWeight>().is_err(), "{wrong}");
        }
    }
}
