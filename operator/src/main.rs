//! See [`operator`].
#![forbid(unsafe_code)]

use clap::Parser;
use std::process::ExitCode;
use tikv_jemallocator::Jemalloc;

// Lists are thousands of small pieces: the C library takes a third more CPU for them, and a quarter more
// memory.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    match operator::cli::Cli::parse().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
