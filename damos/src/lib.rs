//! DAMOS, the operation schemes of DAMON, and what drives a monitor: the step loop and the worker thread.
//!
//! [`damon_core::Monitor`] counts; this crate decides when, and what to do about it. [`Context`] is the one loop as a value:
//! it ends and begins sampling windows, applies [schemes](scheme), tries again where the backend asks for it, and keeps
//! monitoring within a CPU budget. Anything may drive it: [`Kdamond`] is a thread that does, an async task or a
//! simulation are others.
//!
//! ```text
//!   Kdamond ──┐
//!   async task ──▶ Context::step(now, cpu used) ──▶ when to step again
//!   simulation ─┘    end window · apply schemes · look · keep the budget · begin window
//! ```
//!
//! | module | what for |
//! |---|---|
//! | [`scheme`] | what a person writes: patterns, actions, quotas, goals, watermarks, filters |
//! | [`engine`] | schemes at work: [`Schemes`](engine::Schemes) applies them, and knows what happened |
//! | [`preset`] | proactive reclaim, LRU sorting, statistics: the kernel's modules |
//! | [`context`] | monitor, backend and schemes as one value to step |
//! | [`runner`] | the thread |
//! | `config` | damo's JSON, in and out (feature `config`) |
//! | `record` | snapshots in files, damo's and its own format (feature `record`) |
//! | `telemetry` | figures for Prometheus and its like (feature `metrics`) |
//!
//! ```
//! use damon_core::{Attrs, Monitor};
//! use damos::{Context, Kdamond};
//! use std::time::Duration;
//!
//! // `()` is no memory at all; any `Ops` goes here.
//! let kdamond = Kdamond::spawn(Context::new(Monitor::new(Attrs::default(), 1), ()))?;
//! let regions = kdamond.with(|context| context.view().targets().iter().map(|t| t.regions().len()).sum::<usize>())?;
//! assert_eq!(regions, 0);
//! let context = kdamond.stop()?;
//! assert_eq!(context.health().retries, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Features, off by default: `config`, `record`, `metrics`, and `tracing`, which makes an event of each action.
#![forbid(unsafe_code)]

pub mod clock;
#[cfg(feature = "config")]
pub mod config;
pub mod context;
pub mod engine;
pub mod preset;
#[cfg(feature = "record")]
pub mod record;
pub mod runner;
pub mod scheme;
#[cfg(feature = "metrics")]
pub mod telemetry;

pub use context::Context;
pub use runner::Kdamond;
