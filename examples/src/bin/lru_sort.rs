//! Sorts the LRU lists: what is hot goes to their warm end, what is cold to their cold end, before memory is short.
//!
//! ```text
//! sudo lru_sort --dry-run --cgroup /system.slice/database.service
//! sudo lru_sort --config lru_sort.toml --pid 4321 --prometheus 127.0.0.1:9464
//! ```
//!
//! Counterpart: `DAMON_LRU_SORT`, whose defaults it has. Needs root and page_idle. Physical memory can be sorted to the cold end alone
//! by a user-space program, so it is for processes and cgroups.

use std::process::ExitCode;

use clap::Parser;
use damos::preset;
use examples::agent::{Agent, Options, Plan, config};
use examples::subject::Subject;

/// Sorts LRU lists.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    subject: Subject,
}

fn main() -> ExitCode {
    let agent = Agent {
        name: "lru_sort",
        plan: |text: &str| {
            let file = toml::from_str::<config::LruSort>(text)?;
            let thrash_guard = file.thrash_guard();
            let (attrs, mut schemes) = preset::LruSort::from(file).plan()?;
            schemes.iter_mut().for_each(|scheme| scheme.thrash_guard = thrash_guard);
            Ok(Plan { attrs, schemes })
        },
    };
    let Arguments { options, subject } = Arguments::parse();
    agent.main(&options, &subject)
}
