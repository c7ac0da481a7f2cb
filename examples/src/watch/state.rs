//! What is shown, as a value: events in, wishes out. It draws nothing, reads no clock and touches no file.

use std::collections::BTreeMap;
use std::time::Duration;

use damon_core::{AddrRange, Attrs, Instant, RegionSnapshot, Snapshot, TargetId};
use damos::record::Mapping;

use super::history::History;
use super::keys::Action;
use super::look::Look;
use super::meter::Meter;
use super::panels::{Panel, panels};
use super::units::Units;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// An aggregation ended.
    Look(Box<Look>),
    /// What is mapped in a target's addresses, and which process it is.
    Mapped(TargetId, Option<u32>, Vec<Mapping>),
    /// Somebody asked for something.
    Asked(Action),
    /// What is watched has ended, and how.
    Ended(String),
    /// There is something to say, until the next key.
    Said(String),
}

/// What a person wants of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Files of what is shown.
    Dump,
    /// The terminal for a while.
    Suspend,
    /// Everything drawn anew.
    Redraw,
    /// To end.
    Quit,
}

/// In which order regions are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The highest rate first; of equals those that have been so for longest, the idle for shortest.
    #[default]
    Hotness,
    /// The largest first.
    Size,
    /// The longest unchanged first.
    Age,
    /// Ascending addresses.
    Address,
}

/// What lies over the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlay {
    /// Keys and signs.
    Help,
    /// What works here.
    Info,
}

/// Steps of time in a column, in milliseconds.
const STEPS_MS: [u64; 12] = [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 3_600_000];
const SECOND: usize = 3;
/// So many columns are gone back or forth with a key.
const JUMP: u32 = 5;

/// All that is shown.
#[derive(Debug)]
pub struct State {
    /// Whose memory it is.
    pub title: String,
    /// What works here, and what is missed.
    pub info: String,
    /// What was seen.
    pub history: History,
    /// The last look, without its snapshot's history.
    pub look: Option<Box<Look>>,
    /// The attributes that watching began with.
    pub first_attrs: Option<Attrs>,
    /// What monitoring costs.
    pub meter: Meter,
    /// What is mapped where, and whose it is.
    pub mapped: BTreeMap<TargetId, (Option<u32>, Vec<Mapping>)>,
    /// What is watched has ended.
    pub ended: Option<String>,
    /// What there is to say.
    pub said: Option<String>,
    /// The order of regions.
    pub sort: Sort,
    /// The units of figures.
    pub units: Units,
    /// Draws with colours.
    pub colour: bool,
    /// Which region is marked, as it is sorted.
    pub selected: usize,
    /// What lies over the picture.
    pub overlay: Option<Overlay>,
    paused: Option<Instant>,
    step: usize,
    target: Option<TargetId>,
    panels: Vec<Panel>,
    zoom: Vec<AddrRange>,
}

impl State {
    /// Of `title`, where `info` says what works; nothing has been seen.
    pub fn new(title: String, info: String, colour: bool) -> Self {
        Self {
            title,
            info,
            history: History::default(),
            look: None,
            first_attrs: None,
            meter: Meter::default(),
            mapped: BTreeMap::new(),
            ended: None,
            said: None,
            sort: Sort::default(),
            units: Units::default(),
            colour,
            selected: 0,
            overlay: None,
            paused: None,
            step: SECOND,
            target: None,
            panels: Vec::new(),
            zoom: Vec::new(),
        }
    }

    /// Takes in what happened, and says what is wanted.
    pub fn update(&mut self, event: Event) -> Option<Wish> {
        match event {
            Event::Look(look) => self.look(look),
            Event::Mapped(target, pid, mappings) => {
                // Of a process that has ended, what was mapped last is kept.
                if !mappings.is_empty() || !self.mapped.contains_key(&target) {
                    self.mapped.insert(target, (pid, mappings));
                    self.lay_out();
                }
            }
            Event::Ended(how) => self.ended = Some(how),
            Event::Said(what) => self.said = Some(what),
            Event::Asked(action) => {
                self.said = None;
                return self.asked(action);
            }
        }
        None
    }

