//! deploy/systemd/tagpoint.service.

use std::{fs, process::Command};

use crate::helpers::{Server, get, installed, root, run, tagpoint};

fn unit() -> String {
    fs::read_to_string(root().join("deploy/systemd/tagpoint.service")).unwrap()
}

#[test]
fn systemd_takes_the_unit_and_finds_little_exposed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tagpoint.service");
    // The program where it lies here: systemd looks for it.
    fs::write(&path, unit().replace("/opt/tagpoint/bin/tagpoint", env!("CARGO_BIN_EXE_tagpoint"))).unwrap();
    let said = run(Command::new("systemd-analyze").arg("verify").arg(&path));
    assert!(!said.contains("tagpoint.service"), "{said}");
    // Tenths: 1.5 of 10.
    run(Command::new("systemd-analyze").args(["security", "--offline=true", "--threshold=15"]).arg(&path));
}

/// For keys that a group may read, and for ports below 1024.
#[test]
fn systemd_takes_what_is_documented_beside_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tagpoint.service");
    fs::write(&path, unit().replace("/opt/tagpoint/bin/tagpoint", env!("CARGO_BIN_EXE_tagpoint"))).unwrap();
    let beside = folder.path().join("tagpoint.service.d");
    fs::create_dir(&beside).unwrap();
    let document = fs::read_to_string(root().join("docs/deploy.md")).unwrap();
    for name in ["keys.conf", "low-ports.conf"] {
        fs::copy(root().join("deploy/systemd").join(name), beside.join(name)).unwrap();
        assert!(
            document.contains(&format!("/etc/systemd/system/tagpoint.service.d deploy/systemd/{name}\n")),
            "{name}"
        );
    }
    let said = run(Command::new("systemd-analyze").arg("verify").arg(&path));
    assert!(!said.contains("tagpoint.service"), "{said}");
    // Both hold: the one capability, and the group that the document makes.
    let mut judge = Command::new("systemd-analyze");
    let said = run(judge.args(["security", "--offline=true"]).arg(&path).env("LC_ALL", "C.UTF-8"));
    for changed in ["✗ AmbientCapabilities=", "✗ SupplementaryGroups=", "✗ PrivateUsers="] {
        assert!(said.contains(changed), "{changed} is not in {said}");
    }
    assert!(document.contains("groupadd --system tagpoint-keys\n"));
}

#[test]
fn the_server_runs_with_its_arguments_and_without_memory_that_is_written_and_run() {
    let unit = unit();
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words, ["/opt/tagpoint/bin/tagpoint", "serve", "--config", "/etc/tagpoint/tagpoint.toml"]);
    assert!(unit.contains("\nMemoryDenyWriteExecute=yes\n") && unit.contains("\nStateDirectory=tagpoint\n"));

    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("tagpoint.toml");
    fs::write(&settings, format!("models = {:?}\n", root().join("models"))).unwrap();
    // 65 is PR_SET_MDWE, the kernel's own form of that setting, which the program inherits.
    let deny = "import ctypes, os, sys\n\
        assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0, 'needs Linux 6.3'\n\
        os.execv(sys.argv[1], sys.argv[1:])";
    let mut command = Command::new(installed("python"));
    command.args(["-c", deny, env!("CARGO_BIN_EXE_tagpoint"), "serve", "--config"]).arg(&settings);
    command.env("STATE_DIRECTORY", folder.path()).current_dir(folder.path());
    let server = Server::start(&mut command);
    assert_eq!(get(&format!("{}/readyz", server.url)).0, 200);
    assert!(folder.path().join("tagpoint.db").exists(), "the database is not in the state directory");
    let listen = server.url.trim_start_matches("http://").to_owned();
    run(tagpoint().args(["health", "--listen", &listen]));
}
