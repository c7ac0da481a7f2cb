//! Laws: arithmetic of the controllers, numbers in and numbers out. Who asks, and what for, is elsewhere.

pub mod feed_loop;
pub mod goal;
pub mod intervals;
pub mod priority;
pub mod quota;
pub mod rescale;
pub mod shares;
pub mod watermarks;

mod moving_sum;

pub use moving_sum::moving_sum;
