//! Results as a Parquet table, for notebooks and databases: a row for each picture.
//!
//! Columns: `name`, `error` and `error_type` (null where the picture is answered), `width` and `height`; then for labels two lists
//! of equal length, `labels` and `scores`; for points `NAME.x` and `NAME.y` in pixels, for values `NAME`, or `value.NAME` for all of
//! them where one is called as a column before them is.

use std::{fs::File, sync::Arc};

use futures_util::TryStreamExt as _;
use parquet::{
    basic::{Compression, ConvertedType, LogicalType, Repetition, Type as Physical},
    data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type},
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::{Type, TypePtr},
};
use serde::{Deserialize, de::IgnoredAny};
use tokio::sync::AcquireError;

use super::temporary_file;
use crate::store::{Store, StoreError};

/// The most rows that are written together.
const ROWS_OF_A_GROUP: usize = 8192;
/// The most labels and numbers that are written together, which are in memory until then: some 30 MB of labels, 8 of points.
const CELLS_OF_A_GROUP: usize = 1 << 19;
/// The columns that every table has.
const FIRST_COLUMNS: [&str; 5] = ["name", "error", "error_type", "width", "height"];

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub(in crate::serve) enum TableError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a result cannot be read: {0}")]
    Line(#[from] serde_json::Error),
    #[error("the table cannot be written: {0}")]
    Parquet(#[from] ParquetError),
    #[error("the table cannot be written: {0}")]
    File(#[from] std::io::Error),
    #[error("the table cannot be written: {0}")]
    Panicked(#[from] tokio::task::JoinError),
    #[error("the table cannot be written: {0}")]
    NoTurn(#[from] AcquireError),
}

/// A result as its line has it: what of it goes into a table, and no more, since many are in memory together.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Row {
    name: String,
    picture: Option<Size>,
    error: Option<Failure>,
    labels: Option<Vec<Label>>,
    points: Option<Vec<Point>>,
    values: Option<Vec<Number>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Size {
    width: u32,
    height: u32,
}

#[derive(Debug, Deserialize)]
struct Failure {
    #[serde(rename = "type")]
    kind: String,
    detail: String,
}

/// Numbers that JSON does not have are null there.
#[derive(Clone, Debug, Deserialize)]
struct Label {
    label: String,
    score: Option<f64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Point {
    x: Option<f64>,
    y: Option<f64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Number {
    value: Option<f64>,
}

/// A result's line for the names of its numbers.
#[derive(Debug, Deserialize)]
struct NamedRow {
    labels: Option<IgnoredAny>,
    points: Option<Vec<Named>>,
    values: Option<Vec<Named>>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

/// Rows that are to be written together.
#[derive(Debug, Default)]
struct Group {
    rows: Vec<Row>,
    /// Their labels and numbers.
    cells: usize,
}

impl Group {
    fn add(&mut self, row: Row) {
        self.cells += row.cells();
        self.rows.push(row);
    }

    fn is_full(&self, most_cells: usize) -> bool {
        self.rows.len() >= ROWS_OF_A_GROUP || self.cells >= most_cells
    }
}

impl Row {
    fn cells(&self) -> usize {
        let [labels, points, values] = [
            self.labels.as_ref().map(Vec::len),
            self.points.as_ref().map(Vec::len),
            self.values.as_ref().map(Vec::len),
        ];
        labels.unwrap_or_default() + 2 * points.unwrap_or_default() + values.unwrap_or_default()
    }

    /// The number of a column: a value, or every second one a point's x and y.
    fn number(&self, index: usize) -> Option<f64> {
        if let Some(points) = &self.points {
            let point = points.get(index / 2)?;
            return if index.is_multiple_of(2) { point.x } else { point.y };
        }
        self.values.as_ref()?.get(index)?.value
    }
}

/// What the columns after the first ones are.
#[derive(Clone, Debug, Default, PartialEq)]
enum Columns {
    /// No picture was answered.
    #[default]
    None,
    Labels,
    /// A number each.
    Numbers(Vec<String>),
}

/// Writes a job's results into a file without a name, and gives it at its beginning.
///
/// # Errors
/// A database that fails, or a disk that is full.
pub(super) async fn write_table(store: &Store, job: &str) -> Result<File, TableError> {
    write_in_groups(store, job, CELLS_OF_A_GROUP).await
}

/// The same with at most about so many labels and numbers in memory.
async fn write_in_groups(store: &Store, job: &str, cells: usize) -> Result<File, TableError> {
    let columns = columns(store, job).await?;
    let file = temporary_file()?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(file.try_clone()?, schema(&columns)?, Arc::new(properties))?;
    let (mut pages, mut group) = (store.job_results(job), Group::default());
    while let Some(page) = pages.try_next().await? {
        for line in page.iter().flat_map(|lines| lines.lines()) {
            group.add(serde_json::from_str(line)?);
            if group.is_full(cells) {
                writer = write_group(writer, std::mem::take(&mut group), &columns).await?;
            }
        }
    }
    if !group.rows.is_empty() {
        writer = write_group(writer, group, &columns).await?;
    }
    tokio::task::spawn_blocking(move || {
        use std::io::{Seek as _, SeekFrom};
        writer.close()?;
        let mut file = file;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    })
    .await?
}

/// The columns that the first answer has.
async fn columns(store: &Store, job: &str) -> Result<Columns, TableError> {
    let mut pages = store.job_results(job);
    while let Some(page) = pages.try_next().await? {
        for line in page.iter().flat_map(|lines| lines.lines()) {
            let found = columns_of(serde_json::from_str(line)?);
            if found != Columns::None {
                return Ok(found);
            }
        }
    }
    Ok(Columns::None)
}

fn columns_of(line: NamedRow) -> Columns {
    match line {
        NamedRow { labels: Some(_), .. } => Columns::Labels,
        NamedRow { points: Some(points), .. } => Columns::Numbers(
            points.iter().flat_map(|Named { name }| [format!("{name}.x"), format!("{name}.y")]).collect(),
        ),
        NamedRow { values: Some(values), .. } => Columns::Numbers(value_columns(values)),
        NamedRow { .. } => Columns::None,
    }
}

/// All names are changed where one is taken, so that no two are the same. Many readers do not tell letters by their case.
fn value_columns(values: Vec<Named>) -> Vec<String> {
    let is_taken = |value: &Named| FIRST_COLUMNS.iter().any(|column| column.eq_ignore_ascii_case(&value.name));
    let prefix = if values.iter().any(is_taken) { "value." } else { "" };
    values.into_iter().map(|Named { name }| format!("{prefix}{name}")).collect()
}

fn schema(columns: &Columns) -> Result<TypePtr, ParquetError> {
    let [name, error, error_type, width, height] = FIRST_COLUMNS;
    let mut fields = vec![
        text(name, Repetition::REQUIRED)?,
        text(error, Repetition::OPTIONAL)?,
        text(error_type, Repetition::OPTIONAL)?,
        number(width, Physical::INT32, Repetition::OPTIONAL)?,
        number(height, Physical::INT32, Repetition::OPTIONAL)?,
    ];
    match columns {
        Columns::None => {}
        Columns::Labels => {
            fields.push(list("labels", text("element", Repetition::REQUIRED)?)?);
            fields.push(list("scores", number("element", Physical::DOUBLE, Repetition::REQUIRED)?)?);
        }
        Columns::Numbers(names) => {
            for name in names {
                fields.push(number(name, Physical::DOUBLE, Repetition::OPTIONAL)?);
            }
        }
    }
    Ok(Arc::new(Type::group_type_builder("results").with_fields(fields).build()?))
}

fn text(name: &str, repetition: Repetition) -> Result<TypePtr, ParquetError> {
    let builder = Type::primitive_type_builder(name, Physical::BYTE_ARRAY).with_repetition(repetition);
    let builder = builder.with_logical_type(Some(LogicalType::String)).with_converted_type(ConvertedType::UTF8);
    builder.build().map(Arc::new)
}

fn number(name: &str, kind: Physical, repetition: Repetition) -> Result<TypePtr, ParquetError> {
    Type::primitive_type_builder(name, kind).with_repetition(repetition).build().map(Arc::new)
}

/// A list as the format's specification has it: an optional group of a repeated group `list` of an `element`.
fn list(name: &str, element: TypePtr) -> Result<TypePtr, ParquetError> {
    let repeated = Type::group_type_builder("list").with_repetition(Repetition::REPEATED).with_fields(vec![element]);
    let group = Type::group_type_builder(name).with_repetition(Repetition::OPTIONAL);
    let group = group.with_logical_type(Some(LogicalType::List)).with_converted_type(ConvertedType::LIST);
    group.with_fields(vec![Arc::new(repeated.build()?)]).build().map(Arc::new)
}

async fn write_group(
    mut writer: SerializedFileWriter<File>,
    group: Group,
    columns: &Columns,
) -> Result<SerializedFileWriter<File>, TableError> {
    let columns = columns.clone();
    let write = move || {
        let mut row_group = writer.next_row_group()?;
        write_rows(&mut row_group, &group.rows, &columns)?;
        row_group.close()?;
        Ok(writer)
    };
    tokio::task::spawn_blocking(write).await?
}

/// Blocking.
fn write_rows(
    group: &mut SerializedRowGroupWriter<'_, File>,
    rows: &[Row],
    columns: &Columns,
) -> Result<(), ParquetError> {
    let names: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(row.name.as_str())).collect();
    write_column::<ByteArrayType>(group, &names, None, None)?;
    let failures = || rows.iter().map(|row| row.error.as_ref());
    optional::<ByteArrayType>(group, failures().map(|error| Some(ByteArray::from(error?.detail.as_str()))))?;
    optional::<ByteArrayType>(group, failures().map(|error| Some(ByteArray::from(error?.kind.as_str()))))?;
    let sizes = || rows.iter().map(|row| row.picture);
    optional::<Int32Type>(group, sizes().map(|size| i32::try_from(size?.width).ok()))?;
    optional::<Int32Type>(group, sizes().map(|size| i32::try_from(size?.height).ok()))?;
    match columns {
        Columns::None => {}
        Columns::Labels => {
            lists::<ByteArrayType>(group, rows, |label| ByteArray::from(label.label.as_str()))?;
            lists::<DoubleType>(group, rows, |label| label.score.unwrap_or(f64::NAN))?;
        }
        Columns::Numbers(names) => {
            for index in 0..names.len() {
                optional::<DoubleType>(group, rows.iter().map(|row| row.number(index)))?;
            }
        }
    }
    Ok(())
}

fn optional<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    cells: impl Iterator<Item = Option<T::T>>,
) -> Result<(), ParquetError> {
    let (mut values, mut definitions) = (Vec::new(), Vec::new());
    for cell in cells {
        definitions.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    write_column::<T>(group, &values, Some(&definitions), None)
}

/// A list of each row's labels. Definition levels: 0 no list (a failed picture), 1 an empty one, 2 an element; a repetition
/// level of 0 begins a row.
fn lists<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    rows: &[Row],
    element: impl Fn(&Label) -> T::T,
) -> Result<(), ParquetError> {
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        match &row.labels {
            Some(labels) if !labels.is_empty() => {
                for (index, label) in labels.iter().enumerate() {
                    values.push(element(label));
                    definitions.push(2);
                    repetitions.push(i16::from(index > 0));
                }
            }
            labels => {
                definitions.push(i16::from(labels.is_some()));
                repetitions.push(0);
            }
        }
    }
    write_column::<T>(group, &values, Some(&definitions), Some(&repetitions))
}

fn write_column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    definitions: Option<&[i16]>,
    repetitions: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("the schema has fewer columns than are written".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, definitions, repetitions)?;
    column.close()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use parquet::{
        file::reader::{FileReader as _, SerializedFileReader},
        record::Field,
    };

    use super::*;
    use crate::store::{
        Database,
        jobs::{NewJob, Outcome},
    };

    /// A table of these lines: the rows of each of its groups, its columns' names, and what stands in them, row by row.
    async fn table(lines: &[&str], cells: usize) -> (Vec<i64>, Vec<String>, Vec<Vec<Field>>) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Database::Sqlite(folder.path().join("test.db"))).await.unwrap().unwrap();
        let job = NewJob {
            id: "job".to_owned(),
            author: None,
            model: "faces".to_owned(),
            version: 1,
            selection: "{}".to_owned(),
            source: "zip".to_owned(),
            output: None,
            format: "jsonl".to_owned(),
        };
        store.add_job(&job, 1, vec!["[]".to_owned()]).await.unwrap();
        let lease = store.lease_task(&["faces/1".to_owned()], Duration::from_secs(60)).await.unwrap().unwrap();
        let results = lines.iter().map(|line| format!("{line}\n")).collect();
        assert!(store.finish_task(&lease, &Outcome::Predicted { answered: 1, failed: 0, results }).await.unwrap());
        let reader = SerializedFileReader::new(write_in_groups(&store, "job", cells).await.unwrap()).unwrap();
        let groups = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
        let fields = reader.metadata().file_metadata().schema().get_fields();
        let names = fields.iter().map(|field| field.name().to_owned()).collect();
        let rows = reader.get_row_iter(None).unwrap().map(Result::unwrap);
        (groups, names, rows.map(|row| row.get_column_iter().map(|(_, cell)| cell.clone()).collect()).collect())
    }

    #[tokio::test]
    async fn rows_are_written_before_their_numbers_are_many_and_stay_what_and_where_they_are() {
        let point = |x: f64| format!(r#"{{"name": "nose", "x": {x}, "y": null, "x_norm": 0.5, "y_norm": 0.5}}"#);
        let line = |name: &str, x: f64| {
            format!(r#"{{"name": "{name}", "picture": {{"width": 7, "height": 5}}, "points": [{}]}}"#, point(x))
        };
        let (first, second) = (line("a.png", 0.25), line("b.png", 1.5));
        let failed = r#"{"name": "c.txt", "error": {"type": "urn:kind", "title": "No", "detail": "no picture"}}"#;
        let (groups, names, rows) = table(&[failed, &first, &second, failed], 2).await;
        assert_eq!(groups, [2, 1, 1]);
        assert_eq!(names, ["name", "error", "error_type", "width", "height", "nose.x", "nose.y"]);
        let text = |text: &str| Field::Str(text.to_owned());
        let answered = |name, x| {
            vec![text(name), Field::Null, Field::Null, Field::Int(7), Field::Int(5), Field::Double(x), Field::Null]
        };
        let mut unanswered = vec![text("c.txt"), text("no picture"), text("urn:kind")];
        unanswered.resize(7, Field::Null);
        assert_eq!(rows, [unanswered.clone(), answered("a.png", 0.25), answered("b.png", 1.5), unanswered]);
    }

    #[test]
    fn a_group_is_full_by_its_rows_or_by_its_labels_and_numbers() {
        let label = Label { label: "red".to_owned(), score: Some(0.5) };
        let point = Point { x: Some(1.0), y: Some(2.0) };
        for (row, most) in [
            (Row::default(), ROWS_OF_A_GROUP),
            (Row { labels: Some(vec![label; 1024]), ..Row::default() }, 512),
            (Row { points: Some(vec![point; 68]), ..Row::default() }, CELLS_OF_A_GROUP.div_ceil(136)),
            (Row { values: Some(vec![Number { value: None }; 1024]), ..Row::default() }, 512),
        ] {
            let cells = row.cells();
            let group = |rows: usize| Group { rows: (0..rows).map(|_| Row::default()).collect(), cells: rows * cells };
            assert!(!group(most - 1).is_full(CELLS_OF_A_GROUP) && group(most).is_full(CELLS_OF_A_GROUP), "{row:?}");
        }
    }

    #[tokio::test]
    async fn values_that_are_called_as_other_columns_are_have_names_of_their_own() {
        let line = |name: &str| {
            let values = format!(r#"[{{"name": "age", "value": 31.5}}, {{"name": "{name}", "value": 2}}]"#);
            format!(r#"{{"name": "a.png", "picture": {{"width": 7, "height": 5}}, "values": {values}}}"#)
        };
        for (name, expected) in [
            ("weight", ["age", "weight"]),
            ("width", ["value.age", "value.width"]),
            ("Name", ["value.age", "value.Name"]),
        ] {
            let (_, names, rows) = table(&[&line(name)], CELLS_OF_A_GROUP).await;
            assert_eq!(names[5..], expected);
            assert_eq!(rows[0][3..], [Field::Int(7), Field::Int(5), Field::Double(31.5), Field::Double(2.0)]);
        }
    }
}
