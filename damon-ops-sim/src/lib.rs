//! Simulated memory of known truth for damon-core.
