//! Lists that people write: a name on each line.

/// The lines, without the blanks around them, empty ones, and the byte-order mark that some editors put in front.
pub(crate) fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.trim_start_matches('\u{feff}').lines().map(str::trim).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lines_without_what_editors_put_around_them() {
        let lines: Vec<&str> = listed("\u{feff}cat\r\n\r\n St. Bernard \r\n").collect();
        assert_eq!(lines, ["cat", "St. Bernard"]);
    }
}
