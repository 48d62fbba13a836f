//! Loads the model again when its file changes, or when told to. A model that is refused changes
//! nothing but a counter: the one before is still served.

use super::app::App;
use super::file_watch::FileWatch;
use crate::load::{self, LoadError};
use contract::config::ModelSource;
use std::sync::Arc;
use std::time::Instant;

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Another model is served now.
    Replaced,
    /// The file is the one that is served.
    Unchanged,
}

/// Why the model was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The model was refused.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The metrics contradict each other.
    #[error("the model cannot be measured")]
    Metrics(#[from] prometheus::Error),
    /// A panic.
    #[error("loading the model failed")]
    Panic(#[from] tokio::task::JoinError),
}

/// Reloads whenever there is news of `file`, for ever.
pub async fn watch(app: Arc<App>, mut file: FileWatch) {
    loop {
        file.news().await;
        report(&app, reload(&app).await);
    }
}

/// Loads the model from where it came from, and serves it if it differs.
///
/// # Errors
/// [`ReloadError`]; then the model is the same as before.
pub async fn reload(app: &App) -> Result<Outcome, ReloadError> {
    let begin = Instant::now();
    let source = app.source.clone();
    let loaded = tokio::task::spawn_blocking(move || load::load(&source)).await?;
    let model = loaded.inspect_err(|error| app.metrics.load.failed(error.reason))?;
    if model.sha256 == app.served().model.sha256 {
        return Ok(Outcome::Unchanged);
    }
    app.replace(model, begin.elapsed())?;
    Ok(Outcome::Replaced)
}

fn report(app: &App, outcome: Result<Outcome, ReloadError>) {
    let served = app.served();
    let (sha256, version) = (&served.model.sha256, &served.model.version);
    match outcome {
        Ok(Outcome::Replaced) => tracing::info!(version, sha256, "serving another model"),
        Ok(Outcome::Unchanged) => tracing::info!(version, sha256, "the model is unchanged"),
        Err(error) => tracing::error!(version, sha256, "not reloaded, still serving: {error}"),
    }
}

/// The file of `source`, if it has one.
pub fn file(source: &ModelSource) -> Option<String> {
    match source {
        ModelSource::File(path) => Some(path.clone()),
        ModelSource::Builtin(_) => None,
    }
}
