//! Another process: its files, read as long as it is the one that was meant.
//!
//! Counterpart: `Documentation/filesystems/proc.rst`, Linux 7.3.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::pagemap::{self, ProcessPagemap};
use super::{FileError, Mapping, MapsError, Pidfd, read_maps};

/// Why a process cannot be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessOpenError {
    /// There is none, or it has ended.
    #[error("there is no process {pid}: it has ended, or the pid is of another pid namespace than this /proc")]
    Gone {
        /// Which.
        pid: u32,
    },
    /// It exists, and `/proc` does not show it.
    #[error(
        "process {pid} exists, but {} does not show it: /proc is mounted with hidepid; it takes CAP_SYS_PTRACE, or the \
         group of hidepid's gid= option, or /proc remounted with hidepid=0", path.display()
    )]
    Hidden {
        /// Which.
        pid: u32,
        /// Where it should be.
        path: PathBuf,
    },
    /// A sandbox, or an old kernel.
    #[error(
        "cannot hold process {pid} (pidfd_open): {source}; it takes the id of a process's first thread, Linux 5.3, and a \
         sandbox (seccomp) that lets pidfd_open through"
    )]
    Pidfd {
        /// Which.
        pid: u32,
        /// Why not.
        source: io::Error,
    },
    /// A kernel thread: it has no memory of its own.
    #[error("process {pid} has no memory of its own: it is a kernel thread, or is ending")]
    NoMemory {
        /// Which.
        pid: u32,
    },
    /// One of its files cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A process. All its files are read through descriptors that its pid's next owner never gets behind.
#[derive(Debug)]
pub struct Process {
    pidfd: Pidfd,
    /// `/proc/PID`: stays this process's and reads as gone when it is.
    dir: File,
}

impl Process {
    /// The process that has `pid` now; its files are under `root` (normally `/`).
    ///
    /// # Errors
    /// When there is none, it is hidden, or may not be held.
    pub fn open(root: &Path, pid: u32) -> Result<Self, ProcessOpenError> {
        let pidfd = Pidfd::open(pid).map_err(|source| match source.raw_os_error() {
            Some(ESRCH) => ProcessOpenError::Gone { pid },
            _ => ProcessOpenError::Pidfd { pid, source },
        })?;
        let path = root.join("proc").join(pid.to_string());
        let dir = File::open(&path);
        // If it still lives, the pid was its own when the directory was opened.
        if !pidfd.is_alive() {
            return Err(ProcessOpenError::Gone { pid });
        }
        match dir {
            Ok(dir) => Ok(Self { pidfd, dir }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(ProcessOpenError::Hidden { pid, path }),
            Err(source) => {
                let needs = pagemap::needs(&source);
                Err(FileError { what: "open", path, source, needs }.into())
            }
        }
    }

    /// Its pid, which is another's once it has ended.
    pub const fn pid(&self) -> u32 {
        self.pidfd.pid()
    }

    /// The descriptor that holds it.
    pub const fn pidfd(&self) -> &Pidfd {
        &self.pidfd
    }

    /// Has it not ended? A zombie has.
    pub fn is_alive(&self) -> bool {
        self.pidfd.is_alive()
    }

    /// A path to its file `name`, good while this exists: opening it after the process has ended fails with `ESRCH`.
    pub fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", fd(&self.dir)))
    }

