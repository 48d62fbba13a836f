//! Generates the messages of `proto/open_inference.proto`, their description for reflection, and a
//! client for the tests.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

const PROTO: &str = "proto/open_inference.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let client = out.join("client");
    fs::create_dir_all(&client)?;
    let files = protox::Compiler::new(["proto"])?
        .include_source_info(false)
        .open_file("open_inference.proto")?
        .encode_file_descriptor_set();
    fs::write(out.join("open_inference.bin"), files)?;
    let messages = || protox::compile([PROTO], ["proto"]);
    tonic_prost_build::configure()
        .build_client(false)
        .build_server(false)
        .compile_fds(messages()?)?;
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .out_dir(client)
        .compile_fds(messages()?)?;
    Ok(())
}
