//! All that a document can say, field by field, whether this library can do it or not.
//!
//! Counterpart: `Kdamond`, `DamonCtx`, `Damos` of damo 3.4.3. What may be left out there may be left out here, and then
//! is what it is there; all of it is written. An unknown field is an error.

mod context;
mod filter;
mod quota;
mod scheme;

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

pub use context::{
    Context, Intervals, IntervalsGoal, OpsKind, Prep, PrepAction, Primitives, Probe, ProbeFilter, ProbeFilterKind,
    Region, SampleControl, SampleFilter, SampleFilterKind, Target,
};
pub use filter::{SchemeFilter, SchemeFilterKind};
pub use quota::{Goal, GoalMetric, GoalTuner, Quotas, Weights};
pub use scheme::{AccessPattern, Action, Dest, MinMax, Scheme, Stats, WatermarkMetric, Watermarks};

use super::quantity::{Millis, Number};

/// A configuration: what `damo start --kdamonds` takes and `damo args damon` prints.
///
/// `parse` reads JSON and `to_string` writes it; what was read, written and read again is equal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The threads that monitor.
    pub kdamonds: Vec<Kdamond>,
}

/// A thread that monitors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kdamond {
    /// Whether it was running when the document was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Which thread that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<Number>,
    /// How often the kernel brings its files up to date; 0 is when asked.
    #[serde(default, serialize_with = "as_number")]
    pub refresh_ms: Millis,
    /// What it works on, one after the other; the kernel takes one.
    pub contexts: Vec<Context>,
}

/// Whether a thread is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// A document that is not one: what is wrong, and where.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
#[non_exhaustive]
pub struct DocumentError {
    /// The place, such as `kdamonds[0].contexts[0].targets[1].pid`; `.` is the document itself.
    pub path: String,
    /// What is wrong there.
    #[source]
    pub source: serde_json::Error,
}

impl FromStr for Document {
    type Err = DocumentError;

    fn from_str(json: &str) -> Result<Self, DocumentError> {
        let error = |path: String, source| DocumentError { path, source };
        let mut reader = serde_json::Deserializer::from_str(json);
        let document =
            serde_path_to_error::deserialize(&mut reader).map_err(|e| error(e.path().to_string(), e.into_inner()))?;
        reader.end().map_err(|e| error(".".into(), e))?;
        Ok(document)
    }
}

/// As JSON, indented.
impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string_pretty(self).map_err(|_| fmt::Error)?)
    }
}

fn as_number<S: Serializer>(ms: &Millis, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(ms.0)
}
