//! COCO files.

use tagpoint::train::dataset::{
    DataOptions, Dataset, Findings, PointFrame, Target, Targets, TaskKind,
    findings::{Finding, Kind},
    inspect, read,
};

use crate::helpers::{labelled, pictures, problems, write};

/// As COCO's own files are: fields that nobody needs, outlines as polygons and as run lengths, crowds, real numbers.
const INSTANCES: &str = r#"{
  "info": {"description": "COCO 2017 Dataset", "url": "http://cocodataset.org", "year": 2017},
  "licenses": [{"id": 1, "name": "CC", "url": "http://creativecommons.org"}],
  "images": [
    {"license": 4, "file_name": "1.png", "coco_url": "http://images.cocodataset.org/1.png", "height": 30, "width": 40,
     "date_captured": "2013-11-14 17:02:52", "id": 397133},
    {"file_name": "2.png", "height": 30, "width": 40, "id": 37777},
    {"file_name": "3.png", "height": 30, "width": 40, "id": 252219}
  ],
  "annotations": [
    {"segmentation": [[1.5, 2.5, 10, 2.5, 10, 20]], "area": 70.25, "iscrowd": 0, "image_id": 397133,
     "bbox": [1.5, 2.5, 8.5, 17.5], "category_id": 18, "id": 1},
    {"segmentation": {"counts": [272, 2, 4, 4], "size": [30, 40]}, "area": 12, "iscrowd": 1, "image_id": 397133,
     "bbox": [0, 0, 40, 30], "category_id": 1, "id": 900100397133},
    {"segmentation": {"counts": "abc12", "size": [30, 40]}, "area": 3.5, "iscrowd": 0, "image_id": 252219,
     "bbox": [0, 0, 2, 2], "category_id": 18, "id": 2},
    {"area": 3.5, "iscrowd": 0, "image_id": 999, "bbox": [0, 0, 2, 2], "category_id": 18, "id": 3}
  ],
  "categories": [{"supercategory": "person", "id": 1, "name": "person"},
                 {"supercategory": "animal", "id": 18, "name": "dog"},
                 {"supercategory": "none", "id": 0, "name": "animals"}]
}"#;

fn messages(findings: &Findings) -> Vec<&str> {
    findings.of_kind(Kind::LeftOut).map(|finding: &Finding| finding.message.as_str()).collect()
}

#[test]
fn objects_and_crowds_are_labels_and_a_picture_may_have_none() {
    let folder = pictures(&["val2017/1.png", "val2017/2.png", "val2017/3.png"]);
    let file = write(folder.path(), "annotations/instances_val2017.json", INSTANCES);
    let list = write(folder.path(), "list.txt", "2.png\n");
    let options = DataOptions { valid_list: Some(list), ..DataOptions::new(file, TaskKind::MultiLabel) };
    let inspection = inspect(&options).unwrap();
    let dataset = inspection.dataset.unwrap();
    let expected = [("1.png", vec!["dog", "person"]), ("3.png", vec!["dog"]), ("2.png", vec![])];
    assert_eq!(labelled(&dataset), expected.map(|(file, labels)| (file.to_owned(), labels)));
    assert!(dataset.root.ends_with("val2017"), "found as COCO's archives unpack: {}", dataset.root.display());
    let notes = messages(&inspection.findings);
    assert!(notes.iter().any(|note| note.contains("categories without an annotation: animals")));
    assert!(notes.iter().any(|note| note.contains("1 annotation of images that are not in the file")));
}

#[test]
fn a_file_may_begin_with_a_byte_order_mark() {
    let folder = pictures(&["1.png", "2.png", "3.png"]);
    let file = write(folder.path(), "photos.json", &format!("\u{feff}{INSTANCES}"));
    let options = DataOptions { valid_pct: Some(0.34), ..DataOptions::new(file, TaskKind::MultiLabel) };
    assert_eq!(read(&options).unwrap().targets.names(), ["dog", "person"]);
}

