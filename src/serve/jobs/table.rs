//! Results as a Parquet table, for notebooks and databases: a row for each picture.
//!
//! Columns: `name`, `error` and `error_type` (null where the picture is answered), `width` and `height`; then for labels two lists
//! of equal length, `labels` and `scores`; for points `NAME.x` and `NAME.y` in pixels, for values `NAME`.

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
use serde_json::Value;

use crate::store::{Store, StoreError};

/// Rows that are written together.
const ROWS_OF_A_GROUP: usize = 8192;

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
pub(in crate::serve) async fn write_table(store: &Store, job: &str) -> Result<File, TableError> {
    let columns = columns(store, job).await?;
    let file = tempfile::tempfile()?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(file.try_clone()?, schema(&columns)?, Arc::new(properties))?;
    let (mut pages, mut rows, mut ended) = (store.job_results(job), Vec::new(), false);
    while !ended {
        let page = pages.try_next().await?;
        ended = page.is_none();
        for lines in page.unwrap_or_default() {
            rows.extend(lines.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?);
        }
        if rows.len() >= ROWS_OF_A_GROUP || (ended && !rows.is_empty()) {
            let (group, columns) = (std::mem::take(&mut rows), columns.clone());
            let write = move || write_group(writer, &group, &columns);
            writer = tokio::task::spawn_blocking(write).await??;
        }
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
            let found = columns_of(&serde_json::from_str(line)?);
            if found != Columns::None {
                return Ok(found);
            }
        }
    }
    Ok(Columns::None)
}

fn columns_of(line: &Value) -> Columns {
    let names = |list: &Value, suffixes: &[&str]| {
        let items = list.as_array().into_iter().flatten();
        let names = items.filter_map(|item| item["name"].as_str());
        names.flat_map(|name| suffixes.iter().map(move |suffix| format!("{name}{suffix}"))).collect()
    };
    match line {
        line if line["labels"].is_array() => Columns::Labels,
        line if line["points"].is_array() => Columns::Numbers(names(&line["points"], &[".x", ".y"])),
        line if line["values"].is_array() => Columns::Numbers(names(&line["values"], &[""])),
        _ => Columns::None,
    }
}

fn schema(columns: &Columns) -> Result<TypePtr, ParquetError> {
    let mut fields = vec![
        text("name", Repetition::REQUIRED)?,
        text("error", Repetition::OPTIONAL)?,
        text("error_type", Repetition::OPTIONAL)?,
        number("width", Physical::INT32, Repetition::OPTIONAL)?,
        number("height", Physical::INT32, Repetition::OPTIONAL)?,
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

fn write_group(
    mut writer: SerializedFileWriter<File>,
    rows: &[Value],
    columns: &Columns,
) -> Result<SerializedFileWriter<File>, TableError> {
    let mut group = writer.next_row_group()?;
    let names: Vec<ByteArray> = rows.iter().map(|row| bytes(&row["name"]).unwrap_or_default()).collect();
    write_column::<ByteArrayType>(&mut group, &names, None, None)?;
    for field in ["detail", "type"] {
        optional::<ByteArrayType>(&mut group, rows.iter().map(|row| bytes(&row["error"][field])))?;
    }
    for side in ["width", "height"] {
        let side = |row: &Value| i32::try_from(row["picture"][side].as_i64()?).ok();
        optional::<Int32Type>(&mut group, rows.iter().map(side))?;
    }
    match columns {
        Columns::None => {}
        Columns::Labels => {
            lists::<ByteArrayType>(&mut group, rows, |label| bytes(&label["label"]).unwrap_or_default())?;
            lists::<DoubleType>(&mut group, rows, |label| label["score"].as_f64().unwrap_or(f64::NAN))?;
        }
        Columns::Numbers(names) => {
            for index in 0..names.len() {
                optional::<DoubleType>(&mut group, rows.iter().map(|row| number_at(row, index)))?;
            }
        }
    }
    group.close()?;
    Ok(writer)
}

fn bytes(value: &Value) -> Option<ByteArray> {
    value.as_str().map(ByteArray::from)
}

/// The number of a column: a value, or every second one a point's x and y.
fn number_at(row: &Value, index: usize) -> Option<f64> {
    if let Some(points) = row["points"].as_array() {
        let side = if index.is_multiple_of(2) { "x" } else { "y" };
        return points.get(index / 2)?[side].as_f64();
    }
    row["values"].as_array()?.get(index)?["value"].as_f64()
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
    rows: &[Value],
    element: impl Fn(&Value) -> T::T,
) -> Result<(), ParquetError> {
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        match row["labels"].as_array() {
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
