//! Settings of what is remembered of answers.

use std::time::Duration;

use super::{Settings, reader::Reader};
use crate::store::Database;

/// Which answers are remembered, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordSettings {
    /// The share of pictures whose answers are remembered; 0 remembers none.
    pub share: f64,
    /// How long they are kept, unless somebody corrects them.
    pub keep: Duration,
    /// Where their pictures are kept: a folder, or an address in an object store; none keeps no picture.
    pub pictures: Option<String>,
}

impl Default for RecordSettings {
    /// Nothing; for 30 days; no picture.
    fn default() -> Self {
        Self { share: 0.0, keep: days(30.0), pictures: None }
    }
}

impl RecordSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let defaults = Self::default();
        let number = |range: std::ops::RangeInclusive<f64>, wanted: &'static str| {
            move |text: &str| match text.trim().parse::<f64>() {
                Ok(number) if range.contains(&number) => Ok(number),
                _ => Err(format!("{text:?} is not {wanted}")),
            }
        };
        Self {
            share: reader.value("record_share", defaults.share, number(0.0..=1.0, "a share from 0 to 1")),
            keep: days(reader.value("record_days", 30.0, number(0.001..=36_500.0, "days from 0.001 to 36500"))),
            pictures: reader.text("record_pictures").filter(|place| !place.trim().is_empty()),
        }
    }

    /// As it is typed.
    pub(super) fn days(&self) -> String {
        (self.keep.as_secs_f64() / 86_400.0).to_string()
    }
}

fn days(days: f64) -> Duration {
    Duration::from_secs_f64(days * 86_400.0)
}

/// What one setting alone does not tell.
pub(super) fn check(settings: &Settings, reader: &mut Reader) {
    if settings.record.share > 0.0 && settings.database == Database::None {
        reader.mistakes.push("record_share: answers are remembered in a database, and database is none".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::settings::ServeArgs;

    #[test]
    fn what_is_remembered_is_set_as_text_and_needs_a_database() {
        let given = [("record_share", "0.25"), ("record_days", "7"), ("record_pictures", "s3://bucket/pictures")];
        let settings = Settings::resolve(ServeArgs::typed(given)).unwrap().settings;
        let expected = RecordSettings { share: 0.25, keep: days(7.0), pictures: Some("s3://bucket/pictures".into()) };
        assert_eq!(settings.record, expected);
        let wrong = [("record_share", "2"), ("record_days", "0")];
        assert_eq!(Settings::resolve(ServeArgs::typed(wrong)).unwrap_err().0.len(), 2);
        let error = Settings::resolve(ServeArgs::typed([("record_share", "1"), ("database", "none")])).unwrap_err();
        assert!(error.to_string().contains("record_share: "), "{error}");
    }
}
