//! Reads API keys, the metrics' token and the certificate again when their files change. A broken
//! file is logged and changes nothing.

use super::app::App;
use super::file_watch::FileWatch;
use super::tls::Identity;
use contract::config::ServerConfig;
use std::fmt::Display;
use std::sync::Arc;

/// The files that `config` names.
pub fn files(config: &ServerConfig) -> Vec<String> {
    let tls = config.tls.iter();
    let tls = tls.flat_map(|tls| [&tls.certificate, &tls.key]);
    let lists = [&config.api_keys, &config.metrics_token];
    let lists = lists.into_iter().flatten().map(|list| &list.file);
    tls.chain(lists).cloned().collect()
}

/// Reads everything again whenever there is news of `files`, for ever.
pub async fn watch(app: &'static App, identity: Option<Arc<Identity>>, mut files: FileWatch) {
    loop {
        files.news().await;
        if let Some(keys) = &app.access.keys {
            report("API keys", keys.reload());
        }
        if let Some(token) = &app.access.metrics_token {
            report("token for the metrics", token.reload());
        }
        if let Some(identity) = &identity {
            report("certificate", identity.reload());
        }
    }
}

fn report(what: &str, outcome: Result<(), impl Display>) {
    match outcome {
        Ok(()) => tracing::info!(what, "read again"),
        Err(error) => tracing::error!(what, "not read again, as before: {error}"),
    }
}
