//! The `inference` binary: see [`inference::cli`].
#![forbid(unsafe_code)]

use clap::Parser;
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    match inference::cli::run(inference::cli::Cli::parse()) {
        Ok(code) => code,
        // Whoever reads the output has seen enough of it.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
