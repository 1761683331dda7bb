//! Pascal VOC: a label for each kind of object in `Annotations/*.xml`, splits in `ImageSets/Main`.
//!
//! Format: the VOC 2007 development kit. `ImageSets/Main/train.txt` and `val.txt` are the splits where both are there;
//! otherwise `trainval.txt`, or every annotation, is to be split.

use std::collections::BTreeSet;
use std::path::Path;

use rayon::prelude::*;

use super::files;
use crate::lines;
use crate::train::dataset::DataOptions;
use crate::train::dataset::error::Origin;
use crate::train::dataset::table::{Cells, Names, Row, Table};
use crate::train::dataset::text::{counted, some_of};

/// The folder of the XML files.
pub(super) const ANNOTATIONS: &str = "Annotations";
/// Where pictures lie, in order of preference.
const PICTURES: [&str; 3] = ["JPEGImages", "images", "Images"];

/// What one XML file says.
#[derive(Debug, Default, PartialEq)]
struct Annotation {
    filename: Option<String>,
    labels: BTreeSet<String>,
    /// Labels of objects that are hard to recognise, and of no other.
    only_difficult: BTreeSet<String>,
}

/// Reads a folder with `Annotations`, and perhaps `ImageSets/Main`.
pub(super) fn read(folder: &Path, options: &DataOptions) -> Result<Table, String> {
    let annotations = folder.join(ANNOTATIONS);
    if !annotations.is_dir() {
        return Err(format!("there is no folder {ANNOTATIONS} in it"));
    }
    let (items, has_split) = items(folder)?;
    let beside = PICTURES.iter().map(|name| folder.join(name)).find(|path| path.is_dir());
    let root = options.pictures.clone().or(beside).unwrap_or(annotations.clone());
    let read: Vec<(String, Result<Annotation, String>)> = items
        .par_iter()
        .map(|(item, _)| {
            let path = annotations.join(format!("{item}.xml"));
            let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
            let annotation = text.and_then(|text| parse(&text));
            let named = annotation.as_ref().ok().and_then(|annotation| annotation.filename.as_deref());
            (picture_of(item, named, &root), annotation)
        })
        .collect();
    let (mut rows, mut problems) = (Vec::with_capacity(items.len()), Vec::new());
    let (mut pictures_with_difficult, mut difficult_labels) = (0, BTreeSet::new());
    for ((item, is_valid), (file, annotation)) in items.iter().zip(read) {
        let origin = Origin::File(format!("{ANNOTATIONS}/{item}.xml"));
        let mut row = Row { file, origin, cells: Cells::Labels(Vec::new()), is_valid: *is_valid, group: None };
        match annotation {
            Ok(mut annotation) => {
                if !annotation.only_difficult.is_empty() {
                    pictures_with_difficult += 1;
                    difficult_labels.extend(annotation.only_difficult.iter().cloned());
                }
                if options.difficult {
                    annotation.labels.append(&mut annotation.only_difficult);
                }
                row.cells = Cells::Labels(annotation.labels.into_iter().collect());
                rows.push(row);
            }
            Err(problem) => problems.push(row.problem(None, problem)),
        }
    }
    let mut notes = Vec::new();
    if pictures_with_difficult > 0 {
        let names = difficult_labels.into_iter().collect::<Vec<_>>();
        let done = if options.difficult { "which count" } else { "which do not count (--difficult counts them)" };
        notes.push(format!(
            "labels by difficult objects alone, {done}, in {}: {}",
            counted(pictures_with_difficult, "picture"),
            some_of(&names, 20)
        ));
    }
    Ok(Table { root, names: Names::Labels(Vec::new()), rows, problems, notes, has_split, point_shift: 0.0 })
}

/// The pictures' names without extension, and what the image sets say of their split.
type Items = Vec<(String, Option<bool>)>;