    /// Its mappings, ascending; none if it has ended.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn maps(&self) -> Result<Vec<Mapping>, MapsError> {
        match read_maps(&self.path("maps")) {
            Err(MapsError::Read { source, .. }) if is_gone(&source) => Ok(Vec::new()),
            result => result,
        }
    }

    /// Its page table, as of now: see [`ProcessPagemap`].
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn pagemap(&self, page: u64) -> Result<ProcessPagemap, ProcessOpenError> {
        match ProcessPagemap::open(self.path("pagemap"), page) {
            Ok(mut map) => match map.is_alive() {
                Ok(true) => Ok(map),
                _ => Err(ProcessOpenError::NoMemory { pid: self.pid() }),
            },
            Err(e) if is_gone(&e.source) => Err(ProcessOpenError::NoMemory { pid: self.pid() }),
            Err(e) => Err(e.into()),
        }
    }

    /// What it runs; `None` if it has ended, or is ending and has no memory any more.
    ///
    /// # Errors
    /// When `stat` cannot be read.
    pub fn image(&self) -> Result<Option<Image>, FileError> {
        let path = self.path("stat");
        match std::fs::read(&path) {
            Ok(text) => Ok(parse_stat(&text).filter(|image| image.start_code != 0)),
            Err(e) if is_gone(&e) => Ok(None),
            Err(source) => Err(FileError { what: "read", needs: pagemap::needs(&source), path, source }),
        }
    }

    /// The pids of its children, of all its threads.
    ///
    /// # Errors
    /// When they cannot be read: it takes `CONFIG_PROC_CHILDREN`.
    pub fn children(&self, out: &mut Vec<u32>) -> Result<(), FileError> {
        let tasks = self.path("task");
        let entries = match std::fs::read_dir(&tasks) {
            Ok(entries) => entries,
            Err(e) if is_gone(&e) => return Ok(()),
            Err(source) => {
                return Err(FileError { what: "read", needs: pagemap::needs(&source), path: tasks, source });
            }
        };
        for task in entries.flatten() {
            let path = task.path().join("children");
            match std::fs::read_to_string(&path) {
                Ok(text) => out.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok())),
                // A thread that has ended, or a kernel without the file.
                Err(e) if is_gone(&e) && (e.raw_os_error() == Some(ESRCH) || !task.path().exists()) => {}
                Err(source) => {
                    let needs = "it takes a kernel with CONFIG_PROC_CHILDREN: without, watch a cgroup";
                    return Err(FileError { what: "read", path, source, needs });
                }
            }
        }
        Ok(())
    }
}

/// What a process runs: another one after each exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image {
    /// Where its code begins: 1 to who may not trace it, 0 where it has no memory any more.
    pub start_code: u64,
    /// Where its stack began: at random for each exec. 0 to who may not trace it.
    pub start_stack: u64,
}

/// The image in the text of a `stat` file; `None` if it is no such text.
///
/// ```
/// let stat = b"7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0 18446744073709551615 4096 8192 65536 0";
/// let image = damon_ops_vaddr::linux::parse_stat(stat).unwrap();
/// assert_eq!((image.start_code, image.start_stack), (4096, 65536));
/// ```
pub fn parse_stat(text: &[u8]) -> Option<Image> {
    let text = String::from_utf8_lossy(text);
    // The name may have any character; the last parenthesis ends it. The third field comes next.
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace().skip(26 - 3);
    let start_code = fields.next()?.parse().ok()?;
    let start_stack = fields.nth(1)?.parse().ok()?;
    Some(Image { start_code, start_stack })
}

const ESRCH: i32 = 3;

/// Has who it is about ended?
pub(crate) fn is_gone(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(ESRCH)
}

#[cfg(unix)]
fn fd(file: &File) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(file)
}

#[cfg(not(unix))]
fn fd(_: &File) -> i32 {
    -1
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn its_own_process_shows_mappings_image_and_children() {
        let mut child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let me = Process::open(Path::new("/"), std::process::id()).unwrap();
        let mut children = Vec::new();
        me.children(&mut children).unwrap();
        assert!(children.contains(&child.id()));
        let here = me.maps().unwrap();
        let local = 0;
        assert!(here.iter().any(|m| m.range.contains(&raw const local as u64)));
        assert!(me.image().unwrap().is_some_and(|i| i.start_stack != 0));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn what_has_ended_reads_as_gone_and_never_as_another() {
        let mut child = Command::new("/bin/sleep").arg("60").stdout(Stdio::null()).spawn().unwrap();
        let process = Process::open(Path::new("/"), child.id()).unwrap();
        assert!(process.is_alive());
        child.kill().unwrap();
        // A zombie until it is waited for.
        while process.is_alive() {
            std::thread::yield_now();
        }
        assert!(process.maps().unwrap().is_empty());
        child.wait().unwrap();
        assert!(process.maps().unwrap().is_empty());
        assert_eq!(process.image().unwrap(), None);
        assert!(matches!(process.pagemap(4096), Err(ProcessOpenError::NoMemory { .. })));
        let mut children = Vec::new();
        process.children(&mut children).unwrap();
        assert!(children.is_empty());
        assert!(matches!(Process::open(Path::new("/"), child.id()), Err(ProcessOpenError::Gone { .. })));
    }

    #[test]
    fn a_process_that_proc_does_not_show_is_hidden() {
        let root = super::super::words::fake::Root::new();
        let e = Process::open(root.path(), std::process::id()).unwrap_err();
        assert!(e.to_string().contains("hidepid"), "{e}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text: Vec<u8>) {
            let _ = parse_stat(&text);
        }
    }
}
