//! Laws: arithmetic of the controllers, numbers in and numbers out. Who asks, and what for, is elsewhere.

pub mod feed_loop;
pub mod intervals;
pub mod rescale;
pub mod shares;

mod moving_sum;

pub use moving_sum::moving_sum;
