//! scripts/release and scripts/compatible, on a copy of the repository's files.

use std::{fs, path::Path, process::Command};

use crate::helpers::{installed, root, run};

/// A repository with what a release looks at, committed.
struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        for folder in ["scripts", "deploy/kubernetes", ".deps"] {
            fs::create_dir_all(copy.path().join(folder)).unwrap();
        }
        for file in [
            "Cargo.toml",
            "Cargo.lock",
            "openapi.yaml",
            "CHANGELOG.md",
            "Makefile",
            "deploy/kubernetes/deployment.yaml",
            "deploy/kubernetes/kustomization.yaml",
            "scripts/release",
            "scripts/compatible",
        ] {
            fs::copy(root().join(file), copy.path().join(file)).unwrap();
        }
        std::os::unix::fs::symlink(root().join(".deps/python"), copy.path().join(".deps/python")).unwrap();
        fs::write(copy.path().join(".gitignore"), "/.deps\n").unwrap();
        copy.git(&["init", "--quiet"]);
        copy.edit("CHANGELOG.md", "## Unreleased", concat!("## Unreleased\n\n## ", env!("CARGO_PKG_VERSION")));
        copy
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn git(&self, words: &[&str]) {
        let identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"];
        run(Command::new("git").args(identity).args(words).current_dir(self.path()));
    }

    /// Changes the first such text of a file and commits.
    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "an edit"]);
    }

    /// Writes another version to wherever it stands.
    fn set_version(&self, old: &str, new: &str) {
        for (file, before) in [
            ("Cargo.toml", "version = \""),
            ("Cargo.lock", "name = \"tagpoint\"\nversion = \""),
            ("openapi.yaml", "  version: "),
            ("deploy/kubernetes/deployment.yaml", "image: tagpoint:"),
            ("deploy/kubernetes/kustomization.yaml", "newTag: "),
        ] {
            self.edit(file, &format!("{before}{old}"), &format!("{before}{new}"));
        }
        self.edit("CHANGELOG.md", "## Unreleased", &format!("## Unreleased\n\n## {new}"));
    }

    /// Whether a version could be released, and what was said.
    fn release(&self, version: &str) -> (bool, String) {
        self.release_without(version, "audit,sbom")
    }

    fn release_without(&self, version: &str, steps: &str) -> (bool, String) {
        let mut command = Command::new("python3");
        command.arg(self.path().join("scripts/release")).args([version, "--dry-run", "--skip", steps]);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said)
    }
}

#[test]
fn a_version_is_released_once_everything_says_the_same() {
    let (copy, version) = (Copy::new(), env!("CARGO_PKG_VERSION"));
    let (could, said) = copy.release(version);
    assert!(could && said.contains("could be tagged"), "{said}");
    let (could, said) = copy.release("9.0.0");
    assert!(!could, "{said}");
    for place in ["Cargo.toml", "Cargo.lock", "openapi.yaml", "CHANGELOG.md", "deployment.yaml", "kustomization.yaml"] {
        assert!(said.contains(&format!("{place} says {version}, not 9.0.0")), "{place}: {said}");
    }
    fs::write(copy.path().join("Cargo.toml"), "").unwrap();
    assert!(copy.release(version).1.contains("not committed"));
    assert!(!copy.release("1.0").0);
}

#[test]
fn what_breaks_clients_needs_more_than_a_patch() {
    let (copy, version) = (Copy::new(), env!("CARGO_PKG_VERSION"));
    copy.git(&["tag", &format!("v{version}")]);
    assert!(copy.release(version).1.contains("is there already"));
    let [major, minor, patch] = version.split('.').map(|part| part.parse::<u32>().unwrap()).collect::<Vec<_>>()[..]
    else {
        panic!("{version}");
    };
    let next_patch = format!("{major}.{minor}.{}", patch + 1);
    let breaking = if major == 0 { format!("0.{}.0", minor + 1) } else { format!("{}.0.0", major + 1) };
    copy.set_version(version, &next_patch);
    let (could, said) = copy.release(&next_patch);
    assert!(could && said.contains("nothing breaks"), "{said}");
    // An address goes.
    copy.edit("openapi.yaml", "  /v1/models:\n", "  /v1/models_of_old:\n");
    let (could, said) = copy.release(&next_patch);
    assert!(!could && said.contains("GET /v1/models: is gone"), "{said}");
    assert!(said.contains(&format!("at least {breaking}")), "{said}");
    copy.set_version(&next_patch, &breaking);
    assert!(copy.release(&breaking).0);
}

#[test]
fn tags_of_others_count_and_those_that_are_no_versions_do_not() {
    let (copy, version) = (Copy::new(), env!("CARGO_PKG_VERSION"));
    copy.git(&["tag", "v999.0.0-rc1"]);
    let (could, said) = copy.release(version);
    assert!(could && said.contains("no release before this one"), "{said}");
    // Somebody else has released it.
    let others = tempfile::tempdir().unwrap();
    let path = others.path().to_str().unwrap();
    copy.git(&["clone", "--quiet", "--bare", ".", path]);
    copy.git(&["--git-dir", path, "tag", &format!("v{version}")]);
    copy.git(&["remote", "add", "origin", path]);
    let (could, said) = copy.release(version);
    assert!(!could && said.contains("is there already"), "{said}");
    drop(others);
    let (could, said) = copy.release(version);
    assert!(!could && said.contains("git fetch --tags failed"), "{said}");
}

