//! A page whose tables are what was printed: they are replaced between two lines of it.

use std::path::{Path, PathBuf};

/// Why a page was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// It cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The page.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It has no place for that.
    #[error("{} has no line {line:?}, after which that would go", path.display())]
    NoPlace {
        /// The page.
        path: PathBuf,
        /// What was looked for.
        line: String,
    },
}

/// Replaces what is in the page at `path` between the lines `<!-- NAME -->` and `<!-- end of NAME -->`.
///
/// # Errors
/// When the page cannot be read or written, or has not these two lines in that order.
pub fn replace(path: &Path, name: &str, by: &str) -> Result<(), PageError> {
    let file = |source| PageError::File { path: path.into(), source };
    let page = std::fs::read_to_string(path).map_err(file)?;
    let (from, to) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let missing = |line: &str| PageError::NoPlace { path: path.into(), line: line.trim().into() };
    let (head, rest) = page.split_once(&from).ok_or_else(|| missing(&from))?;
    let (_, tail) = rest.split_once(&to).ok_or_else(|| missing(&to))?;
    std::fs::write(path, format!("{head}{from}\n{}\n\n{to}{tail}", by.trim())).map_err(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_the_two_lines_is_replaced_and_nothing_else() {
        let path = std::env::temp_dir().join(format!("damon-page-{}.md", std::process::id()));
        let page = "# A\n<!-- x -->\nold\n<!-- end of x -->\nrest\n";
        std::fs::write(&path, page).unwrap();
        replace(&path, "x", "new\n").unwrap();
        let once = std::fs::read_to_string(&path).unwrap();
        replace(&path, "x", "new").unwrap();
        let twice = std::fs::read_to_string(&path).unwrap();
        let refused = replace(&path, "y", "new").unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(once, "# A\n<!-- x -->\n\nnew\n\n<!-- end of x -->\nrest\n");
        assert_eq!(twice, once);
        assert!(refused.contains("<!-- y -->"), "{refused}");
    }
}
