//! Command line over configuration file over defaults.

mod tracing;

pub use tracing::TracingArgs;

use crate::load::{is_name, source_of};
use crate::object;
use anyhow::{Context as _, ensure};
use clap::Args as ClapArgs;
use contract::config::{ModelConfig, ModelSource, SecretFile, ServerConfig, Tls};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Options of `serve`; each overrides the configuration file.
#[derive(Debug, Default, Clone, ClapArgs)]
pub struct Args {
    /// Model file to serve, or its URL; without it the built-in diabetes model.
    #[arg(long, value_name = "FILE")]
    pub model: Option<String>,
    /// Configuration as JSON.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address for predictions and documentation, as 0.0.0.0:8080 [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Address for metrics and health on a thread of their own.
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<SocketAddr>,
    /// Address for predictions over gRPC, as 127.0.0.1:8081; without it there are none.
    #[arg(long, value_name = "ADDRESS")]
    pub grpc: Option<SocketAddr>,
    /// Name of the model in URLs and metrics; by default that in the model file.
    #[arg(long)]
    pub name: Option<String>,
    /// Version in answers and metrics; by default that in the model file.
    #[arg(long)]
    pub model_version: Option<String>,
    /// File of API keys, a line KEY_ID:SHA256_HEX each; `inference api-key` makes them.
    #[arg(long, value_name = "FILE")]
    pub api_keys: Option<String>,
    /// PEM file of a certificate: predictions are then served over TLS.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<String>,
    /// PEM file of the certificate's private key.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<String>,
    /// File of the token without which nobody reads the metrics.
    #[arg(long, value_name = "FILE")]
    pub metrics_token: Option<String>,
    /// Hex sha256 that the model file must have.
    #[arg(long)]
    pub sha256: Option<String>,
    /// Requests worked on at once [default: 64].
    #[arg(long, value_name = "REQUESTS")]
    pub max_concurrent_requests: Option<u32>,
    /// Rows in one request [default: 1024].
    #[arg(long, value_name = "ROWS")]
    pub max_batch_rows: Option<u32>,
    /// Bytes in one request [default: 8388608].
    #[arg(long, value_name = "BYTES")]
    pub max_body_bytes: Option<u64>,
    /// Milliseconds until a request is given up [default: 5000].
    #[arg(long, value_name = "MILLISECONDS")]
    pub request_timeout_ms: Option<u64>,
    /// Let clients load and unload the model over the Open Inference Protocol.
    #[arg(long)]
    pub model_control: bool,
    /// Where traces are sent.
    #[command(flatten)]
    pub tracing: TracingArgs,
    /// Seconds for which requests are still accepted after SIGTERM, not ready.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=3600))]
    pub drain_delay: u64,
}

impl Args {
    /// Time between losing readiness and accepting nothing more.
    pub const fn drain_delay(&self) -> Duration {
        Duration::from_secs(self.drain_delay)
    }
}

/// Reads the configuration file, if any, and lays the command line over it.
///
/// # Errors
/// If the file cannot be read, or an option contradicts itself.
pub fn resolve(args: Args) -> anyhow::Result<ServerConfig> {
    let mut config = match &args.config {
        Some(path) => read(path)?,
        None => ServerConfig::default(),
    };
    overlay(&mut config, args)?;
    Ok(config)
}

fn read(path: &Path) -> anyhow::Result<ServerConfig> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    object::from_slice(&text).with_context(|| format!("cannot use {}", path.display()))
}

fn overlay(config: &mut ServerConfig, args: Args) -> anyhow::Result<()> {
    let model = &mut config.model;
    if args.model.is_some() {
        // The checksum in the configuration is that of another file.
        model.sha256 = None;
    }
    set(&mut model.source, args.model.map(source_of));
    set(&mut model.name, args.name.map(Some));
    set(&mut model.version, args.model_version.map(Some));
    set(&mut model.sha256, args.sha256.map(Some));
    let secret = |file| Some(SecretFile { file });
    set(&mut config.api_keys, args.api_keys.map(secret));
    set(&mut config.metrics_token, args.metrics_token.map(secret));
    let tls = args.tls_certificate.zip(args.tls_key);
    let tls = tls.map(|(certificate, key)| Some(Tls { certificate, key }));
    set(&mut config.tls, tls);
    set(&mut config.listen.http, args.listen);
    set(&mut config.listen.admin, args.admin.map(Some));
    set(&mut config.listen.grpc, args.grpc.map(Some));
    config.model_control |= args.model_control;
    let limits = &mut config.limits;
    set(
        &mut limits.max_concurrent_requests,
        args.max_concurrent_requests,
    );
    set(&mut limits.max_batch_rows, args.max_batch_rows);
    set(&mut limits.max_body_bytes, args.max_body_bytes);
    set(&mut limits.request_timeout_ms, args.request_timeout_ms);
    tracing::overlay(&mut config.tracing, args.tracing)
}

fn set<T>(setting: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *setting = given;
    }
}

/// Whether the server can work with `config`.
///
/// # Errors
/// What cannot work, and what is expected.
pub fn check(config: &ServerConfig) -> anyhow::Result<()> {
    let limits = &config.limits;
    let at_least_one = [
        (
            "maxConcurrentRequests",
            u64::from(limits.max_concurrent_requests),
        ),
        ("maxBatchRows", u64::from(limits.max_batch_rows)),
        ("maxBodyBytes", limits.max_body_bytes),
        ("requestTimeoutMs", limits.request_timeout_ms),
    ];
    for (name, value) in at_least_one {
        ensure!(value > 0, "{name} must be at least 1");
    }
    contract::business::check(&config.business_metrics)?;
    config.tracing.as_ref().map_or(Ok(()), tracing::check)?;
    check_model(&config.model)
}

fn check_model(model: &ModelConfig) -> anyhow::Result<()> {
    for (what, name) in [("name", &model.name), ("version", &model.version)] {
        if let Some(name) = name {
            ensure!(
                is_name(name),
                "the model's {what} must be 1 to 128 letters, digits, '.', '_' or '-', not {name:?}"
            );
        }
    }
    if let Some(sha256) = &model.sha256 {
        let hex = sha256.len() == 64 && sha256.chars().all(|char| char.is_ascii_hexdigit());
        ensure!(
            hex,
            "the model's sha256 must be 64 hex digits, not {sha256:?}"
        );
    }
    let nowhere = model.source == ModelSource::File(String::new());
    ensure!(!nowhere, "the path of the model file is empty");
    Ok(())
}
