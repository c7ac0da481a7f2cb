//! Tells of each region that a scheme was tried on, as an event of `tracing`.

use std::error::Error;

use super::Tried;

pub(super) fn tell(tried: &Tried, error: Option<&impl Error>) {
    let Tried { scheme, action, target, range, nr_accesses, age, applied, dry_run } = *tried;
    macro_rules! event {
        ($level:ident $(, $more:tt)*) => {
            tracing::$level!(
                target: "damos::action",
                scheme, ?action, memory = target.get(), start = range.start(), end = range.end(), nr_accesses, age,
                applied, dry_run $(, $more)*
            )
        };
    }
    match error {
        None => event!(debug),
        Some(error) => {
            let error = tracing::field::display(error);
            event!(warn, error);
        }
    }
}
