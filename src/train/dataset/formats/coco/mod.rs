//! COCO: objects become labels of their picture, the points of its largest person (or other object with points)
//! become points.
//!
//! An example is a whole picture, so of several objects with points only the largest one counts; how many were passed
//! over is said. Keypoints are places of pixels counted from 0, whose middle is half a pixel further (as Detectron2 takes
//! them): 0.5 is added.

mod file;

use std::collections::{BTreeSet, HashMap, hash_map::Entry};
use std::path::{Path, PathBuf};

use self::file::{Annotation, Category, CocoFile};
use super::files;
use crate::train::dataset::error::Origin;
use crate::train::dataset::pictures::{folder_of, most_files};
use crate::train::dataset::table::{Cells, Names, Row, Table};
use crate::train::dataset::text::{counted, some_of};
use crate::train::dataset::{DataOptions, TaskKind};

/// From places of pixels to pixels that cover [i, i + 1).
const SHIFT: f64 = 0.5;

/// Whether a file's name is that which exporters give to the annotations of one split, in its folder.
pub(super) fn is_split_file(file: &str) -> bool {
    file.ends_with(".coco.json")
}

/// Reads a COCO file, or a folder with one for each split (`train/_annotations.coco.json`, `valid/…`).
pub(super) fn read(path: &Path, options: &DataOptions) -> Result<Table, String> {
    if !path.is_dir() {
        return read_file(path, options);
    }
    let found = files::below(path)?;
    let annotations: Vec<&str> = found.iter().map(String::as_str).filter(|file| is_split_file(file)).collect();
    let (split, _) = files::split(&annotations)?;
    let one_of = |is_valid| {
        let files: Vec<&str> = split.iter().filter(|file| file.is_valid == is_valid).map(|file| file.file).collect();
        match files[..] {
            [file] => read_file(&path.join(file), options).map_err(|error| format!("{file}: {error}")),
            _ => Err(format!("{} COCO files where one is expected: name one with --data", files.len())),
        }
    };
    if split.iter().any(|file| file.is_valid.is_some()) {
        one_of(Some(false))?.with_valid(one_of(Some(true))?)
    } else {
        one_of(None)
    }
}

fn read_file(path: &Path, options: &DataOptions) -> Result<Table, String> {
    let CocoFile { images, annotations, categories } = CocoFile::read(path)?;
    let mut table = Table {
        root: PathBuf::new(),
        names: Names::Labels(Vec::new()),
        rows: Vec::with_capacity(images.len()),
        problems: Vec::new(),
        notes: Vec::new(),
        has_split: false,
        point_shift: SHIFT,
    };
    let mut places = HashMap::with_capacity(images.len());
    for image in images {
        let row = Row {
            file: image.file_name.replace('\\', "/"),
            origin: Origin::Image(image.id),
            cells: Cells::Labels(Vec::new()),
            is_valid: None,
            group: None,
        };
        match places.entry(image.id) {
            Entry::Occupied(_) => table.problems.push(row.problem(None, "an image before has the same id")),
            Entry::Vacant(place) => {
                place.insert(table.rows.len());
                table.rows.push(row);
            }
        }
    }
    let mut of_image: Vec<Vec<&Annotation>> = vec![Vec::new(); table.rows.len()];
    let mut astray = 0;
    for annotation in &annotations {
        match places.get(&annotation.image_id) {
            Some(&place) => of_image[place].push(annotation),
            None => astray += 1,
        }
    }
    if astray > 0 {
        table.notes.push(format!("left out: {} of images that are not in the file", counted(astray, "annotation")));
    }
    if options.task == TaskKind::Points {
        read_points(&mut table, &of_image, &categories)?;
    } else {
        read_labels(&mut table, &of_image, &categories);
    }
    table.root = options.pictures.clone().unwrap_or_else(|| find_pictures(path, &table.rows));
    Ok(table)
}

