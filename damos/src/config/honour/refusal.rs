//! What cannot be honoured: where it stands, and why.

use core::fmt;
use core::time::Duration;

use super::Cgroups;
use crate::config::quantity::{Micros, Millis};

/// Something that a document asks for and this library cannot do, or the other way round.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
#[non_exhaustive]
pub struct Refusal {
    /// Its place, such as `kdamonds[0].contexts[0].schemes[1].quotas.goals[0].nid`.
    pub path: String,
    /// What is wrong with it.
    pub why: Why,
}

/// Why something is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// There is nothing like it.
    #[error("{0}")]
    NotSupported(&'static str),
    /// It was left out.
    #[error("is missing: {0}")]
    Missing(&'static str),
    /// It is out of bounds.
    #[error("is {value}, but must be {rule}")]
    Value {
        /// What it is.
        value: String,
        /// What it must be.
        rule: String,
    },
    /// Nobody knows the cgroup.
    #[error("there is no cgroup {0:?}")]
    Cgroup(String),
    /// Nobody knows the cgroup's path.
    #[error("the path of the cgroup with id {0} is not known")]
    CgroupId(u64),
}

impl Why {
    pub(super) fn value(value: impl ToString, rule: impl Into<String>) -> Self {
        Self::Value { value: value.to_string(), rule: rule.into() }
    }
}

/// All that was refused: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals(Vec<Refusal>);

impl Refusals {
    /// One by one, in the document's order as far as it has one.
    pub fn iter(&self) -> core::slice::Iter<'_, Refusal> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Refusals {
    type Item = &'a Refusal;
    type IntoIter = core::slice::Iter<'a, Refusal>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One a line.
impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, refusal) in self.0.iter().enumerate() {
            write!(f, "{}{refusal}", if i > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl core::error::Error for Refusals {}

/// A place in a document.
#[derive(Clone, Debug, Default)]
pub(super) struct At(String);

impl At {
    pub(super) fn key(&self, key: &str) -> Self {
        Self(if self.0.is_empty() { key.into() } else { format!("{}.{key}", self.0) })
    }

    pub(super) fn item(&self, list: &str, index: usize) -> Self {
        Self(format!("{}[{index}]", self.key(list).0))
    }
}

/// Collects what is refused, so that all of it is said at once. What stands in for something refused is never handed out.
pub(super) struct Judge<'a> {
    pub(super) cgroups: &'a dyn Cgroups,
    refusals: Vec<Refusal>,
}

impl<'a> Judge<'a> {
    pub(super) const fn new(cgroups: &'a dyn Cgroups) -> Self {
        Self { cgroups, refusals: Vec::new() }
    }

    pub(super) fn done<T>(self, value: T) -> Result<T, Refusals> {
        if self.refusals.is_empty() { Ok(value) } else { Err(Refusals(self.refusals)) }
    }

    pub(super) fn refuse(&mut self, at: &At, why: Why) {
        self.refusals.push(Refusal { path: at.0.clone(), why });
    }

    /// The same number in another type.
    pub(super) fn fit<N: Copy + ToString, T: TryFrom<N> + Default>(&mut self, at: &At, n: N, rule: &str) -> T {
        T::try_from(n).unwrap_or_else(|_| {
            self.refuse(at, Why::value(n, rule));
            T::default()
        })
    }

    /// A cgroup's id.
    pub(super) fn cgroup(&mut self, at: &At, path: Option<&str>) -> Option<u64> {
        let id = path.and_then(|path| self.cgroups.id(path));
        match (path, id) {
            (None, _) => self.refuse(at, Why::Missing("say which cgroup")),
            (Some(path), None) => self.refuse(at, Why::Cgroup(path.into())),
            _ => {}
        }
        id
    }

    /// A cgroup's path.
    pub(super) fn cgroup_path(&mut self, at: &At, id: u64) -> Option<String> {
        let path = self.cgroups.path(id);
        if path.is_none() {
            self.refuse(at, Why::CgroupId(id));
        }
        path
    }

    pub(super) fn micros(&mut self, at: &At, d: Duration) -> Micros {
        Micros::of(d).unwrap_or_else(|| {
            self.refuse(at, Why::value(format!("{d:?}"), "a whole number of microseconds, below 2^64 - 1"));
            Micros(0)
        })
    }

    pub(super) fn millis(&mut self, at: &At, d: Duration) -> Millis {
        Millis::of(d).unwrap_or_else(|| {
            self.refuse(at, Why::value(format!("{d:?}"), "a whole number of milliseconds, below 2^64 - 1"));
            Millis(0)
        })
    }
}
