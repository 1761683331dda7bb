//! Names and flip pairs of well-known point orders.

/// The iBUG 68-point face (300-W, Multi-PIE), in its order: jaw 0–16, brows 17–26, nose 27–35, eyes 36–47, outer lip
/// 48–59, inner lip 60–67.
///
/// "a" is the side of the face that the order starts with (the one at the left edge of a picture that is not mirrored:
/// the person's own right), "b" the other; so no name says left or right, which half of the readers would read the
/// other way round.
pub mod ibug68 {
    /// The 68 points' names, in order.
    pub fn names() -> Vec<String> {
        let mut names: Vec<String> = (0..17).map(|i| format!("jaw_{i}")).collect();
        let mut run = |name: &str, count: usize| names.extend((0..count).map(|i| format!("{name}_{i}")));
        run("brow_a", 5);
        run("brow_b", 5);
        run("nose_bridge", 4);
        run("nostril", 5);
        run("eye_a", 6);
        run("eye_b", 6);
        run("lip_outer", 12);
        run("lip_inner", 8);
        names
    }

    /// Pairs of places that change when a picture is mirrored left to right. Points on the middle line have none.
    pub fn flip_pairs() -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        // Runs that go from one side of the face to the other mirror about their middle.
        let mut across = |first: usize, last: usize| {
            pairs.extend((first..=last).zip((first..=last).rev()).take_while(|(a, b)| a < b));
        };
        across(0, 16);
        across(17, 26);
        across(31, 35);
        // An eye goes round from its corner at the face's edge (a) or at the nose (b): upper lid, corner, lower lid.
        pairs.extend([(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]);
        // A lip goes along its upper edge from corner to corner, then back along its lower edge.
        let mut lip = |upper: (usize, usize), lower: (usize, usize)| {
            for (first, last) in [upper, lower] {
                pairs.extend((first..=last).zip((first..=last).rev()).take_while(|(a, b)| a < b));
            }
        };
        lip((48, 54), (55, 59));
        lip((60, 64), (65, 67));
        pairs
    }

    /// The outer corners of the eyes, whose distance usually normalises the mean error.
    pub const OUTER_EYE_CORNERS: (usize, usize) = (36, 45);
}

#[cfg(test)]
mod tests {
    use super::ibug68::*;

    #[test]
    fn every_point_has_a_name_of_its_own() {
        let names = names();
        assert_eq!(names.len(), 68);
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), 68);
        assert_eq!((names[36].as_str(), names[45].as_str()), ("eye_a_0", "eye_b_3"));
        assert_eq!((names[67].as_str(), names[30].as_str()), ("lip_inner_7", "nose_bridge_3"));
    }

    #[test]
    fn pairs_are_an_involution_that_leaves_the_middle_line_alone() {
        let mut partner: Vec<usize> = (0..68).collect();
        for (a, b) in flip_pairs() {
            assert_eq!((partner[a], partner[b]), (a, b), "a point is in two pairs");
            (partner[a], partner[b]) = (b, a);
        }
        let alone: Vec<usize> = (0..68).filter(|&i| partner[i] == i).collect();
        assert_eq!(alone, [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]);
    }
}