/// A label for each category that has an object, or a crowd of them, in the picture.
fn read_labels(table: &mut Table, of_image: &[Vec<&Annotation>], categories: &[Category]) {
    let names: HashMap<i64, &str> = categories.iter().map(|category| (category.id, category.name.as_str())).collect();
    let mut used = BTreeSet::new();
    for (row, annotations) in table.rows.iter_mut().zip(of_image) {
        let mut labels = BTreeSet::new();
        for annotation in annotations {
            match names.get(&annotation.category_id) {
                Some(name) => drop(labels.insert(*name)),
                None => {
                    let text =
                        format!("an annotation of category {}, which is not in the file", annotation.category_id);
                    table.problems.push(row.problem(None, text));
                }
            }
        }
        used.extend(labels.iter().copied());
        row.cells = Cells::labels(labels);
    }
    let unused: BTreeSet<&str> = names.values().copied().filter(|name| !used.contains(name)).collect();
    if !unused.is_empty() {
        let list: Vec<&str> = unused.into_iter().collect();
        table.notes.push(format!("left out: categories without an annotation: {}", some_of(&list, 20)));
    }
}

/// The points of each picture's largest object that has any; pictures without one are left out.
fn read_points(table: &mut Table, of_image: &[Vec<&Annotation>], categories: &[Category]) -> Result<(), String> {
    let with_points: Vec<&Category> = categories
        .iter()
        .filter(|category| category.keypoints.as_ref().is_some_and(|names| !names.is_empty()))
        .collect();
    let (category, names) = match with_points[..] {
        [category] => (category.id, category.keypoints.clone().unwrap_or_default()),
        [] => return Err("none of its categories has keypoints: is --task multi-label meant?".to_owned()),
        _ => {
            let names = with_points.iter().map(|category| category.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(format!("several categories have keypoints ({names}): keep one in the file"));
        }
    };
    let (mut rows, mut empty, mut crowded, mut passed_over) = (Vec::new(), 0_usize, 0_usize, 0_usize);
    for (mut row, annotations) in std::mem::take(&mut table.rows).into_iter().zip(of_image) {
        let mut labelled = Vec::new();
        for annotation in
            annotations.iter().filter(|annotation| annotation.category_id == category && !annotation.iscrowd)
        {
            match points(annotation, names.len()) {
                Ok(points) if points.iter().any(Option::is_some) => labelled.push((annotation.size(), points)),
                Ok(_) => {}
                Err(problem) => table.problems.push(row.problem(None, problem)),
            }
        }
        let others = labelled.len().saturating_sub(1);
        crowded += usize::from(others > 0);
        passed_over += others;
        // The first of equally large ones.
        let largest = labelled.into_iter().rev().max_by(|(a, _), (b, _)| a.total_cmp(b));
        let Some((_, points)) = largest else {
            empty += 1;
            continue;
        };
        row.cells = Cells::Points(points);
        rows.push(row);
    }
    if empty > 0 {
        table.notes.push(format!("left out: {} without a labelled point", counted(empty, "picture")));
    }
    if passed_over > 0 {
        table.notes.push(format!(
            "left out: {} with points beside a larger one, in {}",
            counted(passed_over, "object"),
            counted(crowded, "picture")
        ));
    }
    table.rows = rows;
    table.names = Names::Points(names);
    Ok(())
}

/// Visibility 0 is a point that is not labelled; 1 (hidden) and 2 (visible) both say where it is.
fn points(annotation: &Annotation, count: usize) -> Result<Vec<Option<(f64, f64)>>, String> {
    let numbers = annotation.keypoints.as_deref().unwrap_or_default();
    if numbers.is_empty() {
        return Ok(vec![None; count]);
    }
    if numbers.len() != 3 * count {
        return Err(format!("{} numbers for {count} keypoints of x, y and visibility", numbers.len()));
    }
    Ok(numbers.chunks_exact(3).map(|point| (point[2] > 0.0).then_some((point[0], point[1]))).collect())
}

/// Where the pictures lie: beside the file, in `images`, or as COCO's own archives unpack, in a folder beside
/// `annotations` that is called as the split is (`annotations/instances_val2017.json`, `val2017/`).
fn find_pictures(path: &Path, rows: &[Row]) -> PathBuf {
    let beside = folder_of(path);
    let above = beside.join("..");
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let split = stem.rsplit('_').next().unwrap_or_default();
    let candidates = [
        beside.clone(),
        beside.join("images"),
        above.join(split),
        above.join("images").join(split),
        above.join("images"),
        beside.join(split),
        above,
    ];
    most_files(&candidates, rows).unwrap_or(beside)
}
