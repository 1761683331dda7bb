//! Targets as the loss takes them.

use super::super::augment::{Draw, trainable};
use super::super::dataset::{Example, Target};
use super::{Batch, LoaderOptions};

/// Appends a picture's targets, and its mask where it has points or values. `count` is the number of labels.
pub(super) fn append(example: &Example, count: usize, draw: &Draw, options: &LoaderOptions, batch: &mut Batch) {
    match &example.target {
        Target::Labels(labels) => {
            let start = batch.targets.len();
            batch.targets.resize(start + count, 0.0);
            labels.iter().for_each(|&label| batch.targets[start + label] = 1.0);
        }
        Target::Points(points) => {
            let frame = options.resize.size;
            let placement = options.resize.placement(example.size);
            // A crop is taken from the whole picture; otherwise the source is the model's frame.
            let to_source = |point| match draw.crop {
                Some(_) => example.size.to_unit(point),
                None => frame.to_unit(placement.to_model(point)),
            };
            let unit: Vec<_> = points.iter().map(|point| point.map(to_source)).collect();
            for point in draw.move_points(&unit, frame, &options.flip_pairs) {
                let kept = point.and_then(|point| trainable(point, &options.y_range));
                let (x, y) = kept.unwrap_or_default();
                batch.targets.extend([x as f32, y as f32]);
                batch.mask.extend([f32::from(u8::from(kept.is_some())); 2]);
            }
        }
        Target::Values(values) => {
            batch.targets.extend(values.iter().map(|value| value.unwrap_or_default() as f32));
            batch.mask.extend(values.iter().map(|value| f32::from(u8::from(value.is_some()))));
        }
    }
}
