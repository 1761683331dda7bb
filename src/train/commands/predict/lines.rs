//! The lines that `predict` writes.

use std::{borrow::Cow, io::Write, path::Path};

use serde::Serialize;

use super::FormatArg;
use crate::{
    answer::{Answer, LabelAnswer},
    model::Task,
    picture::PictureSize,
};

/// Writes a line for each picture.
pub(super) enum Lines {
    Json(Box<dyn Write>),
    Csv { writer: Box<csv::Writer<Box<dyn Write>>>, columns: usize },
}

/// A picture's line: its answer or its error.
#[derive(Serialize)]
struct Line<'a> {
    /// A name that is not UTF-8 with marks where it is not, which JSON has no bytes for.
    file: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<PictureSize>,
    #[serde(flatten)]
    answer: Option<&'a Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl Lines {
    /// Starts writing; a table begins with its header.
    pub(super) fn start(writer: Box<dyn Write>, format: FormatArg, task: &Task) -> anyhow::Result<Self> {
        if format == FormatArg::Jsonl {
            return Ok(Self::Json(writer));
        }
        let mut header = vec!["file".to_owned()];
        match task {
            Task::MultiLabel { labels } | Task::SingleLabel { labels } => {
                header.push("labels".to_owned());
                header.extend(labels.iter().map(|label| label.name.clone()));
            }
            Task::Points(points) => {
                header.extend(points.names.iter().flat_map(|name| [format!("{name}_x"), format!("{name}_y")]));
            }
            Task::Values(values) => header.extend(values.names.iter().cloned()),
        }
        header.push("error".to_owned());
        let mut writer = Box::new(csv::Writer::from_writer(writer));
        writer.write_record(&header)?;
        Ok(Self::Csv { writer, columns: header.len() })
    }

    /// The line of a picture that has an answer; `output` is what the answer was made from.
    pub(super) fn answer(
        &mut self,
        file: &Path,
        picture: PictureSize,
        answer: &Answer,
        output: &[f32],
    ) -> anyhow::Result<()> {
        let Self::Csv { writer, .. } = self else {
            let file = file.to_string_lossy();
            return self.json(&Line { file, picture: Some(picture), answer: Some(answer), error: None });
        };
        let mut record = vec![file.display().to_string()];
        match answer {
            Answer::Labels { labels } => {
                let names: Vec<&str> = labels.iter().map(|LabelAnswer { label, .. }| label.as_str()).collect();
                record.push(names.join(";"));
                record.extend(output.iter().map(f32::to_string));
            }
            Answer::Points { points } => {
                record.extend(points.iter().flat_map(|point| [point.x.to_string(), point.y.to_string()]));
            }
            Answer::Values { values } => record.extend(values.iter().map(|value| value.value.to_string())),
        }
        record.push(String::new());
        Ok(writer.write_record(&record)?)
    }

    /// The line of a picture that has none.
    pub(super) fn error(&mut self, file: &Path, reason: &str) -> anyhow::Result<()> {
        let Self::Csv { writer, columns } = self else {
            let file = file.to_string_lossy();
            return self.json(&Line { file, picture: None, answer: None, error: Some(reason) });
        };
        let mut record = vec![String::new(); *columns];
        record[0] = file.display().to_string();
        record[*columns - 1] = reason.to_owned();
        Ok(writer.write_record(&record)?)
    }

    /// Writes what is still in memory.
    pub(super) fn finish(self) -> std::io::Result<()> {
        match self {
            Self::Json(mut writer) => writer.flush(),
            Self::Csv { mut writer, .. } => writer.flush(),
        }
    }

    fn json(&mut self, line: &Line<'_>) -> anyhow::Result<()> {
        if let Self::Json(writer) = self {
            serde_json::to_writer(&mut *writer, line)?;
            writeln!(writer)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{answer::ValueAnswer, model::Values};

    #[cfg(unix)]
    #[test]
    fn a_file_whose_name_is_not_utf8_has_a_line_too() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
        let (folder, file) = (tempfile::tempdir().unwrap(), Path::new(OsStr::from_bytes(b"caf\xe9.jpg")));
        let task = Task::Values(Values { names: vec!["age".to_owned()], y_ranges: Vec::new() });
        for format in [FormatArg::Jsonl, FormatArg::Csv] {
            let out = folder.path().join("lines");
            let mut lines = Lines::start(Box::new(std::fs::File::create(&out).unwrap()), format, &task).unwrap();
            let answer = Answer::Values { values: vec![ValueAnswer { name: "age".to_owned(), value: 31.0 }] };
            lines.answer(file, PictureSize { width: 4, height: 3 }, &answer, &[31.0]).unwrap();
            lines.error(file, "gone").unwrap();
            lines.finish().unwrap();
            let written = std::fs::read_to_string(&out).unwrap();
            assert_eq!(written.matches("caf\u{fffd}.jpg").count(), 2, "{written}");
        }
    }
}
