//! Pictures beside each other: of a report, and of a training batch as the network gets it.

use std::path::Path;

use super::{
    ReportError,
    card::{Card, Thumbnail},
    samples::{expected_lines, list, radius},
    svg::{Anchor, Drawing, sheet},
    write_file,
};
use crate::{
    model::Task,
    picture::PictureSize,
    train::{dataset::Example, loader::Batch},
};

/// Pictures in a row.
const COLUMNS: usize = 6;
/// Points that have numbers beside them, at most.
const MOST_NUMBERED: usize = 20;
/// A JPEG quality at which nothing is lost that is seen.
const QUALITY: i32 = 95;

/// Cards in rows.
pub(super) fn drawing(cards: &[Card]) -> Drawing {
    let drawings: Vec<Drawing> = cards.iter().map(Card::drawing).collect();
    sheet(&drawings, COLUMNS)
}

/// Writes a PNG of a batch's pictures as the network gets them, of frames of this size, with their labels, values or
/// points. `examples` is the split that the batch is of.
///
/// Points that the loss leaves out are not drawn. The first of each flip pair has one colour, the second another: in a
/// mirrored picture too, the colours have to be on the sides that they are on elsewhere.
///
/// # Errors
/// A file that cannot be written.
pub fn batch_grid(
    path: &Path,
    batch: &Batch,
    examples: &[Example],
    frame: PictureSize,
    task: &Task,
) -> Result<(), ReportError> {
    let pixels = 3 * frame.width as usize * frame.height as usize;
    let each = task.output_len();
    let mut cards = Vec::new();
    for (place, (item, pixels)) in batch.items.iter().zip(batch.pixels.chunks_exact(pixels)).enumerate() {
        let Some(example) = examples.get(*item as usize) else { continue };
        let thumbnail = Thumbnail::of(pixels, frame, QUALITY);
        let shown = thumbnail.as_ref().map_or((0.0, 0.0), |thumbnail| thumbnail.shown);
        let part = |values: &[f32]| values.get(place * each..(place + 1) * each).unwrap_or_default().to_vec();
        let (targets, mask) = (part(&batch.targets), part(&batch.mask));
        let mut marks = Drawing::new(0.0, 0.0, "");
        let mut lines = mixed_lines(task, &targets).unwrap_or_else(|| expected_lines(task, example));
        if matches!(task, Task::Points(_)) {
            let drawn = draw_points(&mut marks, task, &targets, &mask, shown);
            lines = vec![("", format!("{drawn} of {} points", each / 2))];
        }
        cards.push(Card { name: example.file.display().to_string(), lines, thumbnail, marks });
    }
    write_file(path, &drawing(&cards).png()?)
}

/// The labels of a picture that others are mixed into, with their shares; `None` where each is there or not.
fn mixed_lines(task: &Task, targets: &[f32]) -> Option<Vec<(&'static str, String)>> {
    let (Task::MultiLabel { labels } | Task::SingleLabel { labels }) = task else { return None };
    if targets.iter().all(|share| [0.0, 1.0].contains(share)) {
        return None;
    }
    let present = labels.iter().zip(targets).filter(|(_, share)| **share > 0.0);
    let shares = present.map(|(label, share)| format!("{} {share:.2}", label.name));
    Some(vec![("", format!("expected: {}", list(shares.collect())))])
}

/// Draws the points whose mask is set; how many they are.
fn draw_points(marks: &mut Drawing, task: &Task, targets: &[f32], mask: &[f32], shown: (f64, f64)) -> usize {
    let Task::Points(points) = task else { return 0 };
    let count = points.names.len();
    let mut drawn = 0;
    for (place, (target, mask)) in targets.as_chunks::<2>().0.iter().zip(mask.as_chunks::<2>().0).enumerate() {
        if mask[0] == 0.0 {
            continue;
        }
        let side = |pairs: fn(&(usize, usize)) -> usize| points.flip_pairs.iter().any(|pair| pairs(pair) == place);
        let class = if side(|pair| pair.0) {
            "dot p0"
        } else if side(|pair| pair.1) {
            "dot p1"
        } else {
            "dot p2"
        };
        let [x, y] = target.map(|value| (f64::from(value) + 1.0) / 2.0);
        let (x, y) = (x * shown.0, y * shown.1);
        marks.circle(class, (x, y), radius(count));
        if count <= MOST_NUMBERED {
            marks.text("number", (x + 5.0, y + 4.0), Anchor::Start, &place.to_string());
        }
        drawn += 1;
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Label;

    #[test]
    fn a_mixed_picture_shows_the_share_of_each_of_its_labels() {
        let label = |name: &str| Label {
            name: name.to_owned(),
            thresholds: std::collections::BTreeMap::new(),
            train_count: 1,
            valid_count: 1,
        };
        let task = Task::MultiLabel { labels: ["cat", "dog", "bus"].map(label).to_vec() };
        assert_eq!(mixed_lines(&task, &[0.75, 0.25, 0.0]), Some(vec![("", "expected: cat 0.75, dog 0.25".to_owned())]));
        assert_eq!(mixed_lines(&task, &[1.0, 0.0, 1.0]), None);
    }
}
