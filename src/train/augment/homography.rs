//! Maps of the plane that keep straight lines straight, as 3 × 3 matrices on homogeneous coordinates.

use std::ops::Mul;

use crate::picture::PictureSize;

/// A map of the plane: (x, y) goes to (X/W, Y/W), where (X, Y, W) = rows · (x, y, 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Homography {
    /// The matrix, row by row.
    pub rows: [[f64; 3]; 3],
}

impl Homography {
    /// Stretches about the middle.
    pub fn scale(x: f64, y: f64) -> Self {
        Self { rows: [[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, 1.0]] }
    }

    /// Swaps x and y.
    pub(super) fn transpose() -> Self {
        Self { rows: [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]] }
    }

    /// Turns about the middle of a frame, in whose −1…1 coordinates a turn is only a turn where it is square.
    pub(super) fn rotation(angle: f64, frame: PictureSize) -> Self {
        let (sin, cos) = angle.sin_cos();
        let aspect = f64::from(frame.width) / f64::from(frame.height);
        Self { rows: [[cos, sin / aspect, 0.0], [-sin * aspect, cos, 0.0], [0.0, 0.0, 1.0]] }
    }

    /// Scales about a point, given as 0…1 of the frame from left to right and top to bottom.
    pub(super) fn zoom(scale: f64, centre: (f64, f64)) -> Self {
        let shift = |centre: f64| (1.0 - scale) * (2.0 * centre - 1.0);
        Self { rows: [[scale, 0.0, shift(centre.0)], [0.0, scale, shift(centre.1)], [0.0, 0.0, 1.0]] }
    }

    /// The perspective that brings four moved corners of the frame back to the corners: along x the left and right
    /// edges become longer and shorter by 2·x, along y the top and bottom edges.
    pub(super) fn warp((x, y): (f64, f64)) -> Self {
        let corners = [(-1.0 - y, -1.0 - x), (1.0 + y, -1.0 + x), (1.0 - y, 1.0 - x), (-1.0 + y, 1.0 + x)];
        // The quadrilateral is never degenerate for shifts below 1.
        let identity = Self::scale(1.0, 1.0);
        if x == 0.0 && y == 0.0 { identity } else { Self::to_corners(corners).inverse().unwrap_or(identity) }
    }

    /// The map of the square's corners (−1, −1), (1, −1), (1, 1), (−1, 1) to these four points.
    ///
    /// With the square as 0…1, the map is X = (ax + by + c)/(gx + hy + 1), and likewise Y; c and f are the first corner,
    /// the far corner's equations give g and h, and the other two corners the rest.
    fn to_corners([p, q, r, s]: [(f64, f64); 4]) -> Self {
        let (dx_q, dy_q) = (q.0 - r.0, q.1 - r.1);
        let (dx_s, dy_s) = (s.0 - r.0, s.1 - r.1);
        let (sum_x, sum_y) = (p.0 - q.0 + r.0 - s.0, p.1 - q.1 + r.1 - s.1);
        let determinant = dx_q * dy_s - dx_s * dy_q;
        let g = (sum_x * dy_s - dx_s * sum_y) / determinant;
        let h = (dx_q * sum_y - sum_x * dy_q) / determinant;
        let from_unit_square = Self {
            rows: [
                [q.0 - p.0 + g * q.0, s.0 - p.0 + h * s.0, p.0],
                [q.1 - p.1 + g * q.1, s.1 - p.1 + h * s.1, p.1],
                [g, h, 1.0],
            ],
        };
        from_unit_square * Self { rows: [[0.5, 0.0, 0.5], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]] }
    }

    /// Where a point goes; `None` for a point on or behind the horizon.
    pub fn apply(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let [to_x, to_y, w] = self.rows.map(|row| row[0] * x + row[1] * y + row[2]);
        (w > 0.0).then(|| (to_x / w, to_y / w))
    }

    /// The map back, scaled so that the frame's middle has a positive weight; `None` where several points share a target.
    pub fn inverse(&self) -> Option<Self> {
        let m = &self.rows;
        let cofactor = |row: usize, column: usize| {
            let ([r1, r2], [c1, c2]) = ([(row + 1) % 3, (row + 2) % 3], [(column + 1) % 3, (column + 2) % 3]);
            m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
        };
        let determinant: f64 = (0..3).map(|column| m[0][column] * cofactor(0, column)).sum();
        if determinant == 0.0 || !determinant.is_finite() {
            return None;
        }
        let mut rows = [[0.0; 3]; 3];
        for (i, row) in rows.iter_mut().enumerate() {
            for (j, value) in row.iter_mut().enumerate() {
                *value = cofactor(j, i) / determinant;
            }
        }
        Some(Self { rows })
    }
}

impl Mul for Homography {
    type Output = Self;

    /// The map that applies `right` first.
    fn mul(self, right: Self) -> Self {
        let mut rows = [[0.0; 3]; 3];
        for (i, row) in rows.iter_mut().enumerate() {
            for (j, value) in row.iter_mut().enumerate() {
                *value = (0..3).map(|k| self.rows[i][k] * right.rows[k][j]).sum();
            }
        }
        Self { rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(ours: (f64, f64), expected: (f64, f64)) {
        assert!((ours.0 - expected.0).hypot(ours.1 - expected.1) < 1e-12, "{ours:?} {expected:?}");
    }

    #[test]
    fn a_warp_brings_moved_corners_back() {
        let (x, y) = (0.15, -0.2);
        let warp = Homography::warp((x, y));
        for (from, to) in [
            ((-1.0 - y, -1.0 - x), (-1.0, -1.0)),
            ((1.0 + y, -1.0 + x), (1.0, -1.0)),
            ((1.0 - y, 1.0 - x), (1.0, 1.0)),
            ((-1.0 + y, 1.0 + x), (-1.0, 1.0)),
        ] {
            assert_near(warp.apply(from).unwrap(), to);
        }
    }

    #[test]
    fn an_inverse_leads_back() {
        let frame = PictureSize { width: 3, height: 2 };
        let map = Homography::warp((-0.1, 0.2)) * Homography::rotation(0.3, frame) * Homography::zoom(0.9, (0.1, 0.8));
        let inverse = map.inverse().unwrap();
        for point in [(0.0, 0.0), (-1.0, 0.5), (1.2, -1.2)] {
            assert_near(inverse.apply(map.apply(point).unwrap()).unwrap(), point);
        }
        assert_eq!(Homography::scale(0.0, 1.0).inverse(), None);
    }

    #[test]
    fn a_turn_keeps_distances_in_pixels() {
        let frame = PictureSize { width: 300, height: 100 };
        // A quarter turn brings the middle of the right edge, 150 pixels out, 150 pixels below or above the middle.
        let (x, y) = Homography::rotation(std::f64::consts::FRAC_PI_2, frame).apply((1.0, 0.0)).unwrap();
        assert_near((x, y.abs()), (0.0, 3.0));
    }
}
