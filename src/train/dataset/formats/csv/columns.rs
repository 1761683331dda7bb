//! What a table's columns mean, from its header.

use crate::train::dataset::TaskKind;

/// The column that says which split a picture belongs to.
const IS_VALID: &str = "is_valid";
/// The column with the picture's file, unless the first one is it.
const FILE: &str = "fname";

/// What a table's columns mean; all are indices into a row's fields.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// Every column's name.
    pub(super) names: Vec<String>,
    /// The picture's file.
    pub(super) file: usize,
    /// Which split it belongs to.
    pub(super) is_valid: Option<usize>,
    /// Which group it belongs to.
    pub(super) group: Option<usize>,
    /// What a model should answer.
    pub(super) targets: TargetColumns,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum TargetColumns {
    /// One column with the labels, separated by a delimiter.
    Delimited(usize),
    /// A 0/1 column for each label.
    OneHot(Vec<usize>),
    /// One column with one label.
    Label(usize),
    /// A column for each named number.
    Values(Vec<usize>),
    /// x and y of each named point.
    Points(Vec<(String, usize, usize)>),
}

/// Reads a header; `group` is the name of the column with groups.
///
/// # Errors
/// A sentence on what is wrong.
pub(super) fn read(names: Vec<String>, task: TaskKind, group: Option<&str>) -> Result<Columns, String> {
    if let Some(name) = names.iter().enumerate().find_map(|(i, name)| names[..i].contains(name).then_some(name)) {
        return Err(format!("the header has column {name:?} twice"));
    }
    let file = names.iter().position(|name| name == FILE).unwrap_or(0);
    let is_valid = names.iter().position(|name| name == IS_VALID);
    let group = match group {
        Some(wanted) => Some(names.iter().position(|name| name == wanted).ok_or_else(|| {
            format!("the header has no column {wanted:?} for --group-column; its columns are {}", names.join(", "))
        })?),
        None => None,
    };
    let rest: Vec<usize> = (0..names.len()).filter(|&i| i != file && Some(i) != is_valid && Some(i) != group).collect();
    if let Some(unnamed) = rest.iter().find(|&&column| names[column].is_empty()) {
        return Err(format!(
            "column {} has no name; pandas writes its index so: write the table with index=False",
            unnamed + 1
        ));
    }
    let targets = match task {
        TaskKind::MultiLabel => match rest[..] {
            [] => return Err(format!("the header has no column with labels: {FILE},labels,{IS_VALID} is expected")),
            [labels] => TargetColumns::Delimited(labels),
            _ => TargetColumns::OneHot(rest),
        },
        TaskKind::SingleLabel => match rest[..] {
            [label] => TargetColumns::Label(label),
            _ => {
                return Err(format!(
                    "the header has {} columns that could be the label: {FILE},label,{IS_VALID} is expected",
                    rest.len()
                ));
            }
        },
        TaskKind::Points => TargetColumns::Points(pair_up(&names, &rest)?),
        TaskKind::Values if rest.is_empty() => {
            return Err(format!("the header has no column with values: {FILE},age,weight,…,{IS_VALID} is expected"));
        }
        TaskKind::Values => TargetColumns::Values(rest),
    };
    Ok(Columns { names, file, is_valid, group, targets })
}

/// Columns x0,y0,x1,y1,… name their points "0","1",…; nose_x,nose_y name theirs "nose".
fn pair_up(names: &[String], columns: &[usize]) -> Result<Vec<(String, usize, usize)>, String> {
    if columns.is_empty() {
        return Err(format!("the header has no points: {FILE},x0,y0,x1,y1,…,{IS_VALID} is expected"));
    }
    let mut points = Vec::new();
    for pair in columns.chunks(2) {
        let name = match *pair {
            [x, y] => point_name(&names[x], &names[y]).ok_or_else(|| {
                format!(
                    "columns {:?} and {:?} are no point: x0,y0,x1,y1,… or nose_x,nose_y,… is expected",
                    names[x], names[y]
                )
            })?,
            _ => return Err(format!("column {:?} has no partner: a point has an x and a y", names[pair[0]])),
        };
        points.push((name, pair[0], pair[1]));
    }
    Ok(points)
}

fn point_name(x: &str, y: &str) -> Option<String> {
    let numbered = x.strip_prefix('x').filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    let (name, partner) = match numbered {
        Some(number) => (number, format!("y{number}")),
        None => x.strip_suffix("_x").map(|name| (name, format!("{name}_y")))?,
    };
    (!name.is_empty() && y == partner).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str, task: TaskKind) -> Result<Columns, String> {
        read(text.split(',').map(str::to_owned).collect(), task, None)
    }

    #[test]
    fn one_column_of_labels_is_delimited_and_several_are_one_for_each_label() {
        let columns = header("fname,labels,is_valid", TaskKind::MultiLabel).unwrap();
        assert_eq!((columns.file, columns.is_valid), (0, Some(2)));
        assert_eq!(columns.targets, TargetColumns::Delimited(1));
        let columns = header("is_valid,cat,fname,dog", TaskKind::MultiLabel).unwrap();
        assert_eq!((columns.file, columns.is_valid), (2, Some(0)));
        assert_eq!(columns.targets, TargetColumns::OneHot(vec![1, 3]));
    }

    #[test]
    fn points_take_their_names_from_the_header() {
        let columns = header("picture,x0,y0,nose_x,nose_y", TaskKind::Points).unwrap();
        assert_eq!(columns.is_valid, None);
        let expected = TargetColumns::Points(vec![("0".into(), 1, 2), ("nose".into(), 3, 4)]);
        assert_eq!(columns.targets, expected);
    }

    #[test]
    fn the_column_of_groups_is_no_target() {
        let names = ["fname", "person", "age"].map(str::to_owned).to_vec();
        let columns = read(names.clone(), TaskKind::Values, Some("person")).unwrap();
        assert_eq!((columns.group, columns.targets), (Some(1), TargetColumns::Values(vec![2])));
        assert!(read(names, TaskKind::Values, Some("who")).unwrap_err().contains("fname, person, age"));
    }

    #[test]
    fn headers_that_make_no_sense_are_refused_with_the_column() {
        for (text, task, named) in [
            ("fname,cat,cat", TaskKind::MultiLabel, "\"cat\" twice"),
            ("fname,is_valid", TaskKind::MultiLabel, "no column with labels"),
            ("fname,is_valid", TaskKind::Points, "no points"),
            ("fname,x0,y0,x1", TaskKind::Points, "\"x1\" has no partner"),
            ("fname,x0,y1", TaskKind::Points, "\"x0\" and \"y1\""),
            ("fname,x0,x1,y0,y1", TaskKind::Points, "\"x0\" and \"x1\""),
            ("fname,x,y", TaskKind::Points, "\"x\" and \"y\""),
            (",fname,age,is_valid", TaskKind::Values, "column 1 has no name"),
            ("fname,cat,,dog", TaskKind::MultiLabel, "column 3 has no name"),
        ] {
            let error = header(text, task).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