fn items(folder: &Path) -> Result<(Items, bool), String> {
    let sets = folder.join("ImageSets/Main");
    let list = |name: &str, is_valid: Option<bool>| -> Result<Option<Items>, String> {
        let path = sets.join(name);
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        // A list of one class has a second column, 1 or -1.
        let names = lines::listed(&text).filter_map(|line| line.split_whitespace().next());
        Ok(Some(names.map(|name| (name.to_owned(), is_valid)).collect()))
    };
    if let (Some(train), Some(valid)) = (list("train.txt", Some(false))?, list("val.txt", Some(true))?) {
        return Ok(([train, valid].concat(), true));
    }
    if let Some(all) = list("trainval.txt", None)? {
        return Ok((all, false));
    }
    let files = files::below(&folder.join(ANNOTATIONS))?;
    let stems = files.iter().filter(|file| files::extension(file) == "xml").map(|file| files::without_extension(file));
    Ok((stems.map(|stem| (stem.to_owned(), None)).collect(), false))
}

/// The picture's file: as the annotation names it, or as the annotation itself is called, with whatever extension is
/// there; tools that write annotations get one or the other wrong.
fn picture_of(item: &str, named: Option<&str>, root: &Path) -> String {
    let is_there = |file: &String| root.join(file).is_file();
    // A path of the machine that wrote it is of no use here.
    let named = named.map(|name| name.rsplit(['/', '\\']).next().unwrap_or(name).to_owned());
    let by_item = ["jpg", "jpeg", "png", "JPG", "JPEG", "PNG", "webp", "bmp", "gif"];
    let by_item = by_item.iter().map(|extension| format!("{item}.{extension}"));
    named.clone().into_iter().chain(by_item).find(is_there).or(named).unwrap_or_else(|| format!("{item}.jpg"))
}

fn parse(text: &str) -> Result<Annotation, String> {
    let document =
        roxmltree::Document::parse(text.trim_start_matches('\u{feff}')).map_err(|error| error.to_string())?;
    let root = document.root_element();
    let child_text = |node: roxmltree::Node<'_, '_>, name: &str| {
        let child = node.children().find(|child| child.has_tag_name(name))?;
        child.text().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    if !root.has_tag_name("annotation") {
        return Err(format!("its root is <{}>, not <annotation>", root.tag_name().name()));
    }
    let mut annotation = Annotation { filename: child_text(root, "filename"), ..Annotation::default() };
    // Parts of an object have names too, one level deeper.
    for object in root.children().filter(|child| child.has_tag_name("object")) {
        let name = child_text(object, "name").ok_or_else(|| "an <object> has no <name>".to_owned())?;
        let is_difficult = child_text(object, "difficult").is_some_and(|text| text == "1" || text == "true");
        let labels = if is_difficult { &mut annotation.only_difficult } else { &mut annotation.labels };
        labels.insert(name);
    }
    let Annotation { labels, only_difficult, .. } = &mut annotation;
    only_difficult.retain(|label| !labels.contains(label));
    Ok(annotation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts_are_no_labels_and_difficult_ones_stand_apart() {
        let text = "<annotation><filename>1.jpg</filename>\
            <object><name>person</name><difficult>0</difficult><part><name>head</name></part></object>\
            <object><name>chair</name><difficult>1</difficult></object>\
            <object><name>person</name><difficult>1</difficult></object></annotation>";
        let annotation = parse(text).unwrap();
        assert_eq!(annotation.filename.as_deref(), Some("1.jpg"));
        assert_eq!(annotation.labels, ["person".to_owned()].into());
        assert_eq!(annotation.only_difficult, ["chair".to_owned()].into());
    }

    #[test]
    fn what_is_no_annotation_is_refused() {
        assert!(parse("<annotation><object/></annotation>").unwrap_err().contains("no <name>"));
        assert!(parse("<svg/>").unwrap_err().contains("<svg>"));
        assert!(parse("<annotation>").is_err());
        let bomb = "<!DOCTYPE a [<!ENTITY b \"c\">]><annotation>&b;</annotation>";
        assert!(parse(bomb).is_err(), "entities of one's own are how small files become large");
    }
}
