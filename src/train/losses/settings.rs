//! The choice of a loss, as data and as text.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Asymmetric, Difference, Focal, Huber, LabelLoss, LabelLossKind, PositiveWeights, TaskLoss, Wing};
use crate::model::Task;

/// What a run makes small.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossSettings {
    /// Which loss.
    pub kind: LossKind,
    /// Labels: targets move by this share towards saying nothing, 0 to below 1.
    pub label_smoothing: f64,
    /// Binary cross-entropy: how much more a label counts where it is present.
    pub positive_weights: PositiveWeights,
}

/// A loss by name, with its own settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum LossKind {
    /// The task's own: `bce`, `cross-entropy`, or `mse` for points and values.
    #[default]
    Auto,
    /// Binary cross-entropy; several labels.
    Bce,
    /// Several labels.
    Focal(Focal),
    /// Several labels.
    Asymmetric(Asymmetric),
    /// Softmax cross-entropy; a single label.
    CrossEntropy,
    /// Squared error; points and values.
    Mse,
    /// Absolute error; points and values.
    L1,
    /// Points and values.
    Huber(Huber),
    /// Points and values.
    Wing(Wing),
}

impl LossKind {
    /// As [`LossKind::from_str`] reads it, without its settings.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Bce => "bce",
            Self::Focal(_) => "focal",
            Self::Asymmetric(_) => "asymmetric",
            Self::CrossEntropy => "cross-entropy",
            Self::Mse => "mse",
            Self::L1 => "l1",
            Self::Huber(_) => "huber",
            Self::Wing(_) => "wing",
        }
    }

    fn validate(&self) -> Result<(), String> {
        match self {
            Self::Focal(focal) => focal.validate(),
            Self::Asymmetric(asymmetric) => asymmetric.validate(),
            Self::Huber(huber) => huber.validate(),
            Self::Wing(wing) => wing.validate(),
            Self::Auto | Self::Bce | Self::CrossEntropy | Self::Mse | Self::L1 => Ok(()),
        }
    }
}

impl FromStr for LossKind {
    type Err = String;

    /// A name, and after a colon settings that differ from the usual ones: `focal`, `focal:gamma=1.5,alpha=0.25`,
    /// `asymmetric:gamma_negative=4,gamma_positive=1,clip=0.05`, `huber:delta=0.1`, `wing:width=0.08,curvature=0.016`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, settings) = text.split_once(':').unwrap_or((text, ""));
        let mut fields = Map::from_iter([("name".to_owned(), Value::from(name))]);
        for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
            let pair = setting.split_once('=').and_then(|(key, value)| Some((key.trim(), value.trim().parse().ok()?)));
            let (key, value): (&str, f64) = pair.ok_or_else(|| format!("{setting:?} is not NAME=NUMBER"))?;
            fields.insert(key.replace('-', "_"), Value::from(value));
        }
        let kind: Self = serde_json::from_value(Value::Object(fields.clone())).map_err(|error| error.to_string())?;
        let known = serde_json::to_value(kind).map_err(|error| error.to_string())?;
        // A loss without settings would take any.
        match fields.keys().find(|key| known.get(key).is_none()) {
            Some(key) => Err(format!("{name} has no setting {key:?}")),
            None => Ok(kind),
        }
    }
}

impl LossSettings {
    /// Checks the ranges.
    ///
    /// # Errors
    /// A sentence about the first value that is out of its range.
    pub fn validate(&self) -> Result<(), String> {
        let smoothing = self.label_smoothing;
        if !(0.0..1.0).contains(&smoothing) {
            return Err(format!("label-smoothing {smoothing} is not in 0…1"));
        }
        self.kind.validate()?;
        self.positive_weights.validate()
    }

    /// The loss for a task, whose labels have this many training pictures between them.
    ///
    /// # Errors
    /// A value out of its range, a loss for another task, or a weight for a label that there is not.
    pub fn for_task(&self, task: &Task, pictures: u64) -> Result<TaskLoss, String> {
        self.validate()?;
        let (name, kind) = (self.kind.name(), self.kind);
        let labels = |kind| TaskLoss::Labels(LabelLoss { kind, smoothing: self.label_smoothing });
        let loss = match (task, kind) {
            (Task::MultiLabel { labels: all }, LossKind::Auto | LossKind::Bce) => {
                labels(LabelLossKind::Binary(self.positive_weights.of(all, pictures)?))
            }
            (Task::MultiLabel { .. }, LossKind::Focal(focal)) => labels(LabelLossKind::Focal(focal)),
            (Task::MultiLabel { .. }, LossKind::Asymmetric(loss)) => labels(LabelLossKind::Asymmetric(loss)),
            (Task::SingleLabel { .. }, LossKind::Auto | LossKind::CrossEntropy) => labels(LabelLossKind::CrossEntropy),
            (Task::Points(_) | Task::Values(_), LossKind::Auto | LossKind::Mse) => {
                TaskLoss::Differences(Difference::Squared)
            }
            (Task::Points(_) | Task::Values(_), LossKind::L1) => TaskLoss::Differences(Difference::Absolute),
            (Task::Points(_) | Task::Values(_), LossKind::Huber(huber)) => {
                TaskLoss::Differences(Difference::Huber(huber))
            }
            (Task::Points(_) | Task::Values(_), LossKind::Wing(wing)) => TaskLoss::Differences(Difference::Wing(wing)),
            _ => return Err(format!("loss {name} does not train {}", suitable(task))),
        };
        if !matches!(&loss, TaskLoss::Labels(LabelLoss { kind: LabelLossKind::Binary(_), .. }))
            && !self.positive_weights.is_none()
        {
            return Err("positive weights belong to the loss bce, of several labels for a picture".to_owned());
        }
        if matches!(loss, TaskLoss::Differences(_)) && self.label_smoothing != 0.0 {
            return Err("label-smoothing has no meaning for points and values".to_owned());
        }
        Ok(loss)
    }
}