    fn look(&mut self, look: Box<Look>) {
        self.meter.count(look.snapshot.at, &look.health);
        self.history.push(look.snapshot.clone());
        self.first_attrs.get_or_insert_with(|| look.attrs.clone());
        let ids: Vec<_> = look.snapshot.targets.iter().map(|t| t.id).collect();
        // A picture that stands still keeps its target.
        if self.paused.is_none() && self.target.is_none_or(|t| !ids.contains(&t)) {
            self.turn_to(largest(&look.snapshot));
        }
        self.look = Some(look);
        self.lay_out();
    }

    /// Another target: its addresses have nothing to do with the last one's.
    fn turn_to(&mut self, target: Option<TargetId>) {
        if target.is_some() && target != self.target {
            self.target = target;
            self.panels.clear();
            self.zoom.clear();
            self.selected = 0;
        }
    }

    /// Panels of what is shown, which may be past.
    fn lay_out(&mut self) {
        let Some((snapshot, target)) = self.snapshot().zip(self.target) else { return };
        let regions = snapshot.targets.iter().find(|t| t.id == target).map_or(&[][..], |t| &t.regions);
        let mappings = self.mapped.get(&target).map_or(&[][..], |(_, mappings)| mappings);
        if !regions.is_empty() {
            self.panels = panels(regions, mappings, &self.panels);
        }
    }

    fn asked(&mut self, action: Action) -> Option<Wish> {
        match action {
            Action::Quit => return Some(Wish::Quit),
            Action::Dump => return Some(Wish::Dump),
            Action::Suspend => return Some(Wish::Suspend),
            Action::Redraw => return Some(Wish::Redraw),
            Action::Help => self.overlay = toggled(self.overlay, Overlay::Help),
            Action::Info => self.overlay = toggled(self.overlay, Overlay::Info),
            Action::ZoomOut if self.overlay.is_some() => self.overlay = None,
            Action::Pause => {
                self.paused = if self.paused.is_some() { None } else { self.now() };
                self.lay_out();
            }
            Action::Earlier => self.go(|end, by| Instant::from_nanos(end.as_nanos().saturating_sub(nanos(by)))),
            Action::Later => self.go(|end, by| end + by),
            Action::TimeIn => self.step = self.step.saturating_sub(1),
            Action::TimeOut => self.step = (self.step + 1).min(STEPS_MS.len() - 1),
            Action::Up => self.selected = self.selected.saturating_sub(1),
            Action::Down => self.selected = (self.selected + 1).min(self.regions().len().saturating_sub(1)),
            Action::ZoomIn => self.zoom_in(),
            Action::ZoomOut => drop(self.zoom.pop()),
            Action::Sort => (self.sort, self.selected) = (self.sort.next(), 0),
            Action::Units => self.units = self.units.next(),
            Action::Colour => self.colour = !self.colour,
            Action::Target => {
                let ids: Vec<_> = self.history.last().into_iter().flat_map(|s| &s.targets).map(|t| t.id).collect();
                let next = ids.iter().find(|id| self.target < Some(**id)).or(ids.first());
                self.turn_to(next.copied());
                self.lay_out();
            }
        }
        None
    }

    /// Stops, and goes back or forth between the beginning and now.
    fn go(&mut self, to: impl Fn(Instant, Duration) -> Instant) {
        let Some((start, now)) = self.history.start().zip(self.now()) else { return };
        let end = to(self.paused.unwrap_or(now), self.step() * JUMP);
        self.paused = Some(end.clamp(start.min(now), now));
        self.lay_out();
    }

    fn zoom_in(&mut self) {
        let Some(region) = self.regions().get(self.selected).map(|r| r.range) else { return };
        let panel = self.panels.iter().map(|p| p.range).find(|p| p.contains(region.start()));
        let near = |panel: AddrRange| {
            let (start, end) =
                (region.start().saturating_sub(region.size() / 2), region.end().saturating_add(region.size() / 2));
            AddrRange::new(start, end)?.intersection(panel)
        };
        let next = match (self.zoom.len(), panel) {
            (0, Some(panel)) => Some(panel),
            (1, Some(panel)) => near(panel),
            _ => None,
        };
        self.zoom.extend(next);
    }

    /// How long a column is.
    pub fn step(&self) -> Duration {
        Duration::from_millis(STEPS_MS[self.step])
    }

    /// The picture stands still; for how long it has, by what was seen since.
    pub fn paused(&self) -> Option<Duration> {
        Some(self.now()? - self.paused?)
    }

    /// The end of what was seen.
    fn now(&self) -> Option<Instant> {
        self.history.last().map(|s| s.at)
    }

