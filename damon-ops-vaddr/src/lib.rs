//! Virtual memory on Linux for damon-core.
