//! The step loop and the worker thread of a DAMON monitor.
