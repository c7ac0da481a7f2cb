//! Example binaries, and what they share.
