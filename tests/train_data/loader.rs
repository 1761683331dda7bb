//! Batches: their order, contents and targets.

use std::sync::Arc;

use tagpoint::picture::{Detail, Limits, Picture, PictureSize, ResizeMethod, ResizeRule};
use tagpoint::train::dataset::{DataOptions, Dataset, TaskKind, read};
use tagpoint::train::loader::{Batch, Loader, LoaderError, LoaderOptions};

const FRAME: PictureSize = PictureSize { width: 16, height: 12 };

fn rule(method: ResizeMethod) -> ResizeRule {
    ResizeRule { method, size: FRAME }
}

/// Twelve noisy pictures of different sizes, nine to train and three to validate, with a label or a point each.
fn drawn(task: TaskKind) -> (tempfile::TempDir, Arc<Dataset>) {
    let folder = tempfile::tempdir().unwrap();
    let header = if task == TaskKind::Points { "fname,x0,y0,x1,y1,is_valid" } else { "fname,labels,is_valid" };
    let mut table = header.to_owned() + "\n";
    for i in 0..12_u32 {
        let picture = image::RgbImage::from_fn(40 + i, 60 - i, |x, y| image::Rgb([(x * 37 + y * 91 + i * 7) as u8; 3]));
        picture.save(folder.path().join(format!("{i}.png"))).unwrap();
        let target = match task {
            TaskKind::MultiLabel | TaskKind::SingleLabel | TaskKind::Values => {
                ["a", "a b", ""][i as usize % 3].to_owned()
            }
            TaskKind::Points => format!("{},{},{}", 10 + i, 5, if i % 2 == 0 { "," } else { "39,200" }),
        };
        table += &format!("{i}.png,{target},{}\n", i % 4 == 3);
    }
    let csv = folder.path().join("train.csv");
    std::fs::write(&csv, table).unwrap();
    let dataset = read(&DataOptions::new(csv, task)).unwrap();
    (folder, Arc::new(dataset))
}

fn options() -> LoaderOptions {
    LoaderOptions { batch_size: 4, workers: 2, seed: 5, ..LoaderOptions::new(rule(ResizeMethod::Squish)) }
}

fn all(batches: impl Iterator<Item = Result<Batch, LoaderError>>) -> Vec<Batch> {
    batches.map(|batch| batch.unwrap()).collect()
}

#[test]
fn the_number_of_workers_and_the_cache_change_no_bit() {
    for task in [TaskKind::MultiLabel, TaskKind::Points] {
        let (_folder, dataset) = drawn(task);
        let reference = Loader::new(Arc::clone(&dataset), LoaderOptions { workers: 1, prefetch: 0, ..options() });
        let expected = (all(reference.train_epoch(3, 0)), all(reference.valid()));
        // Room for two frames, for none, and for all.
        for (workers, cache_bytes) in [(2, 16 * 12 * 3 * 2), (3, 0), (8, 1 << 20)] {
            let loader = Loader::new(Arc::clone(&dataset), LoaderOptions { workers, cache_bytes, ..options() });
            for _pass in 0..2 {
                assert_eq!(all(loader.train_epoch(3, 0)), expected.0);
                assert_eq!(all(loader.valid()), expected.1);
            }
        }
    }
}

#[test]
fn an_epoch_is_shuffled_and_its_short_batch_dropped() {
    let (_folder, dataset) = drawn(TaskKind::MultiLabel);
    let loader = Loader::new(Arc::clone(&dataset), options());
    assert_eq!((loader.train_batches(), loader.valid_batches()), (2, 1));
    let items = |epoch| all(loader.train_epoch(epoch, 0)).iter().flat_map(|b| b.items.clone()).collect::<Vec<u64>>();
    let (first, second) = (items(0), items(1));
    assert_eq!(first.len(), 8);
    assert_ne!(first, second);
    let distinct: std::collections::BTreeSet<u64> = first.iter().copied().collect();
    assert!(distinct.len() == 8 && distinct.iter().all(|item| *item < 9));
    let only = Loader::new(dataset, LoaderOptions { batch_size: 64, ..options() });
    assert_eq!(all(only.train_epoch(0, 0)).iter().map(|b| b.items.len()).collect::<Vec<_>>(), [9]);
}

#[test]
fn validation_is_complete_in_order_and_the_pictures_own_pixels() {
    let (_folder, dataset) = drawn(TaskKind::MultiLabel);
    let loader = Loader::new(Arc::clone(&dataset), LoaderOptions { batch_size: 2, ..options() });
    let batches = all(loader.valid());
    assert_eq!(batches.iter().map(|b| b.items.clone()).collect::<Vec<_>>(), [vec![0, 1], vec![2]]);
    let pixels: Vec<f32> = batches.iter().flat_map(|b| b.pixels.clone()).collect();
    let mut expected = Vec::new();
    for example in &dataset.valid {
        let bytes = std::fs::read(dataset.path(example)).unwrap();
        let picture = Picture::decode(&bytes, &Limits::default(), Detail::Full).unwrap();
        let mut frame = vec![0; 16 * 12 * 3];
        picture.resize_into(&rule(ResizeMethod::Squish), &mut frame).unwrap();
        expected.extend(frame.into_iter().map(f32::from));
    }
    assert_eq!(pixels, expected);
    // Pictures 3, 7 and 11: none, "a b", "a"… by their remainders 0, 1, 2 of three.
    let targets: Vec<f32> = batches.iter().flat_map(|b| b.targets.clone()).collect();
    assert_eq!(targets, [1.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    assert!(batches.iter().all(|b| b.mask.is_empty()));
}

#[test]
fn point_targets_lie_in_the_models_frame_and_others_are_masked() {
    let (_folder, dataset) = drawn(TaskKind::Points);
    for method in [ResizeMethod::Squish, ResizeMethod::Crop, ResizeMethod::Pad] {
        let loader = Loader::new(Arc::clone(&dataset), LoaderOptions { resize: rule(method), ..options() });
        let batch = all(loader.valid()).remove(0);
        assert_eq!((batch.targets.len(), batch.mask.len()), (3 * 2 * 2, 3 * 2 * 2));
        for (i, example) in dataset.valid.iter().enumerate() {
            let point = (10.0 + [3.0, 7.0, 11.0][i], 5.0);
            let model = rule(method).placement(example.size).to_model(point);
            let (x, y) = (model.0 / 8.0 - 1.0, model.1 / 6.0 - 1.0);
            let inside = x.abs() <= 1.0 && y.abs() <= 1.0;
            assert_eq!(inside, method != ResizeMethod::Crop, "the crop cuts the upper edge off");
            let expected = if inside { [x as f32, y as f32] } else { [0.0; 2] };
            assert_eq!(batch.targets[4 * i..4 * i + 2], expected);
            assert_eq!(batch.mask[4 * i..4 * i + 2], [f32::from(u8::from(inside)); 2]);
            // The second point lies far below the picture.
            assert_eq!(batch.mask[4 * i + 2..4 * i + 4], [0.0; 2]);
        }
    }
}

#[test]
fn a_picture_that_has_gone_is_an_error_with_its_path() {
    let (folder, dataset) = drawn(TaskKind::MultiLabel);
    std::fs::remove_file(folder.path().join("7.png")).unwrap();
    let loader = Loader::new(Arc::clone(&dataset), options());
    let error = loader.valid().next().unwrap().unwrap_err();
    assert!(error.to_string().contains("7.png"), "{error}");
    // A pass that nobody finishes leaves no thread behind that would hang this test.
    drop(loader.train_epoch(0, 0));
}
