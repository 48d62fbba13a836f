//! Loads the model again when its file changes, or when told to. A model that is refused changes
//! nothing but a counter: the one before is still served.

use super::app::App;
use crate::load::{self, LoadError};
use contract::config::ModelSource;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::Signal;

/// Time between two looks at the file.
const LOOK: Duration = Duration::from_secs(2);

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

/// Reloads whenever `file` changes or `hangup` comes, for ever.
pub async fn watch(app: Arc<App>, mut file: Watched, mut hangup: Signal) {
    loop {
        tokio::select! {
            _ = hangup.recv() => file.settle(),
            () = file.change() => {}
        }
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

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

/// The model's file, if it has one.
#[derive(Debug)]
pub struct Watched {
    path: Option<String>,
    loaded: Option<Fingerprint>,
}

impl Watched {
    /// The file of `source` as it is now, which is to be loaded next.
    pub fn new(source: &ModelSource) -> Self {
        let path = match source {
            ModelSource::File(path) => Some(path.clone()),
            ModelSource::Builtin(_) => None,
        };
        let mut watched = Self { path, loaded: None };
        watched.settle();
        watched
    }

    /// The file as it is now is the one that was loaded.
    fn settle(&mut self) {
        self.loaded = self.look();
    }

    /// Done once the file is another one and is no longer being written. A file that is gone has
    /// not changed: a volume may be away for a moment.
    async fn change(&mut self) {
        let mut before = self.loaded;
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.look();
            if now.is_some() && now != self.loaded && now == before {
                self.loaded = now;
                return;
            }
            before = now;
        }
    }

    fn look(&self) -> Option<Fingerprint> {
        let file = fs::metadata(self.path.as_ref()?).ok()?;
        Some(Fingerprint {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
        })
    }
}