#[test]
fn two_files_are_two_splits_and_missing_pictures_are_named() {
    let folder = pictures(&["train2017/1.png", "train2017/2.png", "train2017/3.png", "val2017/4.png"]);
    let train = write(folder.path(), "annotations/instances_train2017.json", INSTANCES);
    let valid = r#"{"images": [{"id": 1, "file_name": "4.png"}, {"id": 2, "file_name": "5.png"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 7}], "categories": [{"id": 7, "name": "dog"}]}"#;
    let valid = write(folder.path(), "annotations/instances_val2017.json", valid);
    let options = DataOptions { valid_data: Some(valid.clone()), ..DataOptions::new(train, TaskKind::MultiLabel) };
    let found = problems(read(&options));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].to_string().starts_with("image 2, picture"), "{}", found[0]);
    assert!(found[0].file.ends_with("val2017/5.png"), "{found:#?}");
    crate::helpers::picture(&folder.path().join("val2017/5.png"), 9);
    let dataset = read(&options).unwrap();
    let files: Vec<String> = labelled(&dataset).into_iter().map(|(file, _)| file).collect();
    assert_eq!((dataset.train.len(), dataset.valid.len()), (3, 2));
    assert!(files[0].ends_with("train2017/1.png") && files[3].ends_with("val2017/4.png"), "{files:?}");
}

#[test]
fn an_export_with_a_file_in_each_splits_folder_is_recognised() {
    let folder = pictures(&["train/a.png", "train/b.png", "valid/c.png"]);
    let file = |files: &[&str]| {
        let image = |(id, file): (usize, &&str)| format!("{{\"id\": {id}, \"file_name\": \"{file}\"}}");
        let images = files.iter().enumerate().map(image).collect::<Vec<_>>().join(", ");
        format!(
            "{{\"images\": [{images}], \"annotations\": [{{\"id\": 0, \"image_id\": 0, \"category_id\": 0}}],
             \"categories\": [{{\"id\": 0, \"name\": \"cat\"}}]}}"
        )
    };
    write(folder.path(), "train/_annotations.coco.json", &file(&["a.png", "b.png"]));
    write(folder.path(), "valid/_annotations.coco.json", &file(&["c.png"]));
    let dataset = read(&DataOptions::new(folder.path(), TaskKind::MultiLabel)).unwrap();
    let expected = [("train/a.png", vec!["cat"]), ("train/b.png", vec![]), ("valid/c.png", vec!["cat"])];
    assert_eq!(labelled(&dataset), expected.map(|(file, labels)| (file.to_owned(), labels)));
}

/// Three persons in the first picture (one of them a crowd), nobody labelled in the second, hidden points in the third.
const KEYPOINTS: &str = r#"{
  "images": [{"file_name": "1.png", "id": 1}, {"file_name": "2.png", "id": 2}, {"file_name": "3.png", "id": 3}],
  "annotations": [
    {"image_id": 1, "category_id": 1, "num_keypoints": 2, "iscrowd": 0, "area": 20, "bbox": [0, 0, 30, 30],
     "keypoints": [1, 2, 2, 3, 4, 2], "id": 1},
    {"image_id": 1, "category_id": 1, "num_keypoints": 1, "iscrowd": 0, "area": 90.5, "bbox": [0, 0, 9, 9],
     "keypoints": [10, 20, 2, 0, 0, 0], "id": 2},
    {"image_id": 1, "category_id": 1, "num_keypoints": 2, "iscrowd": 1, "area": 999, "bbox": [0, 0, 9, 9],
     "keypoints": [7, 7, 2, 7, 7, 2], "segmentation": {"counts": [1], "size": [1, 1]}, "id": 3},
    {"image_id": 2, "category_id": 1, "num_keypoints": 0, "iscrowd": 0, "area": 50,
     "keypoints": [0, 0, 0, 0, 0, 0], "id": 4},
    {"image_id": 3, "category_id": 1, "num_keypoints": 2, "iscrowd": 0, "area": 5, "keypoints": [5, 6, 1, 39, 29, 2],
     "id": 5}
  ],
  "categories": [{"id": 1, "name": "person", "keypoints": ["nose", "left_eye"], "skeleton": [[1, 2]]}]
}"#;

fn keypoints(point_shift: Option<f64>) -> (Findings, Dataset) {
    let folder = pictures(&["images/1.png", "images/2.png", "images/3.png"]);
    let file = write(folder.path(), "person_keypoints.json", KEYPOINTS);
    let list = write(folder.path(), "list.txt", "3.png\n");
    let options = DataOptions { valid_list: Some(list), point_shift, ..DataOptions::new(file, TaskKind::Points) };
    let inspection = inspect(&options).unwrap();
    (inspection.findings, inspection.dataset.unwrap())
}

