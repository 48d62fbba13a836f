//! Asks a server for predictions as fast or as regularly as wanted, and sums up its answers.
//!
//! ```text
//! CSV ─table→ Table ─rows→ Rows ─request→ Request
//! ```

pub mod request;
pub mod rows;
