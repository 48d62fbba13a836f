//! Generates the messages of `proto/open_inference.proto`, a client, and a description for reflection.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

const PROTO: &str = "proto/open_inference.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let files = protox::Compiler::new(["proto"])?
        .include_source_info(false)
        .open_file("open_inference.proto")?
        .encode_file_descriptor_set();
    fs::write(out.join("open_inference.bin"), files)?;
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .compile_fds(protox::compile([PROTO], ["proto"])?)?;
    Ok(())
}