/// What a task is called, and the losses that train it.
fn suitable(task: &Task) -> &'static str {
    match task {
        Task::MultiLabel { .. } => "several labels for a picture: use bce, focal or asymmetric",
        Task::SingleLabel { .. } => "a single label: use cross-entropy",
        Task::Points(_) => "points: use mse, l1, huber or wing",
        Task::Values(_) => "values: use mse, l1, huber or wing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Values;

    #[test]
    fn losses_are_read_from_text_with_what_differs_from_the_usual() {
        assert_eq!("focal".parse(), Ok(LossKind::Focal(Focal::default())));
        assert_eq!("focal:gamma=1,alpha=.25".parse(), Ok(LossKind::Focal(Focal { gamma: 1.0, alpha: Some(0.25) })));
        let asymmetric = Asymmetric { gamma_negative: 2.0, ..Asymmetric::default() };
        assert_eq!("asymmetric:gamma-negative=2".parse(), Ok(LossKind::Asymmetric(asymmetric)));
        assert_eq!("huber: delta = 0.1".parse(), Ok(LossKind::Huber(Huber { delta: 0.1 })));
        for kind in ["auto", "bce", "focal", "asymmetric", "cross-entropy", "mse", "l1", "huber", "wing"] {
            assert_eq!(kind.parse::<LossKind>().unwrap().name(), kind);
        }
        for wrong in ["", "focall", "bce:gamma=2", "focal:gama=2", "focal:gamma", "focal:gamma=much"] {
            assert!(wrong.parse::<LossKind>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn settings_survive_their_json_and_old_recipes_have_none() {
        let settings = LossSettings {
            kind: LossKind::Wing(Wing::default()),
            label_smoothing: 0.1,
            positive_weights: PositiveWeights { auto_cap: Some(3.0), labels: [("a".to_owned(), 2.0)].into() },
        };
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<LossSettings>(&text).unwrap(), settings, "{text}");
        assert_eq!(serde_json::from_str::<LossSettings>("{}").unwrap(), LossSettings::default());
    }

    #[test]
    fn what_does_not_suit_the_task_is_refused_in_a_sentence() {
        let values = Task::Values(Values { names: vec!["age".to_owned()], y_ranges: Vec::new() });
        let single = Task::SingleLabel { labels: Vec::new() };
        let multi = Task::MultiLabel { labels: Vec::new() };
        let with = |kind: &str| LossSettings { kind: kind.parse().unwrap(), ..LossSettings::default() };
        let refusal = |settings: &LossSettings, task: &Task| settings.for_task(task, 10).unwrap_err();
        assert!(refusal(&with("focal"), &values).contains("use mse, l1, huber or wing"));
        assert!(refusal(&with("bce"), &single).contains("use cross-entropy"));
        assert!(refusal(&with("cross-entropy"), &multi).contains("use bce"));
        assert!(refusal(&with("huber:delta=0"), &values).contains("delta 0"));
        assert!(refusal(&with("focal:alpha=1"), &multi).contains("alpha 1"));
        let smooth = |label_smoothing| LossSettings { label_smoothing, ..LossSettings::default() };
        assert!(refusal(&smooth(0.1), &values).contains("no meaning"));
        assert!(refusal(&smooth(1.0), &multi).contains("label-smoothing 1"));
        let positive_weights = PositiveWeights { auto_cap: Some(10.0), ..PositiveWeights::default() };
        let weighted = LossSettings { positive_weights, ..LossSettings::default() };
        assert!(refusal(&weighted, &single).contains("belong to the loss bce"));
        assert!(refusal(&LossSettings { kind: "focal".parse().unwrap(), ..weighted.clone() }, &multi).contains("bce"));
        for task in [values, single, multi] {
            assert!(LossSettings::default().for_task(&task, 10).is_ok());
        }
    }
}
