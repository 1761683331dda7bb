//! Test-time augmentation: a picture is judged in several augmented views as well, and the answers are averaged.
//!
//! fastai's `tta`: a quarter of the plain picture's output and three quarters of the mean over its views, each
//! augmented as training pictures were. Points are brought back through the view's geometry, those of a mirrored view to
//! the names that they have in the plain picture.

use tch::{Tensor, no_grad};

use super::{
    TrainError,
    augment::{Augmentation, Draw, Source},
    loader::Loader,
    network::{Mode, Network, to_f32},
    random::Purpose,
};
use crate::{
    model::{Manifest, Task},
    picture::PictureSize,
};

/// The weight of the plain picture (fastai's `beta`).
const PLAIN: f32 = 0.25;

/// How pictures are augmented to be judged.
#[derive(Clone, Debug, PartialEq)]
pub struct TestTime {
    /// Augmented views of each picture, at least 1; fastai has 4.
    pub views: u64,
    /// Decides the draws.
    pub seed: u64,
    /// How far views differ from the picture.
    pub augmentation: Augmentation,
    /// Pairs of points that change places in a mirrored view.
    pub flip_pairs: Vec<(usize, usize)>,
}

impl TestTime {
    /// Views as a model's training pictures were augmented; by the default augmentation where the model does not say,
    /// or had none.
    pub fn of(manifest: &Manifest, views: u64, seed: u64) -> Self {
        let recorded = manifest.provenance.settings.get("augmentation").cloned();
        let recorded = recorded.and_then(|settings| serde_json::from_value(settings).ok());
        let mut augmentation = recorded.filter(|known: &Augmentation| !known.is_none()).unwrap_or_default();
        let mut flip_pairs = Vec::new();
        if let Task::Points(points) = &manifest.task {
            flip_pairs.clone_from(&points.flip_pairs);
            // A mirrored point that has no partner may only keep its name where it is the only one.
            let partners = points.names.len() == 1 || !flip_pairs.is_empty();
            augmentation.flip &= partners;
            augmentation.flip_vertical &= partners;
            augmentation.transpose &= partners;
        }
        Self { views, seed, augmentation, flip_pairs }
    }

    /// The mean output over the views of pictures, without the plain one: [pictures, output elements].
    ///
    /// `frames` are the pictures' pixels in the model's frame, [pictures, H, W, 3]; `items` are their places, which the
    /// draws depend on. `run` gives the task's outputs for pixels 0…255 of the same shape.
    ///
    /// # Errors
    /// Those of `run`.
    pub fn mean_over_views<E>(
        &self,
        task: &Task,
        size: PictureSize,
        frames: &[u8],
        items: &[u64],
        mut run: impl FnMut(&[u8]) -> Result<Vec<f32>, E>,
    ) -> Result<Vec<f32>, E> {
        let picture_len = 3 * size.width as usize * size.height as usize;
        let mut mean = vec![0.0; items.len() * task.output_len()];
        let mut pixels = vec![0; frames.len()];
        for view in 0..self.views {
            let draw = |item: &u64| Draw {
                erase: None,
                ..self.augmentation.draw_for(Purpose::TestTime, self.seed, view, *item)
            };
            let draws: Vec<Draw> = items.iter().map(draw).collect();
            let pictures = frames.chunks_exact(picture_len).zip(pixels.chunks_exact_mut(picture_len));
            for ((frame, pixels), draw) in pictures.zip(&draws) {
                draw.apply(&Source::frame(frame, size), pixels, size);
            }
            let mut outputs = run(&pixels)?;
            for (output, draw) in outputs.chunks_exact_mut(task.output_len()).zip(&draws) {
                self.bring_back(task, size, draw, output);
            }
            mean.iter_mut().zip(outputs).for_each(|(mean, output)| *mean += output / self.views as f32);
        }
        Ok(mean)
    }

    /// Points of a view become those of the plain picture.
    fn bring_back(&self, task: &Task, size: PictureSize, draw: &Draw, output: &mut [f32]) {
        if !matches!(task, Task::Points(_)) {
            return;
        }
        let to_source = draw.homography(size);
        let points = output.as_chunks_mut::<2>().0;
        for point in points.iter_mut() {
            let [x, y] = point.map(f64::from);
            if let Some((x, y)) = to_source.apply((x, y)) {
                *point = [x as f32, y as f32];
            }
        }
        if draw.is_mirror_image() {
            let count = points.len();
            for &(a, b) in self.flip_pairs.iter().filter(|(a, b)| *a.max(b) < count) {
                points.swap(a, b);
            }
        }
    }

    /// The outputs of the plain pictures and the means over their views as one.
    pub fn blend(plain: &[f32], views: &[f32]) -> Vec<f32> {
        plain.iter().zip(views).map(|(plain, views)| PLAIN * plain + (1.0 - PLAIN) * views).collect()
    }
}

