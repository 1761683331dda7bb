//! Batches: their order, contents and targets.

use std::sync::Arc;

use tagpoint::picture::{Detail, Limits, Picture, PictureSize, ResizeMethod, ResizeRule};
use tagpoint::train::augment::{Augmentation, Erasing, Mixing, RandomCrop};
use tagpoint::train::dataset::{DataOptions, Dataset, TaskKind, read};
use tagpoint::train::loader::{Batch, Loader, LoaderError, LoaderOptions, Resources};

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
    let resources = Resources { workers: 2, ..Resources::default() };
    LoaderOptions { batch_size: 4, resources, seed: 5, ..LoaderOptions::new(rule(ResizeMethod::Squish)) }
}

fn alone() -> Resources {
    Resources { workers: 1, ..Resources::default() }
}

fn all(batches: impl Iterator<Item = Result<Batch, LoaderError>>) -> Vec<Batch> {
    batches.map(|batch| batch.unwrap()).collect()
}

#[test]
fn the_number_of_workers_and_the_cache_change_no_bit() {
    for task in [TaskKind::MultiLabel, TaskKind::Points] {
        let (_folder, dataset) = drawn(task);
        let reference =
            Loader::new(Arc::clone(&dataset), LoaderOptions { resources: alone(), prefetch: 0, ..options() });
        let expected = (all(reference.train_epoch(3, 0)), all(reference.valid()));
        // Room for two frames, for none, and for all.
        for (workers, cache_bytes) in [(2, 16 * 12 * 3 * 2), (3, 0), (8, 1 << 20)] {
            let loader = Loader::new(
                Arc::clone(&dataset),
                LoaderOptions { resources: Resources { workers, cache_bytes, ..Resources::default() }, ..options() },
            );
            for _pass in 0..2 {
                assert_eq!(all(loader.train_epoch(3, 0)), expected.0);
                assert_eq!(all(loader.valid()), expected.1);
            }
        }
    }
}

/// Everything that is not on by default.
fn everything() -> LoaderOptions {
    let augmentation = Augmentation {
        flip_vertical: true,
        transpose: true,
        crop: Some(RandomCrop::default()),
        erase: Erasing { p: 0.5, ..Erasing::default() },
        ..Augmentation::default()
    };
    LoaderOptions { augmentation, mixing: Mixing { mixup_alpha: 0.4, cutmix_alpha: 1.0 }, ..options() }
}

#[test]
fn cropped_erased_and_mixed_batches_do_not_depend_on_workers_or_cache_either() {
    for task in [TaskKind::MultiLabel, TaskKind::Points] {
        let (_folder, dataset) = drawn(task);
        let reference = Loader::new(Arc::clone(&dataset), LoaderOptions { resources: alone(), ..everything() });
        let expected = (all(reference.train_epoch(3, 0)), all(reference.valid()));
        assert_ne!(expected.0, all(reference.train_epoch(4, 0)));
        assert_eq!(expected.0[1..], all(reference.train_epoch(3, 1)), "a resumed epoch");
        // Room for one kept picture of 16 · 12 · 4 pixels or none, and for all.
        for (workers, cache_bytes) in [(2, 16 * 12 * 3 * 5), (8, 1 << 20)] {
            let loader = Loader::new(
                Arc::clone(&dataset),
                LoaderOptions { resources: Resources { workers, cache_bytes, ..Resources::default() }, ..everything() },
            );
            for _pass in 0..2 {
                assert_eq!(all(loader.train_epoch(3, 0)), expected.0);
                assert_eq!(all(loader.valid()), expected.1);
            }
        }
        let plain = Loader::new(dataset, options());
        assert_eq!(all(plain.valid()), expected.1, "validation pictures are never cropped, hidden or mixed");
    }
}

#[test]
fn mixed_targets_are_shares_and_points_are_never_mixed() {
    let (_folder, dataset) = drawn(TaskKind::MultiLabel);
    let targets = |mixing| {
        let loader = Loader::new(Arc::clone(&dataset), LoaderOptions { mixing, ..options() });
        all(loader.train_epoch(0, 0)).into_iter().flat_map(|batch| batch.targets).collect::<Vec<f32>>()
    };
    let whole = |targets: &[f32]| targets.iter().all(|target| *target == 0.0 || *target == 1.0);
    assert!(whole(&targets(Mixing::default())));
    let mixed = targets(Mixing { mixup_alpha: 1.0, cutmix_alpha: 0.0 });
    assert!(!whole(&mixed) && mixed.iter().all(|target| (0.0..=1.0).contains(target)));
    let (_folder, points) = drawn(TaskKind::Points);
    let plain = Loader::new(Arc::clone(&points), options());
    let mixed =
        Loader::new(points, LoaderOptions { mixing: Mixing { mixup_alpha: 1.0, cutmix_alpha: 0.0 }, ..options() });
    assert_eq!(all(plain.train_epoch(0, 0)), all(mixed.train_epoch(0, 0)));
}

