//! A structure that JSON has to write as an object.
//!
//! serde takes a list of a structure's members, in their order, for the structure too: `["YQ==", null, null]` would be a picture.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// What an object says.
#[derive(Debug)]
pub(in crate::serve) struct Object<T>(pub(in crate::serve) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectOnly(PhantomData))
    }
}

struct ObjectOnly<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectOnly<T> {
    type Value = Object<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named {
        name: String,
        #[serde(default)]
        parts: Vec<Object<Named>>,
    }

    fn said(text: &str) -> String {
        match serde_json::from_str(text) {
            Ok(Object(Named { name, parts })) => format!("{name}: {}", parts.len()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_object_is_taken_and_a_list_of_its_members_is_not() {
        assert_eq!(said(r#"{"name": "a", "parts": [{"name": "b"}]}"#), "a: 1");
        for list in [r#"["a", []]"#, r#" ["a", []]"#, r#"{"name": "a", "parts": [["b", []]]}"#] {
            assert!(said(list).starts_with("invalid type: sequence, expected an object at line 1 column"), "{list}");
        }
    }

    #[test]
    fn what_else_is_wrong_is_said_with_its_place() {
        assert_eq!(said(r#"{"name": 3}"#), "invalid type: integer `3`, expected a string at line 1 column 10");
        assert!(said(r#"{"title": "a"}"#).starts_with("unknown field `title`, expected `name` or `parts` at line 1"));
        assert_eq!(said(r#"{"parts": []}"#), "missing field `name` at line 1 column 13");
    }
}