/// The network's mean outputs over the views of the validation pictures, in the split's order.
///
/// # Errors
/// A picture that can no longer be read, or a failure of libtorch.
pub fn outputs_of_views(
    network: &mut Network,
    task: &Task,
    loader: &Loader,
    size: PictureSize,
    test_time: &TestTime,
) -> Result<Vec<f32>, TrainError> {
    let shape = [-1, i64::from(size.height), i64::from(size.width), 3];
    let mut outputs = Vec::new();
    for batch in loader.valid() {
        let batch = batch?;
        outputs.extend(test_time.mean_over_views(task, size, &batch.pixels, &batch.items, |pixels| {
            let image = Tensor::f_from_slice(pixels)?.f_view(shape)?;
            let output = no_grad(|| network.forward(&image, &[task.output_name()], &Mode::Evaluate))?;
            Ok::<_, TrainError>(to_f32(&output[0])?)
        })?);
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Points, YRange};

    const SIZE: PictureSize = PictureSize { width: 64, height: 48 };

    fn two_points() -> Task {
        let names = ["left", "right"].map(str::to_owned).to_vec();
        let y_range = YRange { low: -1.2, high: 1.2 };
        Task::Points(Points { names, flip_pairs: vec![(0, 1)], y_range, nme_pair: None })
    }

    /// Says where the brightest pixels of the left and the right half are: left and right as a model of mirrored
    /// pictures names them.
    fn brightest(pixels: &[u8]) -> Vec<f32> {
        let width = SIZE.width as usize;
        let half = |from: usize, to: usize| {
            let places = (0..SIZE.height as usize).flat_map(|y| (from..to).map(move |x| (x, y)));
            let value = |(x, y): &(usize, usize)| pixels[3 * (y * width + x)];
            let (x, y) = places.max_by_key(value).unwrap();
            let (x, y) = SIZE.to_unit((x as f64 + 0.5, y as f64 + 0.5));
            [x as f32, y as f32]
        };
        [half(0, width / 2), half(width / 2, width)].concat()
    }

    #[test]
    fn points_of_views_come_back_to_where_they_are_in_the_picture() {
        // A soft dot in each half, at different heights, so that a swap would show.
        let (left, right) = ((18.0, 17.0), (44.0, 30.0));
        let frame: Vec<u8> = (0..48 * 64)
            .flat_map(|i| {
                let near = |(x, y): (f64, f64)| {
                    let (dx, dy) = (f64::from(i % 64) + 0.5 - x, f64::from(i / 64) + 0.5 - y);
                    (-(dx * dx + dy * dy) / 18.0).exp()
                };
                [(250.0 * (near(left) + near(right))) as u8; 3]
            })
            .collect();
        let augmentation = Augmentation { p_lighting: 0.0, ..Augmentation::default() };
        let test_time = TestTime { views: 16, seed: 3, augmentation, flip_pairs: vec![(0, 1)] };
        let run = |pixels: &[u8]| Ok::<_, ()>(brightest(pixels));
        let mean = test_time.mean_over_views(&two_points(), SIZE, &frame, &[7], run).unwrap();
        for (found, expected) in mean.as_chunks::<2>().0.iter().zip([left, right]) {
            let (x, y) = SIZE.from_unit((f64::from(found[0]), f64::from(found[1])));
            assert!((x - expected.0).hypot(y - expected.1) < 0.5, "{x} {y} {expected:?}");
        }
    }

    #[test]
    fn a_quarter_is_the_plain_pictures() {
        assert_eq!(TestTime::blend(&[1.0, 0.0], &[0.0, 0.5]), [0.25, 0.375]);
    }

    #[test]
    fn scores_are_averaged_over_views_that_differ() {
        let task = Task::Values(crate::model::Values { names: vec!["mean".into()], y_ranges: vec![] });
        let test_time = TestTime { views: 3, seed: 1, augmentation: Augmentation::default(), flip_pairs: Vec::new() };
        let frame: Vec<u8> = (0..3 * 64 * 48).map(|i| (i % 251) as u8).collect();
        let mut seen = Vec::new();
        let run = |pixels: &[u8]| {
            seen.push(pixels.iter().map(|&pixel| f32::from(pixel)).sum::<f32>() / pixels.len() as f32);
            Ok::<_, ()>(vec![seen[seen.len() - 1]])
        };
        let mean = test_time.mean_over_views(&task, SIZE, &frame, &[0], run).unwrap();
        assert_eq!(seen.len(), 3);
        assert!((mean[0] - seen.iter().sum::<f32>() / 3.0).abs() < 1e-3);
        assert!(seen[0] != seen[1] && seen[1] != seen[2]);
    }
}
