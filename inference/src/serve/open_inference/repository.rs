//! The models that there are, and whether they are served, as Triton's
//! `protocol/extension_model_repository.md` has it. There is one model; loading it again and
//! unloading it must be allowed by the configuration.

use crate::serve::app::App;
use crate::serve::error::Error;
use crate::serve::health;
use crate::serve::reload::{self, Outcome, ReloadError};
use crate::serve::traces;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::pin::pin;

/// What an index is asked for.
#[derive(Debug, Default, Deserialize)]
pub struct IndexRequest {
    /// Only the models that are ready.
    #[serde(default)]
    pub ready: bool,
}

/// What is sent along with a request to load or unload.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ControlRequest {
    #[serde(default)]
    parameters: Option<Map<String, Value>>,
}

/// A model of the repository.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Name in paths.
    pub name: String,
    /// Its version.
    pub version: String,
    /// READY or UNAVAILABLE.
    pub state: &'static str,
    /// Why it is not ready; empty if it is.
    pub reason: &'static str,
}

/// The models that there are; with `ready` only those that are ready.
pub fn index(app: &App, ready: bool) -> Vec<Entry> {
    let served = app.served();
    let reason = health::check_ready(app, &served).err();
    if ready && reason.is_some() {
        return Vec::new();
    }
    vec![Entry {
        name: served.model.name.clone(),
        version: served.model.version.clone(),
        state: reason.map_or("READY", |_| "UNAVAILABLE"),
        reason: reason.unwrap_or_default(),
    }]
}

/// Loads the model again from where it came from, and serves it if it was unloaded.
///
/// # Errors
/// `ControlDisabled`, `UnknownModel`, or `Load` if the model was refused; then all is as before.
pub async fn load(app: &'static App, name: &str) -> Result<(), Error> {
    check(app, name)?;
    // What has begun is finished, whether the client waits for it or not.
    let place = traces::here();
    let loading = async move { traces::wait_at(place, pin!(reload_and_resume(app))).await };
    let loading = tokio::spawn(loading);
    let loaded = loading.await.map_err(|failure| {
        tracing::error!(%failure, "the model was not loaded");
        Error::Internal
    })?;
    match loaded {
        Ok(Outcome::Replaced | Outcome::Unchanged) => Ok(()),
        Err(ReloadError::Load(refused)) => Err(Error::Load(refused.to_string())),
        Err(failure) => {
            tracing::error!(%failure, "the model was not loaded");
            Err(Error::Internal)
        }
    }
}

async fn reload_and_resume(app: &'static App) -> Result<Outcome, ReloadError> {
    let outcome = reload::reload(app).await?;
    app.resume();
    tracing::info!(sha256 = app.served().model.sha256, "the model was loaded");
    Ok(outcome)
}

/// From now on the model is not served.
///
/// # Errors
/// `ControlDisabled` or `UnknownModel`.
pub fn unload(app: &App, name: &str) -> Result<(), Error> {
    check(app, name)?;
    app.unload();
    tracing::info!("the model was unloaded");
    Ok(())
}

/// Refuses to load with other settings than those that the server was started with.
///
/// # Errors
/// `Invalid` if there are any.
pub fn check_parameters<'a>(mut names: impl Iterator<Item = &'a String>) -> Result<(), Error> {
    match names.next() {
        None => Ok(()),
        Some(name) => {
            let name = crate::serve::error::Echo(name);
            let message = format!("a model is loaded without parameters, not with {name}");
            Err(Error::Invalid(message))
        }
    }
}

impl ControlRequest {
    /// Names of the parameters.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &String> {
        self.parameters.iter().flat_map(Map::keys)
    }
}

fn check(app: &App, name: &str) -> Result<(), Error> {
    if !app.model_control {
        return Err(Error::ControlDisabled);
    }
    match name == app.served().model.name {
        true => Ok(()),
        false => Err(Error::UnknownModel(name.to_owned())),
    }
}
