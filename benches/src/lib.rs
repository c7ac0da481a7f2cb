//! Benches: one file a question.
