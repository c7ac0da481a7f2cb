//! A command that runs while it is watched.

use std::fs::File;
use std::io;
use std::process::{Child, ExitStatus, Stdio};

/// Where a command's output goes, and where its input comes from.
#[derive(Debug, Default)]
pub enum Output {
    /// They are this program's.
    #[default]
    Shared,
    /// There is none.
    Nowhere,
    /// Into a file; there is no input.
    File(File),
}

/// A command that was started here. It is ended when this is dropped.
#[derive(Debug)]
pub struct Command {
    name: String,
    child: Child,
}

impl Command {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(words: &[String], output: Output) -> io::Result<Self> {
        let [program, args @ ..] = words else { return Err(io::Error::other("the command is empty")) };
        let mut command = std::process::Command::new(program);
        command.args(args);
        match output {
            Output::Shared => {}
            Output::Nowhere => drop(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())),
            Output::File(file) => drop(command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file)),
        }
        let child = command.spawn();
        let child = child.map_err(|e| io::Error::new(e.kind(), format!("cannot run {program}: {e}")))?;
        Ok(Self { name: program.clone(), child })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // It may end by itself at this moment.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