/// A program in the place of cargo-deny, which needs GitHub for that.
#[test]
fn a_version_with_a_known_hole_is_not_released() {
    let (copy, version) = (Copy::new(), env!("CARGO_PKG_VERSION"));
    let programs = copy.path().join(".deps/cargo/bin");
    fs::create_dir_all(&programs).unwrap();
    let deny = programs.join("cargo-deny");
    for (status, expected) in [("0", true), ("1", false)] {
        let program = format!("#!/bin/sh\ncase \"$*\" in *advisories*) exit {status};; esac\n");
        // By a shell: what a test that starts programs at the same time has open for writing cannot be run.
        let write = "printf %s \"$1\" > \"$0\" && chmod +x \"$0\"";
        run(Command::new("sh").args(["-c", write]).arg(&deny).arg(program));
        let (could, said) = copy.release_without(version, "sbom");
        assert_eq!(could, expected, "{said}");
    }
}

/// What is said of openapi.yaml after an edit in Python of it, `d`; and whether clients go on working.
fn compared(edit: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let edited = folder.path().join("new.yaml");
    let program = format!(
        "import json, sys, yaml; d = yaml.load(open(sys.argv[1]), yaml.CSafeLoader); {edit}; json.dump(d, open(sys.argv[2], 'w'))"
    );
    run(Command::new(installed("python")).args(["-c", &program]).arg(root().join("openapi.yaml")).arg(&edited));
    let mut command = Command::new(installed("python"));
    command.arg(root().join("scripts/compatible")).arg(root().join("openapi.yaml")).arg(&edited);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

/// Each edit of the document, and what it breaks.
#[test]
fn the_comparison_finds_what_breaks_clients_and_nothing_else() {
    let edits = [
        ("del d['paths']['/v1/models/{name}/predict']['post']['requestBody']['content']['image/*']", "image/* is gone"),
        ("del d['components']['schemas']['Health']['properties']['status']", "field status is gone"),
        ("d['components']['schemas']['Health']['required'] = []", "field status is no longer always there"),
        ("d['components']['schemas']['HealthName']['type'] = 'integer'", "was string, is integer"),
        (
            "d['paths']['/v1/models']['get']['parameters'] = [{'name': 'x', 'in': 'query', 'required': True, 'schema': {}}]",
            "parameter x is needed now",
        ),
        ("d['paths']['/v1/models/{name}/predict']['post']['parameters'].pop(1)", "parameter all is gone"),
        ("del d['paths']['/v1/models']['get']['responses']['200']", "no longer answers 200"),
        // These break nobody.
        ("d['paths']['/v1/new'] = d['paths']['/v1/models']", "nothing breaks"),
        ("d['components']['schemas']['Health']['properties']['more'] = {'type': 'string'}", "nothing breaks"),
        ("d['paths']['/v1/models']['get']['description'] = 'other words'", "nothing breaks"),
    ];
    for (edit, expected) in edits {
        let (works, said) = compared(edit);
        assert!(said.contains(expected), "{edit}: {said}");
        assert_eq!(works, expected == "nothing breaks", "{edit}");
    }
}

/// All in one document.
#[test]
fn what_is_no_longer_taken_breaks_clients_and_what_is_taken_beside_does_not() {
    let url = "d['components']['schemas']['UrlJson']['properties']['url']";
    let threshold = "d['paths']['/v1/models/{name}/predict']['post']['parameters'][2]['schema']";
    let narrower = [
        (format!("{url}['enum'] = ['a']"), "body.url: takes a only"),
        (format!("{url}['maxLength'] = 10"), "body.url: maxLength is 10 now"),
        (format!("{url}['minLength'] = 1"), "body.url: minLength is 1 now"),
        (format!("{url}['pattern'] = '^https'"), "body.url: pattern is ^https now"),
        (format!("{threshold}['maximum'] = .5"), "parameter threshold: maximum is 0.5 now"),
        (format!("{threshold}['minimum'] = .1"), "parameter threshold: minimum is 0.1 now"),
        (
            "d['components']['schemas']['InferRequest']['additionalProperties'] = False".to_owned(),
            "takes no other fields now",
        ),
        (
            "d['paths']['/v1/models']['get']['security'].remove({})".to_owned(),
            "GET /v1/models: no longer answers with no key",
        ),
        (
            "d['paths']['/healthz']['get']['security'] = [{'bearer': []}]".to_owned(),
            "GET /healthz: no longer answers with no key",
        ),
        (
            "del d['paths']['/v1/models/{name}']['get']['security'][0]".to_owned(),
            "GET /v1/models/{name}: no longer answers with bearer",
        ),
        (
            "del d['paths']['/healthz']['get']['responses']['200']['headers']['x-request-id']".to_owned(),
            "GET /healthz, 200: header x-request-id is gone",
        ),
    ];
    let (works, said) = compared(&narrower.each_ref().map(|(edit, _)| edit.as_str()).join("; "));
    assert!(!works);
    for (edit, expected) in &narrower {
        assert!(said.contains(expected), "{edit}: {said}");
    }
    let wider = [
        "del d['paths']['/v1/models']['get']['security']",
        "del d['components']['schemas']['UrlJson']['additionalProperties']",
        &format!("{threshold}['maximum'] = 2"),
        &format!("del {threshold}['minimum']"),
    ];
    let (works, said) = compared(&wider.join("; "));
    assert!(works && said == "nothing breaks\n", "{said}");
}