    /// The time that the picture ends with.
    pub fn end(&self) -> Option<Instant> {
        self.paused.or(self.now())
    }

    /// The snapshot that figures are of.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.history.at(self.end()?)
    }

    /// Whose heat is drawn, its number among how many.
    pub fn target(&self) -> Option<(TargetId, usize, usize)> {
        let (id, targets) = (self.target?, &self.history.last()?.targets);
        Some((id, targets.iter().position(|t| t.id == id)?, targets.len()))
    }

    /// The regions of the target, as they are sorted.
    pub fn regions(&self) -> Vec<&RegionSnapshot> {
        let targets = self.snapshot().map_or(&[][..], |s| &s.targets);
        let target = targets.iter().find(|t| Some(t.id) == self.target);
        let mut regions: Vec<_> = target.into_iter().flat_map(|t| &t.regions).collect();
        self.sort.sort(&mut regions);
        regions
    }

    /// The addresses that are drawn: all, or those that were zoomed into.
    pub fn panels(&self) -> Vec<Panel> {
        match self.zoom.last() {
            Some(&zoom) => {
                let name =
                    self.panels.iter().find(|p| p.range.intersection(zoom).is_some()).map_or("memory", |p| &p.name);
                vec![Panel::new(name, zoom)]
            }
            None => self.panels.clone(),
        }
    }

    /// What is mapped at an address.
    pub fn name(&self, addr: u64) -> &str {
        self.panels.iter().find(|p| p.range.contains(addr)).map_or("", |p| &p.name)
    }
}

impl Sort {
    const fn next(self) -> Self {
        match self {
            Self::Hotness => Self::Size,
            Self::Size => Self::Age,
            Self::Age => Self::Address,
            Self::Address => Self::Hotness,
        }
    }

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hotness => "hotness",
            Self::Size => "size",
            Self::Age => "age",
            Self::Address => "address",
        }
    }

    fn sort(self, regions: &mut [&RegionSnapshot]) {
        let hotness = |r: &RegionSnapshot| {
            let age = i128::try_from(r.age_time.as_nanos()).unwrap_or(i128::MAX);
            (r.rate, if r.rate.0 > 0 { age } else { -age })
        };
        regions.sort_by(|a, b| match self {
            Self::Hotness => hotness(b).cmp(&hotness(a)),
            Self::Size => b.range.size().cmp(&a.range.size()),
            Self::Age => b.age_time.cmp(&a.age_time),
            Self::Address => a.range.start().cmp(&b.range.start()),
        });
    }
}

/// The target with the most accessed bytes, of equals the largest.
fn largest(s: &Snapshot) -> Option<TargetId> {
    let weight = |t: &damon_core::TargetSnapshot| {
        let heat: u128 = t.regions.iter().map(|r| u128::from(r.range.size()) * u128::from(r.rate.0)).sum();
        (heat, t.regions.iter().map(|r| u128::from(r.range.size())).sum::<u128>())
    };
    s.targets.iter().max_by_key(|t| weight(t)).map(|t| t.id)
}

