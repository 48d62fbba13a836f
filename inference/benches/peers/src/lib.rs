//! What the programs beside it share.
#![forbid(unsafe_code)]

use contract::config::{ModelConfig, ModelSource};
use inference::load::{self, LoadError, LoadedModel};
use std::env;
use std::error::Error;
use std::io;
use tokio::net::TcpListener;

/// Whatever goes wrong ends the program.
pub type Outcome = Result<(), Box<dyn Error>>;

/// The only arguments of the program, as many as `usage` names.
///
/// # Errors
/// The usage, if there are more or fewer.
pub fn arguments<const N: usize>(usage: &str) -> Result<[String; N], Box<dyn Error>> {
    let given: Vec<String> = env::args().skip(1).collect();
    given
        .try_into()
        .map_err(|_| format!("usage: {usage}").into())
}

/// The model in a file.
///
/// # Errors
/// As the server's.
pub fn model(path: String) -> Result<LoadedModel, LoadError> {
    let source = ModelSource::File(path);
    load::load(&ModelConfig {
        source,
        ..ModelConfig::default()
    })
}

/// A listener on loopback.
///
/// # Errors
/// If `port` is none, or taken.
pub async fn listen(port: &str) -> io::Result<TcpListener> {
    let port: u16 = port.parse().map_err(io::Error::other)?;
    TcpListener::bind(("127.0.0.1", port)).await
}
