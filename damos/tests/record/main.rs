//! Records survive the journey through both formats, and a damaged one says where.
#![cfg(feature = "record")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

mod damage;
mod formats;
mod support;
