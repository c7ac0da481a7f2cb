//! The programs in `docs/embedding.md` are those that are compiled and run: each block of Rust stands, line by line, in the file named before it.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::path::{Path, PathBuf};

/// Each block of Rust, with the file that was linked last before it.
fn blocks(guide: &str) -> Vec<(PathBuf, String)> {
    let (mut file, mut found, mut lines) = (PathBuf::new(), Vec::new(), guide.lines());
    while let Some(line) = lines.next() {
        if let Some((_, link)) = line.rsplit_once("](../examples/") {
            file = link.split(')').next().unwrap().into();
        }
        if line == "```rust" {
            let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            found.push((file.clone(), block.join("\n") + "\n"));
        }
    }
    found
}

/// The blocks that do not stand in their files.
fn strangers(guide: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let stands = |(file, block): &(PathBuf, String)| {
        let source = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        let at = source.find(block.as_str());
        at.is_some_and(|at| at == 0 || source[..at].ends_with('\n'))
    };
    blocks(guide)
        .into_iter()
        .filter(|b| !stands(b))
        .map(|(file, block)| format!("{}:\n{block}", file.display()))
        .collect()
}

fn guide() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/embedding.md")).unwrap()
}

#[test]
fn the_programs_of_the_guide_are_those_that_are_run() {
    let files: Vec<_> = blocks(&guide()).into_iter().map(|(file, _)| file).collect();
    let expected = ["buffer_pool", "guest", "guest", "node_agent", "simulation"];
    assert_eq!(files, expected.map(|name| Path::new("src/bin").join(name).with_extension("rs")));
    assert_eq!(strangers(&guide()), Vec::<String>::new());
}

#[test]
fn a_program_that_was_changed_in_one_place_alone_is_found() {
    let changed = guide().replace("own.watch_shared(&pool)?;", "own.watch_shared(&pool);");
    assert_eq!(strangers(&changed).len(), 1);
    assert_eq!(strangers(&guide().replace("bin/guest.rs", "bin/gone.rs")).len(), 2);
}

#[test]
fn what_the_simulation_prints_is_what_the_guide_shows() {
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_simulation")).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(guide().contains(&format!("```text\n{}```\n", String::from_utf8(run.stdout).unwrap())));
}
