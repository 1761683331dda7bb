//! The real program, which serves on a free port until it is dropped.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// Seconds after which a program that has not done what it should never will.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Program {
    process: Child,
    pub address: SocketAddr,
    /// The log, one JSON object a line.
    log: PathBuf,
    /// Where the log lies; deleted with this.
    _folder: tempfile::TempDir,
}

impl Program {
    /// `tagpoint serve` with these arguments and variables; returns once it listens.
    pub fn serve(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::serve_by(Command::new(env!("CARGO_BIN_EXE_tagpoint")), arguments, variables)
    }

    /// The same, where no file may grow beyond so many KiB: writing more fails as on a full disk.
    pub fn serve_on_a_full_disk(kibibytes: u32, arguments: &[&str]) -> Self {
        let mut command = Command::new("bash");
        let script = format!("trap '' XFSZ; ulimit -f {kibibytes}; exec \"$@\"");
        command.args(["-c", &script, "bash", env!("CARGO_BIN_EXE_tagpoint")]);
        Self::serve_by(command, arguments, &[])
    }

    fn serve_by(mut command: Command, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut process = command
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(arguments)
            .env_remove("RUST_LOG")
            // Without --database it is in a folder of its own, and not the user's.
            .env_remove("STATE_DIRECTORY")
            .env_remove("TAGPOINT_DATABASE")
            .env("XDG_STATE_HOME", folder.path())
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let address = loop {
            let written = std::fs::read_to_string(&log).unwrap();
            let mut lines = written.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(listening) = lines.find(|line| line["message"] == "listening") {
                break listening["address"].as_str().unwrap().parse().unwrap();
            }
            assert!(
                process.try_wait().unwrap().is_none() && begun.elapsed() < PATIENCE,
                "it does not serve: {written}"
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        Self { process, address, log, _folder: folder }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns once every model is loaded.
    pub async fn until_ready(&self, client: &reqwest::Client) {
        let begun = Instant::now();
        while client.get(self.url("/readyz")).send().await.unwrap().status() != 200 {
            assert!(begun.elapsed() < PATIENCE, "it is not ready: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// MiB in RAM: now, of no file; and the most that it ever had.
    #[cfg(target_os = "linux")]
    pub fn memory(&self) -> (f64, f64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
        };
        (field("RssAnon:"), field("VmHWM:"))
    }

    /// Ends it at once, as SIGKILL does.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Tells it to stop as a service manager does, and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        let id = self.process.id().to_string();
        assert!(Command::new("sh").args(["-c", "kill \"$0\"", &id]).status().unwrap().success());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not stop: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
