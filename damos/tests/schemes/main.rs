//! Schemes at work on known pictures, with an actor that only writes down what it was asked.

mod after;
mod behaviour;
mod fairness;
mod first;
mod places;
mod properties;
mod sight;
mod support;
#[cfg(feature = "tracing")]
mod trail;
