//! How a program ends.

use std::error::Error;
use std::io;
use std::process::ExitCode;

/// Says what went wrong, if something has. Who reads may have enough, `report .. | head`: that is nothing wrong.
pub fn ended(name: &str, result: Result<(), Box<dyn Error>>) -> ExitCode {
    match result {
        Err(e) if !is_enough(&*e) => {
            eprintln!("{name}: {e}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Did whoever reads close the pipe?
fn is_enough(e: &(dyn Error + 'static)) -> bool {
    let here = e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe);
    here || e.source().is_some_and(is_enough)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::ReportError;

    #[test]
    fn who_closes_the_pipe_has_enough_and_all_else_is_an_error() {
        let kind = |kind| ReportError::Write(io::Error::from(kind));
        assert!(is_enough(&kind(io::ErrorKind::BrokenPipe)));
        assert!(!is_enough(&kind(io::ErrorKind::StorageFull)));
        assert_eq!(ended("test", Err("wrong".into())), ExitCode::FAILURE);
    }
}
