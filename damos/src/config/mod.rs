//! Configurations of damo, the tool that DAMON's users have, in and out: what it prints runs here, what is made here it
//! takes.
//!
//! Counterpart: the `kdamonds` documents of damo 3.4.3, as JSON.
//!
//! ```text
//!   JSON ◀──▶ Document ◀──▶ Config: AttrsSpec, TargetSpec, Scheme
//!     all of it, in units      what this library can do; what it cannot is a Refusal that names the place
//! ```
//!
//! [`Document`] holds whatever damo's documents can say, each [quantity] in a type of its own, and writes it in
//! damo's words. [`Document::configs`] makes of it what a monitor and its schemes take; [`Config::to_context`] goes back.
//!
//! ```
//! use damos::config::Document;
//!
//! let document: Document = r#"{"kdamonds": [{"contexts": [{
//!     "ops": "paddr",
//!     "targets": [{"pid": null, "regions": [{"start": "0", "end": "4 GiB"}]}],
//!     "schemes": [{"action": "pageout", "apply_interval_us": "1 s"}]
//! }]}]}"#.parse()?;
//! let configs = document.configs(&())?;
//! assert_eq!(configs[0].schemes[0].action, damon_core::Action::Pageout);
//! assert_eq!(document.to_string().parse::<Document>()?, document);
//!
//! let error = r#"{"kdamonds": [{"contexts": [{"ops": "paddr", "targets": [], "addr_unit": "1 s"}]}]}"#
//!     .parse::<Document>().unwrap_err();
//! assert!(error.to_string().starts_with("kdamonds[0].contexts[0].addr_unit: \"1 s\" is not a size"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod document;
mod honour;
pub mod quantity;

pub use document::{Document, DocumentError};
pub use honour::{Cgroups, Config, Refusal, Refusals, Watched, Why};
