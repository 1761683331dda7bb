//! Pieces of the page: tables, and a command as a shell takes it.

use super::{axis::number, svg::escape};

/// A cell of a table.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// Shown; escaped.
    text: String,
    /// What sorting goes by; none for text.
    value: Option<f64>,
}

impl Cell {
    pub(super) fn text(text: &str) -> Self {
        Self { text: escape(text), value: None }
    }

    /// A number; whole ones without a point.
    pub(super) fn number(value: f64) -> Self {
        let whole = value.fract() == 0.0 && value.abs() < 1e15;
        Self { text: if whole { format!("{value}") } else { number(value) }, value: Some(value) }
    }

    /// A number in 0…1 with three digits; an en dash where it is not known.
    pub(super) fn share(value: Option<f64>) -> Self {
        let known = value.filter(|value| value.is_finite());
        let text = known.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
        Self { text, value: Some(known.unwrap_or(f64::NEG_INFINITY)) }
    }
}

/// A table; the first cell of each row is its heading. A sortable one gets its buttons from the page's script.
pub(super) fn table(caption: &str, heads: &[&str], rows: Vec<Vec<Cell>>, sortable: bool) -> String {
    let numeric = |column: usize| rows.first().and_then(|row| row.get(column)).is_some_and(|cell| cell.value.is_some());
    let class = |number: bool| if number { r#" class="number""# } else { "" };
    let heads: String = heads
        .iter()
        .enumerate()
        .map(|(column, head)| format!(r#"<th scope="col"{}>{}</th>"#, class(numeric(column)), escape(head)))
        .collect();
    let cell = |(column, cell): (usize, &Cell)| {
        let value = cell.value.map(|value| format!(r#" data-value="{value}""#)).unwrap_or_default();
        let (class, text) = (class(cell.value.is_some()), &cell.text);
        if column == 0 {
            format!(r#"<th scope="row"{class}{value}>{text}</th>"#)
        } else {
            format!("<td{class}{value}>{text}</td>")
        }
    };
    let body: String =
        rows.iter().map(|row| format!("<tr>{}</tr>\n", row.iter().enumerate().map(cell).collect::<String>())).collect();
    let sortable = if sortable { r#" class="sortable""# } else { "" };
    format!(
        r#"<div class="scroll" tabindex="0" role="region" aria-label="{caption}"><table{sortable}><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>
{body}</tbody></table></div>"#,
        caption = escape(caption)
    )
}

/// A command line as a POSIX shell takes it.
pub(super) fn shell(command: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    let quote = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    command.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_the_very_words() {
        let words = ["printf", "%s\\n", "", "it's", "a b", "$HOME", "--x=1,2", "*", "line\nbreak", "é;rm"];
        let command: Vec<String> = words.map(str::to_owned).to_vec();
        let output = std::process::Command::new("sh").arg("-c").arg(shell(&command)).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, words[2..].iter().map(|word| format!("{word}\n")).collect::<String>());
    }

    #[test]
    fn unknown_numbers_are_dashes_and_sort_below_all() {
        let html = table("<caption>", &["a", "b"], vec![vec![Cell::text("<b>"), Cell::share(None)]], true);
        assert!(html.contains("&lt;b&gt;") && html.contains("&lt;caption&gt;"));
        assert!(html.contains(r#"data-value="-inf">–<"#), "{html}");
    }
}
