//! A data set's targets in the order of a model's outputs.

use anyhow::Context as _;

use crate::{
    model::{Points, Task, Values},
    train::dataset::{Dataset, Target, Targets},
};

/// Gives the data set's targets the model's labels, points or values in their order; labels that the data set lacks have
/// no example.
pub(super) fn fit_vocabulary(dataset: &mut Dataset, task: &Task) -> anyhow::Result<()> {
    let labels = match task {
        Task::MultiLabel { labels } | Task::SingleLabel { labels } => labels,
        Task::Points(Points { names, .. }) => return reorder(dataset, names, true),
        Task::Values(Values { names, .. }) => return reorder(dataset, names, false),
    };
    let mut places = Vec::new();
    for name in dataset.targets.names() {
        let place = labels.iter().position(|label| label.name == *name);
        places.push(place.with_context(|| format!("the data set has a label {name:?} that the model does not know"))?);
    }
    for example in dataset.train.iter_mut().chain(&mut dataset.valid) {
        if let Target::Labels(own) = &mut example.target {
            own.iter_mut().for_each(|label| *label = places[*label]);
        }
    }
    let names = labels.iter().map(|label| label.name.clone()).collect();
    dataset.targets = match &dataset.targets {
        Targets::SingleLabel { .. } => Targets::SingleLabel { labels: names },
        _ => Targets::MultiLabel { labels: names },
    };
    Ok(())
}

/// Gives points or values the model's order. `by_place` says whether those that are only numbered, as points of .pts files
/// are, may be taken in their own order.
fn reorder(dataset: &mut Dataset, names: &[String], by_place: bool) -> anyhow::Result<()> {
    let noun = dataset.kind().noun();
    let own = dataset.targets.names();
    anyhow::ensure!(own.len() == names.len(), "the data set has {} {noun}, the model has {}", own.len(), names.len());
    let places: Option<Vec<usize>> = names.iter().map(|name| own.iter().position(|own| own == name)).collect();
    let Some(places) = places else {
        anyhow::ensure!(
            by_place && (is_numbering(own) || is_numbering(names)),
            "the data set's {noun} are {}, the model's are {}: name them as the model does",
            own.join(", "),
            names.join(", ")
        );
        return Ok(());
    };
    for example in dataset.train.iter_mut().chain(&mut dataset.valid) {
        match &mut example.target {
            Target::Points(points) => *points = places.iter().map(|&place| points[place]).collect(),
            Target::Values(values) => *values = places.iter().map(|&place| values[place]).collect(),
            Target::Labels(_) => {}
        }
    }
    if let Targets::Points { names: own } | Targets::Values { names: own } = &mut dataset.targets {
        own.clone_from_slice(names);
    }
    Ok(())
}

/// Whether the names are numbers that count up from 0 or 1.
fn is_numbering(names: &[String]) -> bool {
    let counts_from = |first: usize| names.iter().zip(first..).all(|(name, number)| *name == number.to_string());
    counts_from(0) || counts_from(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Digest, picture::PictureSize, train::dataset::Example};

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn dataset(targets: Targets, target: Target) -> Dataset {
        let size = PictureSize { width: 4, height: 3 };
        let example = Example { file: "0.png".into(), row: 2, size, target };
        let (train, valid) = (vec![example.clone()], vec![example]);
        Dataset { root: "".into(), targets, train, valid, fingerprint: Digest::of(&[]) }
    }

    fn values(text: &str) -> Dataset {
        dataset(Targets::Values { names: names(text) }, Target::Values(vec![Some(31.0), None, Some(80.0)]))
    }

    fn points(text: &str) -> Dataset {
        dataset(Targets::Points { names: names(text) }, Target::Points(vec![Some((1.0, 2.0)), Some((3.0, 4.0)), None]))
    }

    #[test]
    fn values_and_points_get_the_models_order_by_their_names() {
        let mut data = values("age height weight");
        reorder(&mut data, &names("weight age height"), false).unwrap();
        let expected = Target::Values(vec![Some(80.0), Some(31.0), None]);
        assert_eq!((&data.train[0].target, &data.valid[0].target), (&expected, &expected));
        assert_eq!(data.targets, Targets::Values { names: names("weight age height") });
        let mut data = points("nose left right");
        reorder(&mut data, &names("left right nose"), true).unwrap();
        assert_eq!(data.valid[0].target, Target::Points(vec![Some((3.0, 4.0)), None, Some((1.0, 2.0))]));
    }

    #[test]
    fn other_names_are_refused_unless_points_are_only_numbered() {
        let models = names("weight age height");
        let error = reorder(&mut values("age height width"), &models, false).unwrap_err().to_string();
        assert!(error.contains("age, height, width") && error.contains("weight, age, height"), "{error}");
        assert!(reorder(&mut values("0 1 2"), &models, false).is_err());
        assert!(reorder(&mut values("age height weight"), &names("age height"), false).is_err());
        let models = names("left right nose");
        assert!(reorder(&mut points("left right mouth"), &models, true).is_err());
        assert!(reorder(&mut points("2 1 0"), &models, true).is_err());
        for numbered in ["0 1 2", "1 2 3"] {
            let mut data = points(numbered);
            reorder(&mut data, &models, true).unwrap();
            assert_eq!(data.valid[0].target, points(numbered).valid[0].target);
            reorder(&mut points("left right nose"), &names(numbered), true).unwrap();
        }
    }
}
