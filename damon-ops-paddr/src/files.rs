//! Reading the kernel's small files under a root that a test can replace.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Why a file of the kernel's said nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file, or the directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What was looked for is not in it.
    #[error("{} has no {what}: {text:?}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What could not be found.
        what: &'static str,
        /// What stands there: at most the first 80 characters.
        text: String,
    },
}

impl ReadError {
    pub(crate) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::Unreadable { path: path.into(), source }
    }

    pub(crate) fn malformed(path: &Path, what: &'static str, text: &str) -> Self {
        Self::Malformed { path: path.into(), what, text: text.chars().take(80).collect() }
    }

    /// Is the file not there?
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// The text of a file; what is no UTF-8 in it is replaced.
pub(crate) fn text(path: &Path) -> Result<String, ReadError> {
    let bytes = fs::read(path).map_err(ReadError::unreadable(path))?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// What `parse` makes of a file.
pub(crate) fn parsed<T>(
    path: &Path,
    what: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, ReadError> {
    let text = text(path)?;
    parse(&text).ok_or_else(|| ReadError::malformed(path, what, &text))
}

/// The same, or nothing where there is no such file.
pub(crate) fn optional<T>(result: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.is_missing() => Ok(None),
        Err(e) => Err(e),
    }
}

/// The numbers N of the entries `PREFIXN` of a directory, ascending.
pub(crate) fn numbered(dir: &Path, prefix: &str) -> Result<Vec<u32>, ReadError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(ReadError::unreadable(dir))? {
        let name = entry.map_err(ReadError::unreadable(dir))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(prefix)).and_then(|n| n.parse().ok());
        numbers.extend::<Option<u32>>(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A tree of files that goes when it is dropped.
    #[derive(Debug)]
    pub(crate) struct Tree(PathBuf);

    impl Tree {
        pub(crate) fn new(files: &[(&str, &str)]) -> Self {
            use std::sync::atomic::{AtomicU32, Ordering};
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!("paddr-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let tree = Self(std::env::temp_dir().join(name));
            fs::create_dir_all(&tree.0).unwrap();
            files.iter().for_each(|(path, text)| tree.write(path, text));
            tree
        }

        pub(crate) fn path(&self) -> &Path {
            &self.0
        }

        pub(crate) fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        pub(crate) fn remove(&self, path: &str) {
            let path = self.0.join(path);
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn errors_name_the_file_and_a_missing_one_is_told_from_a_bad_one() {
        let tree = Tree::new(&[("a/n", "12\n"), ("a/bad", "twelve\n")]);
        let number = |path: &str| parsed(&tree.path().join(path), "number", |t| t.trim().parse::<u32>().ok());
        assert_eq!(number("a/n").unwrap(), 12);
        let bad = number("a/bad").unwrap_err().to_string();
        assert!(bad.ends_with("/a/bad has no number: \"twelve\\n\""), "{bad}");
        let missing = number("a/none").unwrap_err();
        assert!(missing.is_missing() && missing.to_string().contains("/a/none"), "{missing}");
        assert_eq!(optional(number("a/none")).unwrap(), None);
        assert!(optional(number("a/bad")).is_err());
    }

    #[test]
    fn only_entries_that_are_numbered_count() {
        let tree =
            Tree::new(&[("d/node10/x", ""), ("d/node2/x", ""), ("d/node", ""), ("d/nodex", ""), ("d/online", "")]);
        assert_eq!(numbered(&tree.path().join("d"), "node").unwrap(), [2, 10]);
    }
}
