//! Drift of what is served: live scores, counted by label and bin for a day, beside those of validation.
//!
//! [`LiveScores`] counts and [`report`] compares. Counts are in memory only, for each loaded version of this process, so
//! there is drift without a database, and it begins anew when a version is loaded.
//!
//! [`LiveScores::add`] is on every picture's way. It adds to atomic numbers; the one lock is shared by all pictures, and
//! taken alone for a moment by the first one of an hour.

pub(super) mod report;

use std::{
    collections::VecDeque,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

use crate::{
    answer::named,
    drift::bin,
    model::{MOST_BINS, Manifest},
};

/// Whole hours that are remembered, besides the one that runs.
pub(super) const HOURS: u64 = 24;
/// Numbers of a label: the pictures that it was named for, and those of each bin.
const NUMBERS: usize = 1 + MOST_BINS;

/// The live scores of one version.
#[derive(Debug)]
pub(super) struct LiveScores {
    /// For the model file's own thresholds: a revision of them is no drift of the scores.
    manifest: Arc<Manifest>,
    /// Of each label, where its bins end: those of the validation scores, or else tenths of 0…1. Empty for points and
    /// values, which are not counted.
    edges: Vec<Vec<f32>>,
    began: Instant,
    /// The latest last; none for hours without a picture. Every picture reads it, the first one of an hour writes it.
    hours: RwLock<VecDeque<Arc<Hour>>>,
}

/// What was counted in an hour.
#[derive(Debug)]
struct Hour {
    /// Hours since the count began.
    number: u64,
    pictures: AtomicU64,
    /// [`NUMBERS`] of each label.
    numbers: Box<[AtomicU32]>,
}

/// What was counted in some hours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) pictures: u64,
    /// Of each label.
    pub(super) labels: Vec<CountedLabel>,
}

/// The live scores of one label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CountedLabel {
    /// Pictures that it was named for.
    pub(super) named: u64,
    /// Pictures of each bin.
    pub(super) bins: Vec<u64>,
}

impl LiveScores {
    pub(super) fn new(manifest: Arc<Manifest>) -> Self {
        let edges = match &manifest.score_reference {
            Some(reference) => reference.labels.iter().map(|label| label.edges.clone()).collect(),
            None => vec![tenths(); manifest.task.labels().len()],
        };
        Self { manifest, edges, began: Instant::now(), hours: RwLock::default() }
    }

    /// Counts the scores of a picture that was answered.
    pub(super) fn add(&self, scores: &[f32]) {
        self.add_at(self.hour_now(), scores);
    }

    /// What was counted in the hour that runs and in so many before it.
    pub(super) fn counted(&self, hours: u64) -> Counted {
        self.counted_at(self.hour_now(), hours)
    }

    /// Where a label's bins end.
    pub(super) fn edges(&self, label: usize) -> &[f32] {
        self.edges.get(label).map(Vec::as_slice).unwrap_or_default()
    }

    fn hour_now(&self) -> u64 {
        self.began.elapsed().as_secs() / 3600
    }

