//! Counts and lists in sentences.

/// A few names, and how many there are besides.
pub(super) fn some_of<S: AsRef<str>>(names: &[S], shown: usize) -> String {
    let list = names.iter().take(shown).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if names.len() > shown { format!("{list} and {} more", names.len() - shown) } else { list }
}

/// "1 picture" or "3 pictures".
pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
