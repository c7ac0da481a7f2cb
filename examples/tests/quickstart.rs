//! The quickstart as a person runs it: a short run finds what is hot, draws what is unseen, and ends with its line.

use std::process::Command;

/// The number after `name` in the last line.
fn figure(line: &str, name: &str) -> f64 {
    let rest = line.split_once(name).unwrap_or_else(|| panic!("no {name} in {line:?}")).1.trim_start();
    let digits = rest.split(['%', '/', ' ']).next().unwrap_or_default();
    digits.parse().unwrap_or_else(|e| panic!("{name} {digits:?}: {e}"))
}

#[test]
fn a_short_run_finds_the_hot_sets_and_ends_with_its_line() {
    let png = std::env::temp_dir().join(format!("damon-quickstart-{}.png", std::process::id()));
    let args = ["--seconds", "10", "--pairs", "6", "--png"];
    let run = Command::new(env!("CARGO_BIN_EXE_quickstart")).args(args).arg(&png).output().unwrap();
    let out = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{out}{}", String::from_utf8_lossy(&run.stderr));
    assert!(std::fs::metadata(&png).unwrap().len() > 10_000);
    std::fs::remove_file(&png).unwrap();

    let line = out.lines().last().unwrap();
    let (precision, recall) = (figure(line, "precision"), figure(line, "recall"));
    let (cpu, checks) = (figure(line, "cpu"), figure(line, "checks"));
    let format = format!("quickstart: precision {precision:.2} recall {recall:.2} cpu {cpu:.1}% checks {checks:.0}/s");
    assert_eq!(line, format);
    // Looser than what a run of 20 s reaches: the sets move twice as fast here, and in a debug build on a busy machine
    // the workers may come round in little more than half of the windows. By chance both would be about 0.2.
    assert!(precision > 0.6 && recall > 0.6 && cpu < 5.0 && checks > 100.0, "{out}");

    // Without RWP nobody sees reads of private memory, and each cell of that panel says so.
    let panel: Vec<_> = out.lines().skip_while(|l| !l.starts_with("private, only read:")).skip(1).take(8).collect();
    if !out.lines().any(|l| l.starts_with("RWP_ASYNC") && l.ends_with("works")) {
        assert!(panel.len() == 8 && panel.iter().all(|l| l.matches('/').count() > 60), "{out}");
    }
}
