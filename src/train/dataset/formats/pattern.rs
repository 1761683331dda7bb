//! Regular expressions that take a label or a group out of a file's name.

use regex::Regex;

/// A regular expression with one capture group that matters: the one with the given name, or the first.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    group: usize,
}

impl Pattern {
    /// Compiles `text`; `flag` is what the user gave it with.
    pub(crate) fn new(text: &str, name: &str, flag: &str) -> Result<Self, String> {
        let regex = Regex::new(text).map_err(|error| format!("{flag}: {error}"))?;
        let named = regex.capture_names().position(|group| group == Some(name));
        if regex.captures_len() < 2 {
            return Err(format!("{flag} {text:?} captures nothing: put parentheses around the {name}, as in '^(.+)_'"));
        }
        Ok(Self { regex, group: named.unwrap_or(1) })
    }

    /// What the expression captures in `text`; `None` where it does not match or captures nothing.
    pub(crate) fn capture<'a>(&self, text: &'a str) -> Option<&'a str> {
        let found = self.regex.captures(text)?.get(self.group)?.as_str().trim();
        (!found.is_empty()).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_group_or_the_first_is_captured() {
        let capture = |pattern, text| Pattern::new(pattern, "label", "--label-pattern").unwrap().capture(text);
        assert_eq!(capture(r"^(.+)_\d+\.jpg$", "great_pyrenees_173.jpg"), Some("great_pyrenees"));
        assert_eq!(capture(r"^(\d+)_(?<label>[a-z]+)", "12_cat.jpg"), Some("cat"));
        assert_eq!(capture(r"^(.*)_\d+\.jpg$", "_173.jpg"), None);
        assert_eq!(capture(r"^(.+)_\d+\.jpg$", "Thumbs.db"), None);
    }

    #[test]
    fn a_pattern_without_a_group_or_with_a_mistake_is_refused() {
        let error = |pattern| Pattern::new(pattern, "label", "--label-pattern").unwrap_err();
        assert!(error(r"^.+_\d").contains("parentheses"));
        assert!(error(r"(").contains("--label-pattern"));
    }
}
