//! Files that are arrays of 64-bit words, read and written at many places with few calls.
//!
//! `pagemap`, `kpageflags` and `page_idle/bitmap` are such: a call costs more than the words between two places, so
//! places are sorted, and those near each other share a call.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;

/// Why a file of the kernel's could not be used, and what would make it work.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}: {source}; {needs}", path.display())]
#[non_exhaustive]
pub struct FileError {
    /// `open`, `read` or `write`.
    pub what: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
    /// What it takes.
    pub needs: &'static str,
}

/// What it takes, by what went wrong.
pub(crate) type Needs = fn(&io::Error) -> &'static str;

/// Words in one call at most: the kernel does no more than a page of sysfs at once.
const RUN: u64 = 512;

/// A file of words.
#[derive(Debug)]
pub(crate) struct Words {
    path: PathBuf,
    file: File,
    /// So many words that nobody asked for are read to save a call.
    bridge: u64,
    needs: Needs,
    /// The places asked for, sorted, each with its rank in the question.
    order: Vec<(u64, usize)>,
    bytes: Vec<u8>,
}

impl Words {
    pub(crate) fn open(path: PathBuf, writable: bool, bridge: u64, needs: Needs) -> Result<Self, FileError> {
        match OpenOptions::new().read(true).write(writable).open(&path) {
            Ok(file) => Ok(Self { path, file, bridge, needs, order: Vec::new(), bytes: Vec::new() }),
            Err(source) => Err(FileError { what: "open", needs: needs(&source), path, source }),
        }
    }

    pub(crate) const fn file(&self) -> &File {
        &self.file
    }

    fn error(&self, what: &'static str, source: io::Error) -> FileError {
        FileError { what, path: self.path.clone(), needs: (self.needs)(&source), source }
    }

    /// The word at each of `places`, in their order, in `out`; `None` where the file ends before it.
    pub(crate) fn gather(
        &mut self,
        places: impl Iterator<Item = u64>,
        out: &mut Vec<Option<u64>>,
    ) -> Result<(), FileError> {
        self.order.clear();
        self.order.extend(places.enumerate().map(|(rank, place)| (place, rank)));
        if !self.order.is_sorted() {
            self.order.sort_unstable();
        }
        out.clear();
        out.resize(self.order.len(), None);

        let mut at = 0;
        while let Some(&(start, _)) = self.order.get(at) {
            let n = run(self.order[at..].iter().map(|&(place, _)| place), self.bridge);
            let last = self.order[at + n - 1].0;
            self.bytes.clear();
            self.bytes.resize((last - start + 1) as usize * 8, 0);
            let bytes = match offset(start) {
                Some(offset) => read_up_to(&self.file, &mut self.bytes, offset),
                None => Ok(0),
            };
            let words = bytes.map_err(|e| self.error("read", e))? / 8;
            for &(place, rank) in &self.order[at..at + n] {
                let i = (place - start) as usize;
                if i < words {
                    out[rank] = self.bytes[i * 8..][..8].try_into().ok().map(u64::from_ne_bytes);
                }
            }
            at += n;
        }
        Ok(())
    }

    /// Writes `words`, ascending by place and no place twice, and up to `bridge` zeros between two of them to save a call.
    /// What lies beyond the file's end is left out.
    pub(crate) fn scatter(&mut self, words: &[(u64, u64)], bridge: u64) -> Result<(), FileError> {
        let mut rest = words;
        while let Some(&(start, _)) = rest.first() {
            let (now, later) = rest.split_at(run(rest.iter().map(|&(place, _)| place), bridge));
            rest = later;
            self.bytes.clear();
            for &(place, word) in now {
                self.bytes.resize((place - start) as usize * 8, 0);
                self.bytes.extend_from_slice(&word.to_ne_bytes());
            }
            let Some(offset) = offset(start) else { continue };
            match write_all(&self.file, &self.bytes, offset) {
                Ok(()) => {}
                Err(e) if e.raw_os_error() == Some(ENXIO) => {}
                // Where memory ends amid a word, the bits are taken and the word is not counted as written.
                Err(e) if e.kind() == io::ErrorKind::WriteZero => {}
                Err(e) => return Err(self.error("write", e)),
            }
        }
        Ok(())
    }
}

