//! Why schemes are refused.

use damon_core::{Metric, TargetId, Unsupported};

/// What is wrong with a list of schemes. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemeError {
    /// Who acts will not do that.
    #[error("scheme {scheme}: {reason}")]
    Unsupported {
        /// Its place in the list.
        scheme: usize,
        /// What, and why not.
        #[source]
        reason: Unsupported,
    },
    /// It is about memory that was not accessed, and there is memory where reads are invisible.
    #[error(
        "scheme {scheme} acts on memory that was not accessed, but of target {} some reads are invisible: \
         leave that out with a filter, or set allow_write_only", .target.get()
    )]
    Blind {
        /// Its place in the list.
        scheme: usize,
        /// Whose memory.
        target: TargetId,
    },
    /// A goal of 0 is reached before it is measured.
    #[error("scheme {scheme}: goal {goal} ({metric:?}) has the target value 0, which nothing can be measured against")]
    ZeroGoal {
        /// Its place in the list.
        scheme: usize,
        /// Its place among the scheme's goals.
        goal: usize,
        /// What it is about.
        metric: Metric,
    },
    /// Marks that are not in order.
    #[error("scheme {scheme}: watermarks must be high >= mid >= low, but are {high}, {mid}, {low}")]
    Watermarks {
        /// Its place in the list.
        scheme: usize,
        /// The high mark.
        high: u64,
        /// The middle one.
        mid: u64,
        /// The low one.
        low: u64,
    },
    /// A charge that is divided by 0.
    #[error("scheme {scheme}: fail_charge is {num}/0: give it a denominator, or None to charge all")]
    FailCharge {
        /// Its place in the list.
        scheme: usize,
        /// The numerator.
        num: u32,
    },
}
