//! README.md, docs/ and the others: their links, what is generated of them, and their commands.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::helpers::{installed, root, run};

/// Files below a folder with this ending.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found
}

/// Every document.
fn documents() -> Vec<PathBuf> {
    let top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = top.filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect();
    for folder in ["docs", "models", "samples"] {
        found.extend(files(&root().join(folder), "md"));
    }
    found
}

/// What stands between `before` and `after`, each time.
fn between<'a>(text: &'a str, before: &'a str, after: char) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).filter_map(move |rest| rest.split_once(after).map(|(inside, _)| inside))
}

/// The anchors that a page's headings have.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let slug = |heading: &str| {
        let kept = heading.to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(slug).collect()
}

#[test]
fn links_lead_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in between(&text, "](", ')').filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
            assert!(target.exists(), "{}: {link}", document.display());
            if !anchor.is_empty() {
                let headings = anchors(&fs::read_to_string(&target).unwrap());
                assert!(headings.contains(anchor), "{}: {link}", document.display());
            }
        }
    }
}

#[test]
fn the_book_has_every_page_and_its_links_lead_to_what_it_has() {
    let docs = root().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let listed: BTreeSet<PathBuf> = between(&summary, "](", ')').map(|page| docs.join(page)).collect();
    let pages: BTreeSet<PathBuf> =
        files(&docs, "md").into_iter().filter(|path| !path.ends_with("SUMMARY.md")).collect();
    assert_eq!(listed, pages);
    let book = tempfile::tempdir().unwrap();
    let said =
        run(Command::new(installed("mdbook")).arg("build").arg("--dest-dir").arg(book.path()).current_dir(root()));
    assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}");
    for page in files(book.path(), "html") {
        // Its links are for the place that it is served from.
        if page.ends_with("404.html") {
            continue;
        }
        let text = fs::read_to_string(&page).unwrap();
        for link in between(&text, "href=\"", '"').chain(between(&text, "src=\"", '"')) {
            let path = link.split('#').next().unwrap();
            if !path.is_empty() && !path.contains(':') {
                assert!(page.parent().unwrap().join(path).exists(), "{}: {link}", page.display());
            }
        }
    }
}

/// Of every structure that is written into a model file.
#[test]
fn each_field_of_the_manifest_is_documented() {
    let page = fs::read_to_string(root().join("docs/model-file.md")).unwrap();
    for file in ["src/model/manifest.rs", "src/model/reference.rs"] {
        let source = fs::read_to_string(root().join(file)).unwrap();
        for line in source.lines().filter_map(|line| line.trim().strip_prefix("pub ")) {
            let Some((name, _)) = line.split_once(": ") else { continue };
            if name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
                let forms = [format!("`{name}`"), format!("`{name}."), format!(".{name}`")];
                let known = forms.iter().any(|form| page.contains(form));
                assert!(known, "docs/model-file.md does not have {name} of {file}");
            }
        }
    }
}

/// The trainer is the second program that is asked.
#[cfg(feature = "train")]
#[test]
fn the_reference_is_what_programs_and_openapi_document_say() {
    let mut command = Command::new(installed("python"));
    run(command.arg(root().join("scripts/reference")).arg("--check").arg("--programs").arg(programs()));
}

#[cfg(feature = "train")]
#[test]
fn every_command_of_the_documents_runs() {
    run(Command::new(root().join("scripts/run-documents")).arg("--programs").arg(programs()));
}

/// The runner itself: what it must not pass over.
#[cfg(feature = "train")]
#[test]
fn a_command_that_fails_or_would_not_be_run_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("document.md");
    let said = |text: &str| {
        fs::write(&document, text).unwrap();
        let mut command = Command::new(root().join("scripts/run-documents"));
        let output = command.arg("--programs").arg(programs()).arg(&document).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said)
    };
    let expected = [
        ("```sh\ntagpoint models\n```\n", true, "1 blocks"),
        ("```sh\ntagpoint models --no-such-flag\ntrue\n```\n", false, "--no-such-flag"),
        ("```sh\ncurl http://127.0.0.1:8000/readyz\n```\n", false, "FAILED"),
        ("Text:\n\n    tagpoint models\n", false, "go between ```sh and ```"),
        ("<!-- not run -->\n```sh\ntagpoint models\n```\n", false, "why is it not run?"),
        ("<!-- not run: for a reason -->\n```sh\nfalse\n```\n", true, ""),
    ];
    for (text, succeeds, what) in expected {
        let (succeeded, said) = said(text);
        assert!(succeeded == succeeds && said.contains(what), "{text}: {said}");
    }
}

/// Where both programs lie.
#[cfg(feature = "train")]
fn programs() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_tagpoint")).parent().unwrap()
}
