//! Iterative stratification: a split in which every label has nearly the same share on both sides.
//!
//! Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD 2011, algorithm 1, with two
//! subsets and whole groups of rows in the place of single examples. For examples with one label each it is ordinary
//! stratified sampling.

use std::collections::BTreeMap;

use rand::{RngExt as _, rngs::ChaCha8Rng, seq::SliceRandom as _};

/// Rows that stay together.
#[derive(Clone, Debug, Default)]
pub(super) struct Unit {
    pub(super) rows: u64,
    /// How many of the rows have each label.
    pub(super) labels: BTreeMap<usize, u64>,
}

/// How many rows, and how many of each label, the two sides (training, validation) still want.
struct Wanted {
    rows: [f64; 2],
    labels: Vec<[f64; 2]>,
}

impl Wanted {
    /// The side that wants more of a label, or more rows where it makes no difference; 1 is validation.
    fn side(&self, label: Option<usize>, random: &mut ChaCha8Rng) -> usize {
        // Both are sums of counts and shares: what differs by less than this is the same.
        const SAME: f64 = 1e-6;
        let wants = |wanted: [f64; 2]| {
            let difference = wanted[1] - wanted[0];
            (difference.abs() > SAME).then_some(usize::from(difference > 0.0))
        };
        let by_label = label.and_then(|label| wants(self.labels[label]));
        by_label.or_else(|| wants(self.rows)).unwrap_or_else(|| usize::from(random.random_bool(0.5)))
    }

    fn take(&mut self, unit: &Unit, side: usize) {
        self.rows[side] -= unit.rows as f64;
        unit.labels.iter().for_each(|(label, count)| self.labels[*label][side] -= *count as f64);
    }

    fn give_back(&mut self, unit: &Unit, side: usize) {
        self.rows[side] += unit.rows as f64;
        unit.labels.iter().for_each(|(label, count)| self.labels[*label][side] += *count as f64);
    }

    /// How much of one row the label of a unit that has the least room on a side would leave free there; above 0 where
    /// no label comes to a row more than its share.
    fn room(&self, unit: &Unit, side: usize) -> f64 {
        let rooms = unit.labels.iter().map(|(label, count)| self.labels[*label][side] - *count as f64 + 1.0);
        rooms.fold(f64::INFINITY, f64::min)
    }
}

/// Says of each unit whether it validates. `labels` is the number of labels, `fraction` the share of rows to validate.
pub(super) fn stratify(units: &[Unit], labels: usize, fraction: f64, random: &mut ChaCha8Rng) -> Vec<bool> {
    let share = |count: u64| [count as f64 * (1.0 - fraction), count as f64 * fraction];
    let mut counts = vec![0; labels];
    units.iter().flat_map(|unit| &unit.labels).for_each(|(label, count)| counts[*label] += count);
    let rows = share(units.iter().map(|unit| unit.rows).sum());
    let mut wanted = Wanted { rows, labels: counts.into_iter().map(share).collect() };
    // In an order drawn at random; large groups first, while there is room to make up for them.
    let mut order: Vec<usize> = (0..units.len()).collect();
    order.shuffle(random);
    order.sort_by_key(|&unit| std::cmp::Reverse(units[unit].rows));
    let mut with_label: Vec<Vec<usize>> = vec![Vec::new(); labels];
    for &unit in &order {
        units[unit].labels.keys().for_each(|label| with_label[*label].push(unit));
    }
    let mut left: Vec<usize> = with_label.iter().map(Vec::len).collect();
    let mut sides: Vec<Option<usize>> = vec![None; units.len()];
    // The label with the fewest units left first: later there may be none left to choose from.
    while let Some(rarest) = (0..labels).filter(|&label| left[label] > 0).min_by_key(|&label| left[label]) {
        for &unit in &with_label[rarest] {
            if sides[unit].is_none() {
                let side = wanted.side(Some(rarest), random);
                wanted.take(&units[unit], side);
                units[unit].labels.keys().for_each(|label| left[*label] -= 1);
                sides[unit] = Some(side);
            }
        }
    }
    for &unit in &order {
        if sides[unit].is_none() {
            let side = wanted.side(None, random);
            wanted.take(&units[unit], side);
            sides[unit] = Some(side);
        }
    }
    let mut sides: Vec<usize> = sides.into_iter().map(|side| side.unwrap_or(0)).collect();
    // Rounding may make a side larger by some rows, but not a small one by much.
    if wanted.rows[1].abs() > (rows[0].min(rows[1]) / 5.0).min(3.0) {
        even_out(units, &order, &mut sides, &mut wanted);
    }
    sides.into_iter().map(|side| side == 1).collect()
}

