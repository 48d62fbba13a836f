//! Serves one tabular model, and trains the files it serves.
//!
//! ```text
//! CSV ─table→ Table ─train→ ModelFile ─────────────file──────────────→ load ─→ LoadedModel
//!                                                                                │
//! request ─decode→ rows of the client ─validate→ Batch ─predict→ Predictions ─encode→ answer
//! ```
//!
//! An error says what failed, and its source why: whoever shows one shows the chain.
#![forbid(unsafe_code)]

mod address;
pub mod artifact;
pub mod capped;
pub mod cli;
pub mod engine;
pub mod evaluate;
pub mod load;
pub mod load_generator;
pub mod memory_limit;
pub mod model;
pub mod names;
pub mod object;
pub mod predict;
pub mod report;
pub mod serve;
pub mod table;
pub mod train;