#[test]
fn the_largest_persons_points_count_and_pixels_are_their_middles() {
    let (findings, dataset) = keypoints(None);
    assert_eq!(dataset.targets, Targets::Points { names: vec!["nose".into(), "left_eye".into()] });
    assert_eq!(dataset.train[0].target, Target::Points(vec![Some((10.5, 20.5)), None]));
    assert_eq!(dataset.valid[0].target, Target::Points(vec![Some((5.5, 6.5)), Some((39.5, 29.5))]));
    assert_eq!((dataset.train.len(), dataset.valid.len()), (1, 1));
    let notes = messages(&findings);
    assert!(notes.iter().any(|note| note.contains("left out: 1 picture without a labelled point")), "{notes:?}");
    assert!(
        notes.iter().any(|note| note.contains("1 object with points beside a larger one, in 1 picture")),
        "{notes:?}"
    );
    let (_, dataset) = keypoints(Some(0.0));
    assert_eq!(dataset.train[0].target, Target::Points(vec![Some((10.0, 20.0)), None]));
}

#[test]
fn flags_that_say_nothing_of_a_coco_file_are_refused() {
    let folder = pictures(&["1.png", "2.png", "3.png"]);
    let file = write(folder.path(), "photos.json", INSTANCES);
    let options = DataOptions { valid_pct: Some(0.34), ..DataOptions::new(file, TaskKind::MultiLabel) };
    let error = |options: DataOptions| read(&options).unwrap_err().to_string();
    let with = DataOptions { label_pattern: Some("^(.+)_".into()), ..options.clone() };
    assert!(error(with).contains("leave --label-pattern away"));
    assert!(error(DataOptions { difficult: true, ..options.clone() }).contains("leave --difficult away"));
    let with = DataOptions { point_frame: PointFrame::Stored, ..options.clone() };
    assert!(error(with).contains("labels have no coordinates"));
    assert!(error(DataOptions { point_shift: Some(0.0), ..options }).contains("labels have no coordinates"));
}

#[test]
fn names_that_a_model_cannot_have_are_found_before_training() {
    let error = |text: String, task| {
        let folder = pictures(&["1.png", "2.png", "3.png"]);
        let file = write(folder.path(), "data.json", &text);
        let inspection = inspect(&DataOptions { valid_pct: Some(0.34), ..DataOptions::new(file, task) }).unwrap();
        assert!(inspection.findings.of_kind(Kind::Name).count() == 1, "{:#?}", inspection.findings.list);
        inspection.dataset.unwrap_err().to_string()
    };
    let unnamed = error(INSTANCES.replace("\"name\": \"dog\"", "\"name\": \"\""), TaskKind::MultiLabel);
    assert!(unnamed.contains("a label has an empty name"), "{unnamed}");
    let twice = error(KEYPOINTS.replace("\"left_eye\"", "\"nose\""), TaskKind::Points);
    assert!(twice.contains("point \"nose\" is there twice"), "{twice}");
}

#[test]
fn files_that_are_no_coco_or_lack_what_is_asked_for_are_refused() {
    let error = |text: &str, task| {
        let folder = pictures(&["1.png"]);
        let file = write(folder.path(), "data.json", text);
        read(&DataOptions { valid_pct: Some(0.5), ..DataOptions::new(file, task) }).unwrap_err().to_string()
    };
    assert!(error("{\"shapes\": []}", TaskKind::MultiLabel).contains("no COCO file"));
    assert!(error("{\"images\": [", TaskKind::MultiLabel).contains("line 1"));
    assert!(error(INSTANCES, TaskKind::Points).contains("--task multi-label"));
    assert!(error(INSTANCES, TaskKind::Values).contains("a table"));
    let short = r#"{"images": [{"id": 1, "file_name": "1.png"}],
        "annotations": [{"image_id": 1, "category_id": 1, "keypoints": [1, 2, 2]}],
        "categories": [{"id": 1, "name": "person", "keypoints": ["nose", "left_eye"]}]}"#;
    assert!(error(short, TaskKind::Points).contains("3 numbers for 2 keypoints"));
    let twice = r#"{"images": [{"id": 1, "file_name": "1.png"}, {"id": 1, "file_name": "2.png"}],
        "annotations": [{"image_id": 1, "category_id": 5}]}"#;
    let text = error(twice, TaskKind::MultiLabel);
    assert!(text.contains("same id") && text.contains("category 5"), "{text}");
}
