//! Files of what is shown: the picture as text, the history as a record for `report` and `replay`.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use damos::record::{Recorder, WriteError};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::ink::Ink;
use super::screen;
use super::state::State;

/// Why there are no files, or not both.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum DumpError {
    /// There is nothing to write.
    #[error("nothing has been seen yet: there is nothing to dump")]
    Nothing,
    /// A file cannot be made.
    #[error("cannot write {}: {source}; start watch in a directory that may be written", path.display())]
    Create {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The record cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Record {
        /// Which.
        path: PathBuf,
        /// Why.
        source: WriteError,
    },
}

/// Writes `watch-N.txt` and `watch-N.damonrec` into `dir`, with the first N that is not taken, and says which they are.
///
/// # Errors
/// When there is nothing to write, or they cannot be written; files that are there are never touched.
pub(super) fn dump(state: &State, (width, height): (u16, u16), dir: &Path) -> Result<[PathBuf; 2], DumpError> {
    let attrs = state.first_attrs.as_ref().ok_or(DumpError::Nothing)?;
    let (record, file, text) = create(dir)?;
    let mut recorder =
        Recorder::new(io::BufWriter::new(file)).map_err(|source| DumpError::Record { path: record.clone(), source })?;
    let written = (|| {
        for (target, (_, mappings)) in &state.mapped {
            recorder.mappings(*target, attrs, mappings)?;
        }
        state.history.snapshots().try_for_each(|s| recorder.record(attrs, s))?;
        Ok(recorder.into_inner().flush()?)
    })();
    written.map_err(|source| DumpError::Record { path: record.clone(), source })?;
    let picture = picture(state, width, height);
    std::fs::write(&text, picture).map_err(|source| DumpError::Create { path: text.clone(), source })?;
    Ok([text, record])
}

/// The record's path and file, and the picture's path.
fn create(dir: &Path) -> Result<(PathBuf, File, PathBuf), DumpError> {
    let mut n = 1;
    loop {
        let path = |extension| dir.join(format!("watch-{n}.{extension}"));
        match File::create_new(path("damonrec")) {
            Ok(file) if !path("txt").exists() => return Ok((path("damonrec"), file, path("txt"))),
            Ok(_) => drop(std::fs::remove_file(path("damonrec"))),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(DumpError::Create { path: path("damonrec"), source }),
        }
        n += 1;
    }
}

/// The screen in ASCII.
fn picture(state: &State, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width.max(80), height.max(24));
    let mut buf = Buffer::empty(area);
    screen::draw(state, Ink { colour: false, unicode: false }, area, &mut buf);
    let lines = buf.content.chunks(usize::from(area.width));
    lines.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::tests::state;
    use damos::record::{Item, Reader};

    fn fresh(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("damon-watch-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_dump_can_be_read_and_never_takes_a_name_that_is_taken() {
        let dir = fresh("dump");
        std::fs::write(dir.join("watch-1.txt"), "mine").unwrap();
        let [text, record] = dump(&state(), (80, 24), &dir).unwrap();
        assert_eq!((text.clone(), record.clone()), (dir.join("watch-2.txt"), dir.join("watch-2.damonrec")));
        let snapshots = Reader::open(&record).unwrap().filter(|i| matches!(i, Ok(Item::Snapshot(..)))).count();
        assert_eq!(snapshots, 2);
        assert!(std::fs::read_to_string(&text).unwrap().contains("36 MiB in 4 regions"));
        assert_eq!(std::fs::read_to_string(dir.join("watch-1.txt")).unwrap(), "mine");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn where_nothing_can_be_written_it_says_where() {
        let error = dump(&state(), (80, 24), Path::new("/proc/nowhere")).unwrap_err().to_string();
        assert!(error.starts_with("cannot write /proc/nowhere/watch-1.damonrec: "), "{error}");
        let nothing = State::new(String::new(), String::new(), false);
        assert!(matches!(dump(&nothing, (80, 24), Path::new("/")), Err(DumpError::Nothing)));
    }
}
