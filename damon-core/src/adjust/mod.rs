//! Algorithms that merge and split regions.

/// Which algorithm adjusts the regions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Adjust {
    /// The kernel's.
    #[default]
    Classic,
}
