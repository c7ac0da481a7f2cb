//! The agent `tier` as a user runs it: `.ci/vm -b` brings it along.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::machine::cpu;

const PROGRAM: &str = "/bin/tier";

/// The agent at work. It is killed if it was not asked to end.
#[derive(Debug)]
pub(crate) struct Tier {
    process: Child,
    file: Option<String>,
    /// What it says goes there.
    log: String,
}

/// What it says of a plan, of which nothing is carried out.
pub(crate) fn says() -> String {
    let mut process = Command::new(PROGRAM).arg("--dry-run").stderr(Stdio::piped()).spawn().unwrap();
    let (mut stderr, mut text) = (BufReader::new(process.stderr.take().unwrap()), String::new());
    while !text.contains("dry run: nothing is moved") {
        assert!(stderr.read_line(&mut text).unwrap() > 0, "{text}");
    }
    // Notes come last.
    std::thread::sleep(Duration::from_secs(1));
    process.kill().unwrap();
    process.wait().unwrap();
    stderr.read_to_string(&mut text).unwrap();
    text
}

impl Tier {
    /// With `config` as its file, if there is one, and these arguments.
    pub(crate) fn start(config: Option<&str>, args: &[&str]) -> Self {
        assert!(std::path::Path::new(PROGRAM).exists(), "the machine has no {PROGRAM}: .ci/vm -b TIER");
        let file = config.map(|_| format!("/tmp/tier-{}.toml", std::process::id()));
        let mut command = Command::new(PROGRAM);
        if let Some((file, text)) = file.as_ref().zip(config) {
            std::fs::write(file, text).unwrap();
            command.args(["--config", file]);
        }
        let log = format!("/tmp/tier-{}.log", std::process::id());
        let said = std::fs::File::create(&log).unwrap();
        let process = command.args(args).stdin(Stdio::null()).stderr(said).spawn().unwrap();
        Self { process, file, log }
    }

    /// What it has said until now.
    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn cpu(&self) -> Duration {
        cpu(self.process.id())
    }

    /// SIGTERM; it must end by itself, and in order. Gives what it has said.
    pub(crate) fn end(mut self) -> String {
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}, signal {:?}", status.signal());
        self.said()
    }
}

impl Drop for Tier {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        eprint!("{}", self.said());
        for file in self.file.iter().chain([&self.log]) {
            let _ = std::fs::remove_file(file);
        }
    }
}
