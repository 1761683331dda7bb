//! Which pictures calibrate, choose and judge, and their pixels.

use rand::seq::SliceRandom as _;
use rayon::prelude::*;

use super::QuantizeError;
use crate::{
    infer::Session,
    picture::{Limits, Picture, ResizeRule},
    train::{
        TrainError,
        dataset::{Dataset, Example, Target},
        loader::LoaderError,
        random::{Purpose, draws},
    },
};

/// Pictures that are decoded and run together.
const BATCH: usize = 16;
/// The streams of [`Purpose::Quantize`].
const CALIBRATION: u64 = 0;
const HALVES: u64 = 1;
pub(super) const BOOTSTRAP: u64 = 2;

/// Some of a data set's pictures as a model sees them.
pub(super) struct Pictures<'a> {
    dataset: &'a Dataset,
    examples: Vec<Example>,
    rule: ResizeRule,
}

impl<'a> Pictures<'a> {
    pub(super) fn new(dataset: &'a Dataset, examples: Vec<Example>, rule: ResizeRule) -> Self {
        Self { dataset, examples, rule }
    }

    pub(super) fn len(&self) -> usize {
        self.examples.len()
    }

    pub(super) fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// The first so many of them.
    pub(super) fn first(&self, count: usize) -> Pictures<'a> {
        let examples = self.examples.iter().take(count).cloned().collect();
        Self { dataset: self.dataset, examples, rule: self.rule }
    }

    /// The pixels of batches of so many pictures, each uint8 [N, H, W, 3], one after the other.
    pub(super) fn batches(&self, size: usize) -> impl Iterator<Item = Result<Vec<u8>, TrainError>> + '_ {
        self.examples.chunks(size).map(|batch| {
            let frames: Vec<Vec<u8>> =
                batch.par_iter().map(|example| self.pixels(example)).collect::<Result<_, LoaderError>>()?;
            Ok(frames.concat())
        })
    }

    /// All pixels, kept in memory.
    pub(super) fn kept(&self) -> Result<Vec<Vec<u8>>, TrainError> {
        self.batches(BATCH).collect()
    }

    /// A session's outputs, [pictures, output elements].
    pub(super) fn outputs(&self, session: &mut Session) -> Result<Vec<f32>, QuantizeError> {
        let mut outputs = Vec::new();
        for batch in self.batches(BATCH) {
            outputs.extend(session.run(&batch?)?);
        }
        Ok(outputs)
    }

    fn pixels(&self, example: &Example) -> Result<Vec<u8>, LoaderError> {
        let path = self.dataset.path(example);
        let bytes = std::fs::read(&path).map_err(|source| LoaderError::File { path: path.clone(), source })?;
        let frame = Picture::frame(&bytes, &Limits::default(), &self.rule);
        Ok(frame.map_err(|source| LoaderError::Picture { path, source })?.0)
    }
}

/// So many training pictures, drawn by the seed.
pub(super) fn calibration_examples(dataset: &Dataset, count: usize, seed: u64) -> Vec<Example> {
    let mut order: Vec<usize> = (0..dataset.train.len()).collect();
    order.shuffle(&mut draws(seed, Purpose::Quantize, CALIBRATION, 0));
    order.into_iter().take(count).map(|place| dataset.train[place].clone()).collect()
}

/// The validation pictures in two halves, each with nearly the same share of each combination of labels.
///
/// # Errors
/// Fewer pictures than two.
pub(super) fn halves(dataset: &Dataset, seed: u64) -> Result<[Vec<Example>; 2], QuantizeError> {
    if dataset.valid.len() < 2 {
        return Err(QuantizeError::Unfit("choosing and judging need two validation pictures at least".into()));
    }
    let mut examples = dataset.valid.clone();
    examples.shuffle(&mut draws(seed, Purpose::Quantize, HALVES, 0));
    let labels = |example: &Example| match &example.target {
        Target::Labels(places) => {
            let mut places = places.clone();
            places.sort_unstable();
            places
        }
        Target::Points(_) | Target::Values(_) => Vec::new(),
    };
    // Pictures of equal labels lie beside each other and go to either half in turn.
    examples.sort_by_cached_key(labels);
    let half = |first: usize| examples.iter().skip(first).step_by(2).cloned().collect();
    Ok([half(0), half(1)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Digest, picture::PictureSize, train::dataset::Targets};

    fn data_set() -> Dataset {
        let example = |row: u64, label: Option<usize>| Example {
            file: format!("{row}.png").into(),
            row,
            size: PictureSize { width: 1, height: 1 },
            target: Target::Labels(label.into_iter().collect()),
        };
        Dataset {
            root: ".".into(),
            targets: Targets::MultiLabel { labels: vec!["a".into(), "b".into()] },
            train: (0..50).map(|row| example(row, None)).collect(),
            // 20 with a, 8 with b, 12 with neither.
            valid: (0..40).map(|row| example(row, if row < 20 { Some(0) } else { (row < 28).then_some(1) })).collect(),
            fingerprint: Digest::of(&[]),
        }
    }

    #[test]
    fn halves_have_every_picture_once_and_equal_shares_of_labels() {
        let data = data_set();
        let [first, second] = halves(&data, 7).unwrap();
        let count = |half: &[Example], label| half.iter().filter(|it| it.target == Target::Labels(vec![label])).count();
        assert_eq!((count(&first, 0), count(&second, 0)), (10, 10));
        assert_eq!((count(&first, 1), count(&second, 1)), (4, 4));
        let mut rows: Vec<u64> = first.iter().chain(&second).map(|example| example.row).collect();
        rows.sort_unstable();
        assert_eq!(rows, (0..40).collect::<Vec<_>>());
        assert_eq!(halves(&data, 7).unwrap(), [first.clone(), second]);
        assert_ne!(halves(&data, 8).unwrap()[0], first);
    }

    #[test]
    fn calibration_pictures_are_training_pictures_of_which_none_is_there_twice() {
        let chosen = calibration_examples(&data_set(), 20, 1);
        let rows: std::collections::BTreeSet<u64> = chosen.iter().map(|example| example.row).collect();
        assert_eq!(rows.len(), 20);
        assert_ne!(rows, (0..20).collect(), "they are drawn, not the first ones");
        assert_eq!(calibration_examples(&data_set(), 99, 1).len(), 50);
    }
}
