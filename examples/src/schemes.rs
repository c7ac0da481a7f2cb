//! Schemes from a file: a configuration as damo writes it (`damo args damon --format json`).

use std::error::Error;
use std::path::Path;

use damos::config::Document;
use damos::scheme::Scheme;

/// The schemes of all contexts of the configuration in the file `path`.
///
/// # Errors
/// When it cannot be read, asks for what there is not, or has no schemes.
pub fn read(path: &Path) -> Result<Vec<Scheme>, Box<dyn Error>> {
    let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| named(&e))?;
    let document: Document = text.parse().map_err(|e| named(&e))?;
    let configs = document.configs(&()).map_err(|e| named(&e))?;
    let schemes: Vec<_> = configs.into_iter().flat_map(|config| config.schemes).collect();
    if schemes.is_empty() { Err(named(&"the configuration has no schemes").into()) } else { Ok(schemes) }
}