/// What the kernel says of places beyond the last page of memory.
const ENXIO: i32 = 6;

/// Where in the file the word at `place` is, if a file can have so many words.
fn offset(place: u64) -> Option<u64> {
    (place < i64::MAX as u64 / 8 - RUN).then(|| place * 8)
}

/// How many of `places`, ascending, one call serves.
fn run(mut places: impl Iterator<Item = u64>, bridge: u64) -> usize {
    let Some(first) = places.next() else { return 0 };
    let mut last = first;
    let near = |&place: &u64| {
        let near = place - last <= bridge + 1 && place - first < RUN;
        last = place;
        near
    };
    1 + places.take_while(near).count()
}

/// Reads until `bytes` is full or the file ends; how much.
fn read_up_to(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match read_at(file, &mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, offset)
}

#[cfg(unix)]
fn write_all(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(unix))]
fn write_all(_: &File, _: &[u8], _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod fake {
    //! A directory with files of words, gone when it is dropped.

    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU32, Ordering};

    pub(crate) struct Root(PathBuf);

    impl Root {
        pub(crate) fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!("damon-words-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        pub(crate) fn path(&self) -> &Path {
            &self.0
        }

        pub(crate) fn put(&self, file: &str, words: &[u64]) {
            self.put_bytes(file, &words.iter().flat_map(|w| w.to_ne_bytes()).collect::<Vec<_>>());
        }

        pub(crate) fn put_bytes(&self, file: &str, bytes: &[u8]) {
            let path = self.0.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }

        pub(crate) fn get(&self, file: &str) -> Vec<u64> {
            let bytes = std::fs::read(self.0.join(file)).unwrap();
            bytes.chunks_exact(8).map(|w| u64::from_ne_bytes(w.try_into().unwrap())).collect()
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn words(root: &fake::Root, bridge: u64) -> Words {
        Words::open(root.path().join("f"), true, bridge, |_| "nothing").unwrap()
    }

    proptest::proptest! {
        #[test]
        fn each_place_gets_its_own_word_in_any_order(places: Vec<u16>, bridge in 0u64..20, len in 0u64..3_000) {
            let root = fake::Root::new();
            root.put("f", &(0..len).map(|i| i * 7).collect::<Vec<_>>());
            let mut out = vec![Some(1)];
            words(&root, bridge).gather(places.iter().map(|&p| u64::from(p) % 4_000), &mut out).unwrap();
            let expected = places.iter().map(|&p| u64::from(p) % 4_000).map(|p| (p < len).then_some(p * 7));
            assert_eq!(out, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn places_near_each_other_share_a_call_of_bounded_size() {
        assert_eq!(run([3, 4, 6, 9, 14].into_iter(), 2), 4);
        assert_eq!(run([3, 3, 5].into_iter(), 0), 2);
        assert_eq!(run(0..5_000, 0), 512);
        assert_eq!(run([0, u64::MAX].into_iter(), 9), 1);
    }

    #[test]
    fn a_place_that_no_file_can_have_is_none() {
        let root = fake::Root::new();
        root.put("f", &[5]);
        let mut out = Vec::new();
        words(&root, 1).gather([u64::MAX, 0, u64::MAX / 8].into_iter(), &mut out).unwrap();
        assert_eq!(out, [None, Some(5), None]);
        words(&root, 1).scatter(&[(u64::MAX, 1)], 0).unwrap();
    }

    #[test]
    fn an_error_names_the_file_and_what_it_takes() {
        let e = Words::open("/nowhere/words".into(), false, 0, |_| "it takes a miracle").unwrap_err();
        assert!(e.to_string().starts_with("cannot open /nowhere/words: "), "{e}");
        assert!(e.to_string().ends_with("; it takes a miracle"), "{e}");
    }
}
