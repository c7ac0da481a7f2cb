//! The audit trail as events of `tracing`.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use damon_core::{Action, Instant};
use damos::engine::Schemes;
use damos::scheme::Scheme;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::support::*;

/// Writes down each event as a line.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("{} {}", event.metadata().level(), event.metadata().target()));
        event.record(&mut line);
        self.0.lock().expect("no test panics with it").push(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn each_region_that_was_tried_is_an_event_and_a_failure_is_a_warning() {
    let lines = Lines::default();
    let mut told = 0;
    tracing::subscriber::with_default(lines.clone(), || {
        let mut monitor = finished(&[(0, 10, 0, 5), (10, 20, 9, 7)]);
        let mut actor = Actor { broken_at: Some(14 * GRANULE), ..Actor::default() };
        let list = vec![Scheme::new(Action::Pageout)];
        let mut schemes = Schemes::new(&monitor.view(), &actor, list).expect("a valid scheme");
        let _ = schemes.apply_with(Instant::ZERO, true, &mut monitor, &mut actor, &mut (), &mut |_| told += 1);
    });
    let lines = lines.0.lock().expect("no test panics with it");
    assert_eq!(
        *lines,
        [
            "DEBUG damos::action scheme=0 action=Pageout memory=0 start=0 end=40960 nr_accesses=0 age=5 applied=40960 \
             dry_run=false",
            "WARN damos::action scheme=0 action=Pageout memory=0 start=40960 end=81920 nr_accesses=9 age=7 \
             applied=16384 dry_run=false error=no",
        ]
    );
    assert_eq!(told, lines.len(), "beside the callback");
}