/// From the file to the batch, at two progressive sizes: the brightest part of the picture is where its target says.
#[test]
fn a_bright_dot_in_a_file_is_where_its_target_is_in_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = "fname,x0,y0,is_valid\n".to_owned();
    for i in 0..24_u32 {
        let (width, height) = [(200, 150), (150, 200), (300, 100)][i as usize % 3];
        let (x, y) =
            (f64::from(width) * (0.3 + f64::from(i % 5) / 10.0), f64::from(height) * (0.3 + f64::from(i % 4) / 10.0));
        let picture = image::RgbImage::from_fn(width, height, |column, row| {
            let squared = (f64::from(column) + 0.5 - x).powi(2) + (f64::from(row) + 0.5 - y).powi(2);
            image::Rgb([(255.0 * (-squared / 50.0).exp()).round() as u8; 3])
        });
        picture.save(folder.path().join(format!("{i}.png"))).unwrap();
        table += &format!("{i}.png,{x},{y},{}\n", i == 0);
    }
    let csv = folder.path().join("train.csv");
    std::fs::write(&csv, table).unwrap();
    let dataset = Arc::new(read(&DataOptions::new(csv, TaskKind::Points)).unwrap());
    let crop = Some(RandomCrop { min_area: 0.35, ..RandomCrop::default() });
    let still = Augmentation { flip_vertical: true, transpose: true, p_lighting: 0.0, ..Augmentation::default() };
    let mut tried = 0;
    for side in [48, 80] {
        for (method, crop) in [(ResizeMethod::Squish, None), (ResizeMethod::Crop, None), (ResizeMethod::Pad, crop)] {
            let size = PictureSize { width: side, height: side };
            let augmentation = Augmentation { crop, ..still };
            let options = LoaderOptions { augmentation, ..LoaderOptions::new(ResizeRule { method, size }) };
            let loader = Loader::new(Arc::clone(&dataset), options);
            for batch in (0..3).flat_map(|epoch| all(loader.train_epoch(epoch, 0))) {
                let frames = batch.pixels.chunks_exact(3 * (side * side) as usize);
                let targets = batch.targets.chunks_exact(2).zip(batch.mask.chunks_exact(2));
                for ((target, mask), pixels) in targets.zip(frames) {
                    // Near an edge a part of the dot is cut off or mirrored.
                    if mask[0] == 0.0 || target.iter().any(|at| at.abs() > 0.6) {
                        continue;
                    }
                    let (x, y) = size.from_unit((f64::from(target[0]), f64::from(target[1])));
                    let (found_x, found_y) = brightest_near(pixels, side as usize, (x, y));
                    let distance = (found_x - x).hypot(found_y - y);
                    assert!(distance < 0.5, "{method:?} {side}: {x} {y}, found {found_x} {found_y}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 150, "{tried}");
}

/// The brightness-weighted mean of the pixels around a place.
fn brightest_near(pixels: &[u8], side: usize, near: (f64, f64)) -> (f64, f64) {
    let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
    for (place, pixel) in pixels.chunks_exact(3).enumerate() {
        let at = ((place % side) as f64 + 0.5, (place / side) as f64 + 0.5);
        if (at.0 - near.0).hypot(at.1 - near.1) < 12.0 {
            sum += f64::from(pixel[0]);
            x += f64::from(pixel[0]) * at.0;
            y += f64::from(pixel[0]) * at.1;
        }
    }
    (x / sum, y / sum)
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
    let loader = Loader::new(Arc::clone(&dataset), LoaderOptions { valid_batch_size: 2, ..options() });
    let batches = all(loader.valid());
    assert_eq!(batches.iter().map(|b| b.items.clone()).collect::<Vec<_>>(), [vec![0, 1], vec![2]]);
    let pixels: Vec<u8> = batches.iter().flat_map(|b| b.pixels.clone()).collect();
    let mut expected = Vec::new();
    for example in &dataset.valid {
        let bytes = std::fs::read(dataset.path(example)).unwrap();
        let picture = Picture::decode(&bytes, &Limits::default(), Detail::Full).unwrap();
        let mut frame = vec![0; 16 * 12 * 3];
        picture.resize_into(&rule(ResizeMethod::Squish), &mut frame).unwrap();
        expected.extend(frame);
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
