//! Loads the model again when its file changes, or when told to. A model that is refused changes
//! nothing but a counter: the one before is still served.

use super::app::App;
use super::file_watch::FileWatch;
use super::traces;
use crate::load::{self, LoadError, LoadedModel};
use contract::config::{MlflowVersion, ModelSource};
use std::time::{Duration, Instant};
use std::{io, thread};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::RecvError;

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
    /// No thread.
    #[error("cannot start a thread")]
    Thread(#[from] io::Error),
    /// A panic.
    #[error("loading the model failed")]
    Panic(#[source] RecvError),
}

/// Reloads whenever there is news of `file`, for ever.
pub async fn watch(app: &'static App, mut file: FileWatch) {
    loop {
        file.news().await;
        report(app, reload(app).await);
    }
}

/// Loads the model from where it came from, and serves it if it differs. One attempt at a time, so
/// that the newest file wins; on a thread of its own, so that predictions have theirs.
///
/// # Errors
/// [`ReloadError`]; then the model is the same as before.
pub async fn reload(app: &App) -> Result<Outcome, ReloadError> {
    let _turn = app.reloading.lock().await;
    let begin = Instant::now();
    let source = app.source.clone();
    let model = on_thread(move || load::load(&source)).await?;
    let mut model = model.inspect_err(|error| app.metrics.load.failed(error.reason))?;
    let served = app.served();
    let identity = |model: &LoadedModel| (model.sha256.clone(), model.fetched_version.clone());
    if identity(&model) == identity(&served.model) {
        return Ok(Outcome::Unchanged);
    }
    succeed(&served.model, &mut model);
    app.replace(model, begin.elapsed())?;
    Ok(Outcome::Replaced)
}

/// Reloads whenever the alias of an MLflow model stands for another version, for ever; at once done
/// for models that come from elsewhere.
pub async fn follow_alias(app: &'static App) {
    let ModelSource::Mlflow(source) = &app.source.source else {
        return;
    };
    while let MlflowVersion::Alias(alias) = &source.version {
        let jitter = 0.8 + 0.4 * fastrand::f64();
        tokio::time::sleep(LOOK.mul_f64(jitter)).await;
        let (asked, source) = (alias, source.clone());
        let found = on_thread(move || load::mlflow_version(&source)).await;
        let served = app.served().model.fetched_version.clone();
        match found.and_then(|found| Ok(found?)) {
            Ok(found) if Some(&found) == served.as_ref() => {}
            Ok(found) => {
                tracing::info!(alias = asked, version = found, "the alias has moved");
                report(app, reload(app).await);
            }
            Err(error) => tracing::warn!(alias = asked, "cannot look at the alias: {error}"),
        }
    }
}

/// Time between two looks at an alias, give or take a fifth.
const LOOK: Duration = Duration::from_secs(30);

async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ReloadError> {
    let work = traces::carried(work);
    let (sender, done) = oneshot::channel();
    let thread = thread::Builder::new().name("load".to_owned());
    // Nobody waits for it any more at the end of the server only.
    thread.spawn(move || drop(sender.send(work())))?;
    done.await.map_err(ReloadError::Panic)
}

/// What clients and series go by stays what it was: the name in paths, and that a version is one
/// file, whose predictions are counted and judged apart from those of any other.
fn succeed(before: &LoadedModel, model: &mut LoadedModel) {
    if model.name != before.name {
        tracing::warn!(before.name, model.name, "the model keeps its name");
        model.name.clone_from(&before.name);
    }
    if model.version == before.version {
        let sha256 = model.sha256.get(..8).unwrap_or_default();
        let version = format!("{}-{sha256}", model.version);
        tracing::warn!(before.version, version, "another model of the same version");
        model.version = version;
    }
    let features = |model: &LoadedModel| {
        let features = model.manifest.features.iter();
        features
            .map(|feature| feature.name.clone())
            .collect::<Vec<_>>()
    };
    if features(before) != features(model) || before.manifest.classes != model.manifest.classes {
        tracing::warn!("the model has other features or classes than the one before");
    }
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
        ModelSource::Builtin(_)
        | ModelSource::Http(_)
        | ModelSource::S3(_)
        | ModelSource::Mlflow(_) => None,
    }
}
