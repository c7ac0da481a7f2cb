//! A command that runs while it is watched.

use std::io;
use std::process::{Child, ExitStatus};

/// A command that was started here. It is ended when this is dropped.
#[derive(Debug)]
pub struct Command {
    name: String,
    child: Child,
}

impl Command {
    /// Starts it; its input and output are this program's.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(words: &[String]) -> io::Result<Self> {
        let [program, args @ ..] = words else { return Err(io::Error::other("the command is empty")) };
        let child = std::process::Command::new(program).args(args).spawn();
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
