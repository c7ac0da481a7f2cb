//! The library's monitor as a [`Watcher`].

use core::time::Duration;

use damon_core::{Adjust, Attrs, AttrsSpec, BadAttrs, Instant, Monitor, Next, TargetId, TargetSpec, View, Window};

use crate::{Memory, WINDOWS, Watcher};

/// A monitor of a [`Memory`], with its own idea of the time.
#[derive(Debug)]
pub struct Monitored {
    monitor: Monitor,
    memory: Memory,
    now: Instant,
}

impl Monitored {
    /// With so many regions while it samples, or as many checks of half of them where it does not split at random.
    ///
    /// # Errors
    /// Below 6 regions: half of them is less than a monitor's least.
    pub fn new(regions: usize, adjust: Adjust) -> Result<Self, BadAttrs> {
        let sampling = Duration::from_millis(5);
        let attrs = Attrs::try_from(AttrsSpec {
            adjust,
            sampling,
            max_checks: Some(regions),
            aggregation: sampling * WINDOWS,
            update: Duration::from_secs(1 << 30), // looking for new ranges is not what is timed
            min_nr_regions: regions / 2,
            max_nr_regions: regions,
            ..Default::default()
        })?;
        let mut monitor = Monitor::new(attrs, 7);
        monitor.add_target(TargetSpec::new(TargetId::new(0)));
        Ok(Self { monitor, memory: Memory::for_regions(regions), now: Instant::ZERO })
    }

    /// What it knows.
    pub fn view(&self) -> View<'_> {
        self.monitor.view()
    }

    #[inline]
    fn begin(&mut self) {
        let Ok(next) = self.monitor.begin(self.now, &mut self.memory);
        match next {
            Next::At(t) => self.now = t,
            next => panic!("nothing to watch: {next:?}"),
        }
    }

    #[inline]
    fn end(&mut self) -> Window {
        let Ok(window) = self.monitor.end(self.now, &mut self.memory);
        window
    }
}

impl Watcher for Monitored {
    fn begin_first(&mut self) {
        self.begin();
    }

    fn windows(&mut self) -> u64 {
        let mut checks = 0;
        for _ in 1..WINDOWS {
            match self.end() {
                Window::Counted(stats) => checks += u64::from(stats.checks),
                window => panic!("out of step: {window:?}"),
            }
            self.begin();
        }
        checks
    }

    fn end_last(&mut self) -> u64 {
        match self.end() {
            Window::Aggregated(stats) => stats.checks.into(),
            window => panic!("out of step: {window:?}"),
        }
    }
}
