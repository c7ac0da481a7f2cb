//! The screen at sizes that people have, and at those that only happen.
#![allow(clippy::unwrap_used)]

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::watch::keys::Action;
use crate::watch::look::{GoalLook, SchemeLook};
use crate::watch::state::Event;
use crate::watch::tests::{look, mapping, state};

const INK: Ink = Ink { colour: false, unicode: false };

fn drawn(state: &State, ink: Ink, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(state, ink, frame.area(), frame.buffer_mut())).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let lines = buffer.content.chunks(usize::from(width).max(1));
    lines.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned()).collect()
}

fn named() -> State {
    let mut state = state();
    let mappings = vec![mapping(0, 12, "[heap]"), mapping(40, 60, "/srv/data.db")];
    state.update(Event::Mapped(damon_core::TargetId::new(0), Some(7), mappings));
    state
}

#[test]
fn eighty_by_twenty_four_shows_everything() {
    let lines = drawn(&named(), INK, 80, 24);
    let text = lines.join("\n");
    for part in [
        "watch the test  36 MiB in 4 regions",
        "[heap]",
        "data.db",
        "samples with an access 0%  .:-=+*#%@ 100%",
        "mapping",
        "*hit",
        "accessed",
        "idle      50%   75%",
        "sampling",
        "checks",
        "q quit",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    assert_eq!(lines.len(), 24);
}

#[test]
fn without_colour_heat_is_told_by_the_character() {
    let lines = drawn(&named(), INK, 80, 24);
    assert!(lines.iter().any(|line| line.ends_with("| @")), "{}", lines.join("\n"));
    assert!(lines.iter().all(|line| line.is_ascii()), "{}", lines.join("\n"));
}

#[test]
fn help_and_what_works_here_lie_over_the_picture_and_go_again() {
    let mut state = named();
    let before = drawn(&state, INK, 80, 24);
    for (action, part) in [(Action::Help, "pause and go on"), (Action::Info, &state.info.clone())] {
        state.update(Event::Asked(action));
        let over = drawn(&state, INK, 80, 24).join("\n");
        assert!(over.contains(part), "{part} is missing:\n{over}");
        state.update(Event::Asked(action));
        assert_eq!(drawn(&state, INK, 80, 24), before);
    }
}

#[test]
fn a_wide_screen_has_more_of_the_past_and_of_the_regions() {
    let [narrow, wide] = [(80, 24), (120, 40)].map(|(width, height)| drawn(&named(), INK, width, height));
    assert_eq!((wide.len(), wide.last()), (40, narrow.last()));
    assert!(wide.iter().any(|line| line.chars().count() > 100));
}

#[test]
fn no_size_is_too_small() {
    let state = named();
    for (width, height) in (1..=40).flat_map(|w| (1..=12).map(move |h| (w * 2 - 1, h))) {
        for ink in [INK, Ink { colour: true, unicode: true }] {
            assert_eq!(drawn(&state, ink, width, height).len(), usize::from(height));
        }
    }
}

#[test]
fn a_long_command_leaves_room_for_how_much_is_watched() {
    let mut state = named();
    state.title = "sh -c 'while true; do something that takes a line of its own to say; done'".into();
    assert!(drawn(&state, INK, 80, 24)[0].starts_with("watch sh -c 'while true; do"));
    assert!(drawn(&state, INK, 80, 24)[0].ends_with("36 MiB in 4 regions"));
    assert_eq!(drawn(&state, INK, 24, 5)[0], "watch sh -c 'while true;");
}

#[test]
fn what_ended_and_what_is_paused_stands_in_the_title_over_the_last_picture() {
    let mut state = named();
    state.update(Event::Asked(Action::Pause));
    state.update(look(9, &[(0, 4, 100)]));
    assert!(drawn(&state, INK, 80, 24)[0].ends_with("PAUSED, 7.0 s ago"));
    state.update(Event::Ended("process 7 has ended".into()));
    let lines = drawn(&state, INK, 80, 24);
    assert!(lines[0].ends_with("process 7 has ended"), "{lines:#?}");
    assert!(lines.iter().any(|l| l.starts_with("data.db")), "{lines:#?}");
}

#[test]
fn schemes_say_what_they_did_of_what_they_may_and_shall() {
    let mut state = named();
    let Event::Look(mut with) = look(9, &[(0, 4, 100)]) else { panic!() };
    let mut stats = damos::engine::Stats::default();
    (stats.sz_tried, stats.sz_applied, stats.nr_failed) = (8 << 20, 6 << 20, 2);
    let goal = GoalLook { metric: damon_core::Metric::ActiveMemBp, target: 5_000, measured: Some(2_500) };
    with.schemes.push(SchemeLook {
        action: damon_core::Action::Pageout,
        dry_run: true,
        active: true,
        stats,
        quota: Some((4 << 20, 1 << 20)),
        reset_interval: std::time::Duration::from_secs(1),
        goals: vec![goal, GoalLook { measured: None, ..goal }],
    });
    state.update(Event::Look(with));
    let text = drawn(&state, INK, 120, 40).join("\n");
    for line in [
        "#0 pageout (dry run): 6 MiB of 8 MiB tried; quota 1 MiB of 4 MiB in 1.0 s; 2 failed",
        "goal ActiveMemBp: 2500 of 5000, score 50%",
        "goal ActiveMemBp: ? of 5000",
    ] {
        assert!(text.contains(line), "{line} is missing:\n{text}");
    }
}

#[test]
fn every_key_is_explained_at_eighty_by_twenty_four() {
    let mut state = named();
    state.update(Event::Asked(Action::Help));
    let lines = drawn(&state, INK, 80, 24);
    for b in crate::watch::keys::KEYS {
        assert!(lines.iter().any(|l| l.contains(b.shown) && l.contains(b.what)), "{}:\n{lines:#?}", b.shown);
    }
    assert!(lines.iter().any(|l| l.contains("sorted by hotness")), "{lines:#?}");
}

#[test]
fn heat_is_told_by_colour_or_by_ink_and_never_by_both() {
    let state = named();
    let has_colour = |ink| {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(&state, ink, frame.area(), frame.buffer_mut())).unwrap();
        let cells = &terminal.backend().buffer().content;
        cells.iter().any(|c| c.bg != ratatui::style::Color::Reset || c.fg != ratatui::style::Color::Reset)
    };
    assert!(!has_colour(INK) && has_colour(Ink { colour: true, ..INK }));
    assert!(drawn(&state, INK, 80, 24).join("").is_ascii());
}
