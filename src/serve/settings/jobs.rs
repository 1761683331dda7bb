//! Settings of bulk jobs.

use std::time::Duration;

use super::{Settings, reader::Reader};
use crate::{serve::jobs::Address, store::Database};

/// What bulk jobs may do, and how this server works on them.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSettings {
    /// Tasks of jobs that this server works on at a time; 0 leaves them to others.
    pub workers: usize,
    /// Addresses in object stores, or folders, below which a job may read pictures.
    pub sources: Vec<Address>,
    /// Those below which a job may write its results.
    pub outputs: Vec<Address>,
    /// Where uploaded pictures are kept until their job is forgotten: a folder, or an address in an object store.
    pub files: Option<String>,
    /// The most bytes of an upload.
    pub max_bytes: u64,
    /// The most pictures of a job.
    pub max_pictures: usize,
    /// How long a job is kept that has come to an end.
    pub keep: Duration,
    /// How long a task belongs to a server that is not heard of.
    pub lease: Duration,
}

impl Default for JobSettings {
    /// One task at a time; nothing is read or written elsewhere; 1 GiB, 100,000 pictures, 30 days, 30 seconds.
    fn default() -> Self {
        Self {
            workers: 1,
            sources: Vec::new(),
            outputs: Vec::new(),
            files: None,
            max_bytes: 1 << 30,
            max_pictures: 100_000,
            keep: Duration::from_secs(30 * DAY),
            lease: Duration::from_secs(30),
        }
    }
}

const DAY: u64 = 86_400;

impl JobSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let defaults = Self::default();
        let files = reader.text("job_files").filter(|place| !place.trim().is_empty());
        Self {
            workers: reader.number("job_workers", 0..=64, defaults.workers),
            sources: reader.list("job_sources", defaults.sources),
            outputs: reader.list("job_outputs", defaults.outputs),
            files,
            max_bytes: reader.number("max_job_bytes", 1..=1 << 40, defaults.max_bytes),
            max_pictures: reader.number("max_job_pictures", 1..=10_000_000, defaults.max_pictures),
            keep: Duration::from_secs(DAY * reader.number("job_days", 1..=36_500, defaults.keep.as_secs() / DAY)),
            lease: reader.seconds("job_lease_s", 1.0..=3600.0, defaults.lease),
        }
    }

    /// As it is typed.
    pub(super) fn days(&self) -> String {
        (self.keep.as_secs() / DAY).to_string()
    }
}

impl Settings {
    /// Where uploaded pictures are kept: as the settings say, else a folder beside SQLite's file. None with a database that
    /// others share, where they must be told of a place that they share, too.
    pub(in crate::serve) fn job_files(&self) -> Option<String> {
        let beside = || match &self.database {
            Database::Sqlite(file) => Some(file.with_extension("jobs").to_string_lossy().into_owned()),
            Database::Postgres(_) | Database::None => None,
        };
        self.jobs.files.clone().or_else(beside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::settings::ServeArgs;

    #[test]
    fn uploads_lie_beside_a_database_file_and_where_the_settings_say() {
        let files = |database: &'static str, files: &'static str| {
            let given = [("database", database), ("job_files", files)];
            Settings::resolve(ServeArgs::typed(given)).unwrap().settings.job_files()
        };
        assert_eq!(files("/srv/tagpoint.db", "").as_deref(), Some("/srv/tagpoint.jobs"));
        assert_eq!(files("postgres://u@h/d", ""), None);
        assert_eq!(files("postgres://u@h/d", "s3://bucket/jobs").as_deref(), Some("s3://bucket/jobs"));
    }

    #[test]
    fn addresses_are_read_as_a_list_and_mistakes_are_named() {
        let given = [("job_sources", "s3://bucket/photos, file:///srv/photos"), ("job_outputs", "gs://results")];
        let jobs = Settings::resolve(ServeArgs::typed(given)).unwrap().settings.jobs;
        assert_eq!((jobs.sources.len(), jobs.outputs.len()), (2, 1));
        let error = Settings::resolve(ServeArgs::typed([("job_sources", "photos"), ("job_lease_s", "0")])).unwrap_err();
        assert_eq!(error.0.len(), 2, "{error}");
    }
}
