//! Drives a DAMON monitor: the step loop, and the worker thread around it.
//!
//! [`damon_core::Monitor`] counts; this crate decides when. [`Context`] is the one loop as a value: it ends and
//! begins sampling windows, tries again where the backend asks for it, and keeps monitoring within a CPU budget.
//! Anything may drive it: [`Kdamond`] is a thread that does, an async task or a simulation are others.
//!
//! ```text
//!   Kdamond ──┐
//!   async task ──▶ Context::step(now, cpu used) ──▶ when to step again
//!   simulation ─┘    end window · look · keep the budget · begin window
//! ```
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
//! The feature `config` (off by default) reads and writes the configurations of damo.
#![forbid(unsafe_code)]

pub mod clock;
#[cfg(feature = "config")]
pub mod config;
pub mod context;
pub mod engine;
pub mod preset;
pub mod runner;
pub mod scheme;

pub use context::Context;
pub use runner::Kdamond;
