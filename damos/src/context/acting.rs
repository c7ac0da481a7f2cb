//! The acting half of a context: schemes, who carries them out, and who measures for their goals.

use core::fmt;
use core::time::Duration;

use damon_core::{ApplyOps, DynError, Erased, Instant, Metrics, Monitor};

use crate::engine::{SchemeError, Schemes, Tried};
use crate::scheme::Scheme;

/// Told of each region that a scheme was tried on.
pub(super) type Observer = Box<dyn FnMut(&Tried) + Send + Sync>;

/// Behind pointers, so that a context is of the same type whether it acts or not.
pub(super) struct Acting {
    schemes: Schemes,
    actor: Box<dyn ApplyOps<Error = DynError> + Send + Sync>,
    metrics: Box<dyn Metrics + Send + Sync>,
    observer: Option<Observer>,
    last_error: Option<DynError>,
}

impl Default for Acting {
    fn default() -> Self {
        Self {
            schemes: Schemes::default(),
            actor: Box::new(Erased(())),
            metrics: Box::new(()),
            observer: None,
            last_error: None,
        }
    }
}

impl fmt::Debug for Acting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acting")
            .field("schemes", &self.schemes)
            .field("last_error", &self.last_error)
            .finish_non_exhaustive()
    }
}

impl Acting {
    pub(super) fn set_actor(&mut self, actor: impl ApplyOps + Send + Sync + 'static) {
        self.actor = Box::new(Erased(actor));
    }

    pub(super) fn set_metrics(&mut self, metrics: impl Metrics + Send + Sync + 'static) {
        self.metrics = Box::new(metrics);
    }

    pub(super) fn set_observer(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    pub(super) fn commit(&mut self, monitor: &Monitor, list: Vec<Scheme>) -> Result<(), SchemeError> {
        self.schemes.commit(&monitor.view(), &*self.actor, list)
    }

    pub(super) const fn schemes(&self) -> &Schemes {
        &self.schemes
    }

    pub(super) const fn schemes_mut(&mut self) -> &mut Schemes {
        &mut self.schemes
    }

    pub(super) const fn last_error(&self) -> Option<&DynError> {
        self.last_error.as_ref()
    }

    /// Until when there is nothing to watch for; `None`: there is.
    pub(super) fn dormant_until(&mut self, now: Instant) -> Option<Instant> {
        self.schemes.activate(now, &mut *self.metrics)
    }

    /// Applies what is due, and says on how many regions that failed, and how long it took to act.
    pub(super) fn apply(&mut self, now: Instant, aggregated: bool, monitor: &mut Monitor) -> (u64, Duration) {
        if self.schemes.schemes().len() == 0 {
            return (0, Duration::ZERO);
        }
        let Self { schemes, actor, metrics, observer, last_error } = self;
        let mut observe = |tried: &Tried| {
            if let Some(observer) = observer {
                observer(tried);
            }
        };
        let outcome = schemes.apply_with(now, aggregated, monitor, &mut **actor, &mut **metrics, &mut observe);
        if outcome.error.is_some() {
            *last_error = outcome.error;
        }
        (outcome.nr_failed, outcome.took)
    }
}
