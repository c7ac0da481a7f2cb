//! Physical memory on Linux for damon-core.
