//! The `data` of a tensor in JSON: flat or nested, read element by element.
//!
//! A general JSON value would take sixteen times the memory of its text. So elements go straight into what a model can
//! take, UINT8 or text, and of everything else only what is wrong with it is kept.

use std::fmt;

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
};

/// The most text elements that are kept: more pictures than any setting allows.
const MOST_TEXTS: usize = 10_000;

/// A tensor's elements from JSON, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct JsonElements {
    /// How many there are.
    pub(super) count: usize,
    /// The elements, where they are all whole numbers of 0…255.
    pub(super) numbers: Vec<u8>,
    /// The elements, where they are all text.
    pub(super) texts: Vec<Bytes>,
    /// The first element that is not a whole number of 0…255.
    pub(super) not_uint8: Option<String>,
    /// The first element that is not text.
    pub(super) not_text: Option<String>,
}

impl JsonElements {
    fn number(&mut self, number: Option<u8>, shown: impl fmt::Display) {
        if self.not_text.is_none() {
            self.not_text = Some(format!("element {} is {shown}", self.count));
            self.texts = Vec::new();
        }
        match number {
            Some(number) if self.not_uint8.is_none() => self.numbers.push(number),
            Some(_) => {}
            None => self.other_than_number(shown),
        }
        self.count += 1;
    }

    fn text(&mut self, text: &str) {
        self.other_than_number("text");
        if self.not_text.is_none() && self.count < MOST_TEXTS {
            self.texts.push(Bytes::copy_from_slice(text.as_bytes()));
        }
        self.count += 1;
    }

    fn other_than_number(&mut self, shown: impl fmt::Display) {
        if self.not_uint8.is_none() {
            self.not_uint8 = Some(format!("element {} is {shown}", self.count));
            self.numbers = Vec::new();
        }
    }
}

impl<'de> Deserialize<'de> for JsonElements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut elements = Self::default();
        deserializer.deserialize_seq(List(&mut elements))?;
        Ok(elements)
    }
}

/// Reads one list into the elements.
struct List<'a>(&'a mut JsonElements);

/// Reads one element, or a list of them, into the elements.
struct Item<'a>(&'a mut JsonElements);

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Item(self.0))?.is_some() {}
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a number, text, true, false, or a list of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        List(self.0).visit_seq(list)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.0.number(u8::try_from(number).ok(), number);
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.0.number(None, number);
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        // Clients in languages without whole numbers write 7.0.
        let whole = (0.0..=255.0).contains(&number) && number.fract() == 0.0;
        self.0.number(whole.then_some(number as u8), number);
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.0.number(None, value);
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.text(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> JsonElements {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn nested_lists_are_read_row_by_row() {
        let flat = read("[1,2,3,4]");
        assert_eq!((flat.numbers.as_slice(), flat.count), (&[1, 2, 3, 4][..], 4));
        assert_eq!(read("[[1,2],[[3],4.0]]"), flat);
        assert_eq!(read(r#"[["a"],["b"]]"#).texts, ["a", "b"]);
    }

    #[test]
    fn the_first_element_that_does_not_fit_is_remembered_and_all_are_counted() {
        for (json, shown) in [
            ("[1,256,-1]", "element 1 is 256"),
            ("[1,-2,3]", "element 1 is -2"),
            ("[[1],[0.5],[2]]", "element 1 is 0.5"),
            (r#"[1,2,"a"]"#, "element 2 is text"),
            ("[true,2,3]", "element 0 is true"),
        ] {
            let elements = read(json);
            assert_eq!(elements.not_uint8.as_deref(), Some(shown));
            assert_eq!((elements.count, elements.numbers.len()), (3, 0), "{json}");
        }
        assert_eq!(read(r#"["a",1]"#).not_text.as_deref(), Some("element 1 is 1"));
    }

    #[test]
    fn what_is_no_element_is_refused() {
        for json in ["7", "\"text\"", "[null]", "[{}]", "null"] {
            assert!(serde_json::from_str::<JsonElements>(json).is_err(), "{json}");
        }
        assert!(serde_json::from_str::<JsonElements>(&"[".repeat(100_000)).is_err());
    }
}