fn toggled(now: Option<Overlay>, to: Overlay) -> Option<Overlay> {
    (now != Some(to)).then_some(to)
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::tests::{at, look, mapping, range, state};

    fn starts(state: &State) -> Vec<u64> {
        state.regions().iter().map(|r| r.range.start() >> 20).collect()
    }

    fn press(state: &mut State, action: Action, times: usize) {
        for _ in 0..times {
            state.update(Event::Asked(action));
        }
    }

    #[test]
    fn sorting_goes_round_and_keeps_every_region() {
        let mut state = state();
        assert_eq!((state.sort, starts(&state)), (Sort::Hotness, vec![4, 40, 0, 8]));
        let orders = [(Sort::Size, [40, 8, 0, 4]), (Sort::Age, [0, 4, 8, 40]), (Sort::Address, [0, 4, 8, 40])];
        for (sort, expected) in orders {
            state.update(Event::Asked(Action::Sort));
            assert_eq!((state.sort, starts(&state)), (sort, expected.to_vec()));
        }
        state.update(Event::Asked(Action::Sort));
        assert_eq!(state.sort, Sort::Hotness);
    }

    #[test]
    fn a_pause_holds_the_picture_while_more_comes() {
        let mut state = state();
        let before = state.end();
        state.update(Event::Asked(Action::Pause));
        state.update(look(10, &[(0, 4, 100)]));
        assert_eq!((state.end(), state.paused()), (before, Some(Duration::from_secs(8))));
        assert_eq!(starts(&state), [4, 40, 0, 8]);
        state.update(Event::Asked(Action::Pause));
        assert_eq!((state.end(), state.paused(), starts(&state)), (Some(at(10)), None, vec![0]));
    }

    #[test]
    fn the_past_is_between_the_beginning_and_now() {
        let mut state = state();
        state.update(Event::Asked(Action::Earlier));
        assert_eq!(state.end(), state.history.start());
        press(&mut state, Action::Later, 9);
        assert_eq!(state.paused(), Some(Duration::ZERO));
    }

    #[test]
    fn columns_get_shorter_and_longer_within_limits() {
        let mut state = state();
        assert_eq!(state.step(), Duration::from_secs(1));
        press(&mut state, Action::TimeIn, 1);
        assert_eq!(state.step(), Duration::from_millis(500));
        press(&mut state, Action::TimeIn, 50);
        assert_eq!(state.step(), Duration::from_millis(100));
        press(&mut state, Action::TimeOut, 50);
        assert_eq!(state.step(), Duration::from_secs(3_600));
    }

    #[test]
    fn zooming_goes_to_the_mapping_then_to_the_region_and_back() {
        let mut state = state();
        state.update(Event::Mapped(TargetId::new(0), Some(7), vec![mapping(0, 12, "[heap]"), mapping(40, 60, "/a/b")]));
        let panels = |state: &State| state.panels().iter().map(|p| (p.name.clone(), p.range)).collect::<Vec<_>>();
        let all = [("[heap]".to_owned(), range(0, 12)), ("b".to_owned(), range(40, 60))];
        assert_eq!(panels(&state), all);
        state.update(Event::Asked(Action::ZoomIn));
        assert_eq!(panels(&state), all[..1]);
        state.update(Event::Asked(Action::ZoomIn));
        assert_eq!(panels(&state), [("[heap]".to_owned(), range(2, 10))]);
        press(&mut state, Action::ZoomOut, 3);
        assert_eq!(panels(&state), all);
    }

    #[test]
    fn what_has_ended_keeps_its_last_picture_and_names() {
        let mut state = state();
        let id = TargetId::new(0);
        state.update(Event::Mapped(id, Some(7), vec![mapping(0, 12, "[heap]")]));
        state.update(Event::Ended("process 7 has ended".into()));
        state.update(Event::Mapped(id, None, Vec::new()));
        assert_eq!((state.name(1), starts(&state)), ("[heap]", vec![4, 40, 0, 8]));
        assert_eq!(state.ended.as_deref(), Some("process 7 has ended"));
    }

    #[test]
    fn esc_closes_what_lies_over_the_picture_first() {
        let mut state = state();
        let mut press = |action| {
            state.update(Event::Asked(action));
            (state.overlay, state.panels().len())
        };
        press(Action::ZoomIn);
        assert_eq!(press(Action::Help), (Some(Overlay::Help), 1));
        assert_eq!(press(Action::Info), (Some(Overlay::Info), 1));
        assert_eq!(press(Action::ZoomOut), (None, 1));
        assert_eq!(press(Action::ZoomOut), (None, 2));
    }

    #[test]
    fn what_was_said_stands_until_the_next_key() {
        let mut state = state();
        state.update(Event::Said("wrote it".into()));
        state.update(look(10, &[(0, 4, 100)]));
        assert_eq!(state.said.as_deref(), Some("wrote it"));
        state.update(Event::Asked(Action::Up));
        assert_eq!(state.said, None);
    }

    #[test]
    fn a_target_that_is_gone_gives_way_to_one_that_is_there() {
        let mut state = state();
        let Event::Look(mut second) = look(10, &[(0, 4, 100)]) else { panic!() };
        second.snapshot.targets[0].id = TargetId::new(5);
        state.update(Event::Look(second));
        assert_eq!(state.target(), Some((TargetId::new(5), 0, 1)));
    }

    #[test]
    fn nothing_that_is_asked_before_anything_was_seen_does_harm() {
        let mut state = State::new("nothing".into(), String::new(), false);
        for binding in super::super::keys::KEYS {
            state.update(Event::Asked(binding.action));
        }
        assert_eq!((state.regions().len(), state.panels().len(), state.paused()), (0, 0, None));
    }
}