/// Hands units over where many labels were rounded the same way: a hundred labels of four rows each would give no row
/// to a tenth. The labels that miss most of a row go first.
fn even_out(units: &[Unit], order: &[usize], sides: &mut [usize], wanted: &mut Wanted) {
    let to = usize::from(wanted.rows[1] > 0.0);
    loop {
        let candidates = order.iter().copied().filter(|&unit| sides[unit] != to);
        let mut by_room: Vec<(f64, usize)> = candidates.map(|unit| (wanted.room(&units[unit], to), unit)).collect();
        by_room.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let mut has_moved = false;
        for (room, unit) in by_room {
            let moved = &units[unit];
            // Another unit of the label may have taken its room in this round.
            let is_first = wanted.room(moved, to) >= room;
            if room > 0.0 && is_first && (moved.rows as f64) < 2.0 * wanted.rows[to] {
                wanted.give_back(moved, 1 - to);
                wanted.take(moved, to);
                sides[unit] = to;
                has_moved = true;
            }
        }
        if !has_moved {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::random::{Purpose, draws};

    fn unit(labels: &[usize]) -> Unit {
        Unit { rows: 1, labels: labels.iter().map(|label| (*label, 1)).collect() }
    }

    fn drawn(units: &[Unit], labels: usize, fraction: f64, seed: u64) -> Vec<bool> {
        stratify(units, labels, fraction, &mut draws(seed, Purpose::Split, 0, 0))
    }

    /// How many rows of each label validate, and how many rows in all.
    fn validating(units: &[Unit], valid: &[bool], labels: usize) -> (Vec<u64>, u64) {
        let chosen = || units.iter().zip(valid).filter(|(_, valid)| **valid).map(|(unit, _)| unit);
        let of = |label| chosen().map(|unit| unit.labels.get(&label).copied().unwrap_or(0)).sum();
        ((0..labels).map(of).collect(), chosen().map(|unit| unit.rows).sum())
    }

    #[test]
    fn single_labels_keep_their_shares_whatever_the_seed() {
        let units: Vec<Unit> = (0..200).map(|i| unit(&[usize::from(i % 20 == 0)])).collect();
        for seed in 0..20 {
            let valid = drawn(&units, 2, 0.2, seed);
            assert_eq!(validating(&units, &valid, 2), (vec![38, 2], 40), "190 and 10 of 200");
        }
    }

    /// Rare labels beside common ones: each within one example of its share, which a plain draw misses most of the time.
    #[test]
    fn every_label_keeps_its_share_within_one_example() {
        let labels = |i: usize| -> Vec<usize> {
            let rare = [(7, 1), (31, 2), (43, 3), (97, 4)];
            let rare = rare.iter().filter(|(every, _)| i.is_multiple_of(*every)).map(|(_, label)| *label);
            (!i.is_multiple_of(3)).then_some(0).into_iter().chain(rare).collect()
        };
        let units: Vec<Unit> = (0..1000).map(|i| unit(&labels(i))).collect();
        let counts = validating(&units, &[true; 1000], 5).0;
        for seed in 0..20 {
            let (valid, rows) = validating(&units, &drawn(&units, 5, 0.2, seed), 5);
            for (label, (all, valid)) in counts.iter().zip(&valid).enumerate() {
                assert!(
                    (*all as f64 * 0.2 - *valid as f64).abs() <= 1.0,
                    "label {label}: {valid} of {all}, seed {seed}"
                );
            }
            assert!((198..=202).contains(&rows), "{rows}");
        }
    }

    /// Labels that are rounded the same way all, each of so many rows.
    #[test]
    fn many_labels_of_few_rows_have_the_share_together() {
        for (labels, each, fraction, expected) in
            [(100, 4, 0.1, 40), (100, 5, 0.1, 50), (100, 2, 0.2, 40), (5, 4, 0.1, 2), (100, 4, 0.9, 360)]
        {
            let units: Vec<Unit> = (0..labels * each).map(|row| unit(&[row / each])).collect();
            for seed in 0..5 {
                let valid = drawn(&units, labels, fraction, seed);
                let (by_label, rows) = validating(&units, &valid, labels);
                assert_eq!(rows, expected, "{labels} labels of {each} rows at {fraction}, seed {seed}");
                let share = each as f64 * fraction;
                assert!(by_label.iter().all(|&count| (count as f64 - share).abs() < 1.0), "{by_label:?}");
                assert_eq!(valid, drawn(&units, labels, fraction, seed));
            }
            assert_ne!(drawn(&units, labels, fraction, 0), drawn(&units, labels, fraction, 1));
        }
    }

    #[test]
    fn groups_of_unlike_size_come_near_the_share() {
        let units: Vec<Unit> = (1..=40).map(|rows| Unit { rows, labels: [(rows as usize % 2, rows)].into() }).collect();
        for seed in 0..20 {
            let (labels, rows) = validating(&units, &drawn(&units, 2, 0.25, seed), 2);
            assert!((200..=210).contains(&rows), "{rows} of 820");
            assert!((95..=110).contains(&labels[0]) && (95..=110).contains(&labels[1]), "{labels:?} of 420 and 400");
        }
    }
}
