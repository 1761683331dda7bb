//! −1…1 coordinates of the model's frame → pixels of the original picture.

use serde::Serialize;
use utoipa::ToSchema;

use crate::picture::{PictureSize, ResizeRule};

/// One point of an answer, in the original picture as EXIF orients it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PointAnswer {
    /// The point's name.
    #[schema(example = "left_eye")]
    pub name: String,
    /// Pixels from the picture's left edge.
    #[schema(example = 412.6)]
    pub x: f32,
    /// Pixels from the picture's top edge.
    #[schema(example = 288.1)]
    pub y: f32,
    /// `x` divided by the picture's width.
    #[schema(example = 0.4029)]
    pub x_norm: f32,
    /// `y` divided by the picture's height.
    #[schema(example = 0.3751)]
    pub y_norm: f32,
    /// Whether the point lies within the picture, its edges included.
    pub in_frame: bool,
}

/// Places each point in the original picture; `output` is x, y of each name in turn.
pub(super) fn points(names: &[String], output: &[f32], rule: &ResizeRule, original: PictureSize) -> Vec<PointAnswer> {
    let placement = rule.placement(original);
    let (width, height) = (f64::from(original.width), f64::from(original.height));
    let pairs = output.as_chunks::<2>().0;
    names
        .iter()
        .zip(pairs)
        .map(|(name, &[x, y])| {
            let (x, y) = placement.to_original(rule.size.from_unit((f64::from(x), f64::from(y))));
            PointAnswer {
                name: name.clone(),
                x: x as f32,
                y: y as f32,
                x_norm: (x / width) as f32,
                y_norm: (y / height) as f32,
                in_frame: (0.0..=width).contains(&x) && (0.0..=height).contains(&y),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::ResizeMethod;

    /// One point for a picture of 200 × 100 pixels in a frame of 50 × 50.
    fn place(method: ResizeMethod, output: [f32; 2]) -> PointAnswer {
        let rule = ResizeRule { method, size: PictureSize { width: 50, height: 50 } };
        let original = PictureSize { width: 200, height: 100 };
        points(&["nose".to_owned()], &output, &rule, original).remove(0)
    }

    fn xy(point: &PointAnswer) -> (f32, f32, f32, f32, bool) {
        (point.x, point.y, point.x_norm, point.y_norm, point.in_frame)
    }

    #[test]
    fn squished_corners_and_centre_are_the_pictures_own() {
        assert_eq!(xy(&place(ResizeMethod::Squish, [-1.0, -1.0])), (0.0, 0.0, 0.0, 0.0, true));
        assert_eq!(xy(&place(ResizeMethod::Squish, [1.0, 1.0])), (200.0, 100.0, 1.0, 1.0, true));
        assert_eq!(xy(&place(ResizeMethod::Squish, [0.0, 0.0])), (100.0, 50.0, 0.5, 0.5, true));
    }

    #[test]
    fn the_edge_of_a_crop_lies_within_the_picture() {
        // The crop is the middle 100 × 100 of 200 × 100.
        assert_eq!(xy(&place(ResizeMethod::Crop, [-1.0, -1.0])), (50.0, 0.0, 0.25, 0.0, true));
        assert_eq!(xy(&place(ResizeMethod::Crop, [1.0, 0.0])), (150.0, 50.0, 0.75, 0.5, true));
    }

    #[test]
    fn a_point_in_the_padding_lies_outside_the_picture() {
        // The picture fills the width: 25 of the frame's 50 rows, with 12.5 rows of padding above.
        assert_eq!(xy(&place(ResizeMethod::Pad, [0.0, -1.0])), (100.0, -50.0, 0.5, -0.5, false));
        assert_eq!(xy(&place(ResizeMethod::Pad, [0.0, 0.0])), (100.0, 50.0, 0.5, 0.5, true));
    }

    #[test]
    fn a_point_beyond_the_frame_keeps_its_place() {
        assert_eq!(xy(&place(ResizeMethod::Squish, [1.25, 0.0])), (225.0, 50.0, 1.125, 0.5, false));
    }
}
