//! The findings as text for people.

use std::fmt::{self, Display, Write as _};

use super::{Finding, Findings, Involved, Kind, Pair, Severity};

/// Files that are named for one finding.
const FILES: usize = 5;
/// Labels in the table of counts.
const LABELS: usize = 60;
/// Labels up to which the table of pairs is drawn; beyond, the most frequent pairs are listed.
const MATRIX: usize = 12;
/// Pairs in that list.
const PAIRS: usize = 15;
/// Errors that are spelt out.
const ERRORS: usize = 50;

impl Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pictures(f)?;
        self.counts(f)?;
        self.pairs(f)?;
        for (severity, title) in
            [(Severity::Error, "errors"), (Severity::Warning, "warnings"), (Severity::Note, "notes")]
        {
            let found: Vec<&Finding> = self.of_severity(severity).collect();
            if found.is_empty() && severity == Severity::Note {
                continue;
            }
            writeln!(f, "\n{title}: {}", if found.is_empty() { "none".to_owned() } else { found.len().to_string() })?;
            for finding in found.iter().take(ERRORS) {
                writeln!(f, "  {}", finding.message)?;
                // A row's message names its picture itself.
                if finding.kind != Kind::Row {
                    f.write_str(&finding.file_lines())?;
                }
            }
            if found.len() > ERRORS {
                writeln!(f, "  … and {} more", found.len() - ERRORS)?;
            }
        }
        Ok(())
    }
}

impl Finding {
    /// In one line, with the first of its files; the report names more.
    pub fn line(&self) -> String {
        let first = self.files.first().filter(|_| self.kind != Kind::Row);
        let Some(Involved { file, what }) = first else { return self.message.clone() };
        let what = what.as_deref().map(|what| format!(" {what}")).unwrap_or_default();
        let more = if self.files.len() > 1 { "; …" } else { "" };
        format!("{} ({file}{what}{more})", self.message)
    }

    /// The first files, a line each.
    fn file_lines(&self) -> String {
        let mut lines = String::new();
        for involved in self.files.iter().take(FILES) {
            let what = involved.what.as_deref().map(|what| format!("  {what}")).unwrap_or_default();
            let _ = writeln!(lines, "      {}{what}", involved.file);
        }
        if self.files.len() > FILES {
            let _ = writeln!(lines, "      … and {} more", self.files.len() - FILES);
        }
        lines
    }
}

impl Findings {
    fn pictures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.pictures;
        write!(f, "pictures: {} to train, {} to validate", counts.train, counts.valid)?;
        if let (Some((width, height)), Some((largest_width, largest_height))) = (counts.smallest, counts.largest) {
            write!(f, ", {width} × {height} to {largest_width} × {largest_height} pixels")?;
        }
        writeln!(f, ", {} turned by EXIF", counts.turned)
    }

    /// The table of labels; of points and values only those that are not given everywhere.
    fn counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = (self.pictures.train, self.pictures.valid);
        let has_labels = !matches!(self.task.noun(), "points" | "values");
        let shown: Vec<_> =
            self.targets.iter().filter(|count| has_labels || (count.train, count.valid) != total).collect();
        if shown.is_empty() {
            return writeln!(f, "{} {}, all of them given in every picture", self.targets.len(), self.task.noun());
        }
        let width = shown.iter().map(|count| count.name.chars().count()).max().unwrap_or(0).clamp(8, 32);
        writeln!(f, "\n{:<width$} {:>8} {:>8} {:>7}", self.task.noun(), "train", "valid", "share")?;
        for count in shown.iter().take(LABELS) {
            let share = 100.0 * (count.train + count.valid) as f64 / (total.0 + total.1).max(1) as f64;
            writeln!(f, "{:<width$} {:>8} {:>8} {share:>6.1}%", count.name, count.train, count.valid)?;
        }
        if shown.len() > LABELS {
            writeln!(f, "… and {} more", shown.len() - LABELS)?;
        }
        Ok(())
    }

    /// Which labels occur together: a table for a few labels, else the most frequent pairs.
    fn pairs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.together.is_empty() {
            return Ok(());
        }
        if self.targets.len() > MATRIX {
            writeln!(f, "\npictures with both labels: {} pairs occur, most often", self.together.len())?;
            let mut most = self.together.iter().take(PAIRS);
            return most
                .try_for_each(|Pair { labels: [one, other], count }| writeln!(f, "{count:>8}  {one} + {other}"));
        }
        let names: Vec<&str> = self.targets.iter().map(|count| count.name.as_str()).collect();
        let both = |one: &str, other: &str| {
            let pair = self.together.iter().find(|pair| pair.labels == [one, other] || pair.labels == [other, one]);
            pair.map_or(0, |pair| pair.count)
        };
        let short = |name: &str| name.chars().take(8).collect::<String>();
        writeln!(f, "\npictures with both labels")?;
        write!(f, "{:<8}", "")?;
        names.iter().try_for_each(|name| write!(f, " {:>8}", short(name)))?;
        writeln!(f)?;
        for count in &self.targets {
            write!(f, "{:<8}", short(&count.name))?;
            for other in &names {
                let number = if count.name == *other { count.train + count.valid } else { both(&count.name, other) };
                write!(f, " {number:>8}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
