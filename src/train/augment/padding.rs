//! What lies beyond a picture's edges.

use serde::{Deserialize, Serialize};

/// What lies beyond a picture's edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// The picture mirrored at its edges.
    #[default]
    Reflection,
    /// The pixels of its edges, drawn out.
    Border,
    /// Black.
    Zeros,
}

impl Padding {
    /// The pixel that stands at a place along an axis of so many pixels; `None` for black.
    pub(super) fn pixel(self, place: i64, length: i64) -> Option<usize> {
        let inside = (0..length).contains(&place);
        let place = match self {
            _ if inside => place,
            Self::Reflection => {
                let place = place.rem_euclid(2 * length);
                if place < length { place } else { 2 * length - 1 - place }
            }
            Self::Border => place.clamp(0, length - 1),
            Self::Zeros => return None,
        };
        Some(place as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_beyond_an_edge_are_mirrored_drawn_out_or_black() {
        let row = |padding: Padding| (-4..7).map(|place| padding.pixel(place, 3)).collect::<Vec<_>>();
        let mirrored = [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0].map(Some);
        assert_eq!(row(Padding::Reflection), mirrored);
        assert_eq!(row(Padding::Border), [0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2].map(Some));
        let black = [None; 4].into_iter().chain([0, 1, 2].map(Some)).chain([None; 4]);
        assert_eq!(row(Padding::Zeros), black.collect::<Vec<_>>());
    }
}
