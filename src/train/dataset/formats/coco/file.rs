//! A COCO file's text, of which only what is needed is kept: real ones have hundreds of megabytes of outlines.
//!
//! Format: "COCO annotations", object detection and keypoint detection, at cocodataset.org/#format-data.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde::{Deserialize, Deserializer};

/// What is kept of a COCO file.
#[derive(Debug, Deserialize)]
pub(super) struct CocoFile {
    pub(super) images: Vec<Image>,
    #[serde(default)]
    pub(super) annotations: Vec<Annotation>,
    #[serde(default)]
    pub(super) categories: Vec<Category>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Image {
    pub(super) id: i64,
    pub(super) file_name: String,
}

/// One object, or with `iscrowd` a group of objects of one kind.
#[derive(Debug, Deserialize)]
pub(super) struct Annotation {
    pub(super) image_id: i64,
    pub(super) category_id: i64,
    #[serde(default, deserialize_with = "number_or_bool")]
    pub(super) iscrowd: bool,
    /// Pixels of its outline.
    #[serde(default)]
    pub(super) area: Option<f64>,
    /// Left, top, width, height.
    #[serde(default)]
    pub(super) bbox: Option<Vec<f64>>,
    /// x, y and visibility of each point of its category.
    #[serde(default)]
    pub(super) keypoints: Option<Vec<f64>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Category {
    pub(super) id: i64,
    pub(super) name: String,
    /// Names of its points.
    #[serde(default)]
    pub(super) keypoints: Option<Vec<String>>,
}

impl CocoFile {
    /// Reads a file as a stream: its text is never in memory as a whole.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let mut text = BufReader::with_capacity(1 << 20, file);
        if text.fill_buf().map_err(|error| error.to_string())?.starts_with("\u{feff}".as_bytes()) {
            text.consume('\u{feff}'.len_utf8());
        }
        serde_json::from_reader(text)
            .map_err(|error| format!("it is no COCO file (images, annotations, categories): {error}"))
    }
}

impl Annotation {
    /// How large the object is, in pixels.
    pub(super) fn size(&self) -> f64 {
        match (self.area, self.bbox.as_deref()) {
            (Some(area), _) => area,
            (None, Some(&[_, _, width, height])) => width * height,
            _ => 0.0,
        }
    }
}

/// COCO writes 0 or 1, some tools true or false.
fn number_or_bool<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum NumberOrBool {
        Bool(bool),
        Number(f64),
    }
    Ok(match Option::<NumberOrBool>::deserialize(deserializer)? {
        Some(NumberOrBool::Bool(value)) => value,
        Some(NumberOrBool::Number(value)) => value != 0.0,
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotation(text: &str) -> Annotation {
        serde_json::from_str(&format!("{{\"image_id\": 1, \"category_id\": 2{text}}}")).unwrap()
    }

    #[test]
    fn what_is_not_needed_is_passed_over() {
        let read = annotation(
            ", \"segmentation\": {\"counts\": [1, 2], \"size\": [3, 4]}, \"iscrowd\": 1, \"bbox\": [0.5, 1, 2, 3.5]",
        );
        assert!(read.iscrowd);
        assert_eq!(read.size(), 7.0);
        assert_eq!(annotation(", \"area\": 12.5, \"bbox\": [0, 0, 9, 9]").size(), 12.5);
        assert_eq!(annotation(", \"bbox\": []").size(), 0.0);
    }

    #[test]
    fn crowds_are_numbers_truths_or_absent() {
        assert!(annotation(", \"iscrowd\": true").iscrowd);
        assert!(!annotation(", \"iscrowd\": null").iscrowd);
        assert!(!annotation("").iscrowd);
    }
}