    fn add_at(&self, now: u64, scores: &[f32]) {
        // What is no number is no answer either.
        if self.edges.is_empty() || scores.len() != self.edges.len() || !scores.iter().all(|score| score.is_finite()) {
            return;
        }
        let is_named = named(&self.manifest.task, scores);
        let hour = self.hour(now);
        hour.pictures.fetch_add(1, Ordering::Relaxed);
        let labels = hour.numbers.chunks_exact(NUMBERS).zip(&self.edges).zip(scores).zip(is_named);
        for (((numbers, edges), &score), is_named) in labels {
            let (named, bins) = numbers.split_at(1);
            let bin = bins.get(bin(edges, score));
            for number in named.iter().filter(|_| is_named).chain(bin) {
                number.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The hour to count in. A picture that comes a moment late counts in the one that has begun meanwhile.
    fn hour(&self, now: u64) -> Arc<Hour> {
        let latest = self.hours.read().unwrap_or_else(PoisonError::into_inner).back().cloned();
        if let Some(hour) = latest.filter(|hour| hour.number >= now) {
            return hour;
        }
        // Made before the lock is taken, which others wait for.
        let new = Arc::new(Hour::new(now, self.edges.len()));
        let mut hours = self.hours.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(hour) = hours.back().filter(|hour| hour.number >= now) {
            return Arc::clone(hour);
        }
        hours.retain(|hour| now - hour.number <= HOURS);
        hours.push_back(Arc::clone(&new));
        new
    }

    fn counted_at(&self, now: u64, hours: u64) -> Counted {
        let within = |hour: &&Arc<Hour>| now.saturating_sub(hour.number) <= hours;
        let recent: Vec<Arc<Hour>> =
            self.hours.read().unwrap_or_else(PoisonError::into_inner).iter().filter(within).cloned().collect();
        let empty = |edges: &Vec<f32>| CountedLabel { named: 0, bins: vec![0; edges.len() + 1] };
        let mut counted = Counted { pictures: 0, labels: self.edges.iter().map(empty).collect() };
        for hour in recent {
            counted.pictures += hour.pictures.load(Ordering::Relaxed);
            for (label, numbers) in counted.labels.iter_mut().zip(hour.numbers.chunks_exact(NUMBERS)) {
                let mut numbers = numbers.iter().map(|number| u64::from(number.load(Ordering::Relaxed)));
                label.named += numbers.next().unwrap_or_default();
                label.bins.iter_mut().zip(numbers).for_each(|(bin, number)| *bin += number);
            }
        }
        counted
    }
}

impl Hour {
    fn new(number: u64, labels: usize) -> Self {
        let numbers = std::iter::repeat_with(AtomicU32::default).take(labels * NUMBERS).collect();
        Self { number, pictures: AtomicU64::default(), numbers }
    }
}

/// Edges of ten bins of equal width.
fn tenths() -> Vec<f32> {
    (1..MOST_BINS).map(|part| part as f32 / MOST_BINS as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Label, LabelScores, ScoreReference, Task},
        serve::models::ServedModel,
    };

    fn manifest(single: bool, reference: Option<ScoreReference>) -> Arc<Manifest> {
        let label = |name: &str, threshold| Label {
            name: name.to_owned(),
            thresholds: [("balanced".to_owned(), threshold)].into(),
            train_count: 1,
            valid_count: 1,
        };
        let labels = vec![label("a", 0.5), label("b", 0.25)];
        let task = if single { Task::SingleLabel { labels } } else { Task::MultiLabel { labels } };
        let other = ServedModel::without_threads("age").manifest;
        Arc::new(Manifest { task, score_reference: reference, ..Manifest::clone(&other) })
    }

    fn two_bins() -> Option<ScoreReference> {
        let label = |edge: f32| LabelScores { named: 1, edges: vec![edge], counts: vec![1, 1] };
        Some(ScoreReference { pictures: 2, labels: vec![label(0.4), label(0.8)] })
    }

    fn label(named: u64, bins: &[u64]) -> CountedLabel {
        CountedLabel { named, bins: bins.to_vec() }
    }

    #[test]
    fn scores_are_counted_in_the_bins_of_validation_at_the_files_own_thresholds() {
        let live = LiveScores::new(manifest(false, two_bins()));
        for scores in [[0.4, 0.25], [0.41, 0.9], [0.5, 0.1]] {
            live.add(&scores);
        }
        live.add(&[f32::NAN, 0.5]);
        live.add(&[0.5]);
        let counted = live.counted(0);
        assert_eq!(counted, Counted { pictures: 3, labels: vec![label(1, &[1, 2]), label(2, &[2, 1])] });
    }

    #[test]
    fn of_a_single_label_model_the_best_label_is_the_named_one() {
        let live = LiveScores::new(manifest(true, two_bins()));
        live.add(&[0.3, 0.7]);
        live.add(&[0.9, 0.1]);
        live.add(&[0.2, 0.8]);
        let counted = live.counted(0);
        assert_eq!(counted, Counted { pictures: 3, labels: vec![label(1, &[2, 1]), label(2, &[3, 0])] });
    }

    #[test]
    fn without_a_reference_bins_are_tenths_and_without_labels_nothing_is_counted() {
        let live = LiveScores::new(manifest(false, None));
        live.add(&[0.05, 0.95]);
        assert_eq!(live.counted(HOURS).labels[0].bins, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(live.counted(HOURS).labels[1].bins, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        let values = ServedModel::without_threads("age");
        values.live_scores.add(&[0.5]);
        assert_eq!(values.live_scores.counted(HOURS), Counted::default());
    }

    #[test]
    fn hours_pass_and_are_forgotten() {
        let live = LiveScores::new(manifest(false, two_bins()));
        let pictures = |now, hours| live.counted_at(now, hours).pictures;
        live.add_at(0, &[0.5, 0.5]);
        live.add_at(1, &[0.5, 0.5]);
        live.add_at(1, &[0.5, 0.5]);
        // A picture that comes a moment late.
        live.add_at(0, &[0.5, 0.5]);
        assert_eq!([pictures(1, 0), pictures(1, 1), pictures(24, HOURS), pictures(25, HOURS)], [3, 4, 4, 3]);
        assert_eq!(pictures(26, HOURS), 0);
        live.add_at(25, &[0.5, 0.5]);
        assert_eq!(pictures(25, HOURS), 4);
        assert_eq!(live.hours.read().unwrap().len(), 2);
    }

    #[test]
    fn no_picture_of_many_threads_is_lost() {
        let live = LiveScores::new(manifest(false, two_bins()));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..2000).for_each(|i| live.add_at(i / 100, &[0.5, 0.5])));
            }
        });
        let counted = live.counted_at(19, HOURS);
        assert_eq!(counted, Counted { pictures: 8000, labels: vec![label(8000, &[0, 8000]), label(8000, &[8000, 0])] });
    }
}
