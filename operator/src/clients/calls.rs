//! Counts what is asked of the API server, and notes which kinds are still asked for.

use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use kube::client::Body;
use prometheus::{IntCounterVec, Opts};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;
use tower::{Layer, Service};

/// A layer of each client.
#[derive(Debug, Clone)]
pub struct Calls {
    made: IntCounterVec,
    watched: Watched,
}

/// When each kind was last listed or watched anew, with whatever outcome. The API server ends
/// every watch after a minute, so one that is silent for long is stuck.
#[derive(Debug, Clone, Default)]
pub struct Watched(Arc<Mutex<HashMap<String, Instant>>>);

/// A client whose calls are counted.
#[derive(Debug, Clone)]
pub struct Counted<S> {
    inner: S,
    calls: Calls,
}

impl Calls {
    /// No calls yet.
    ///
    /// # Errors
    /// If the metric contradicts itself.
    pub fn new() -> Result<Self, prometheus::Error> {
        let made = IntCounterVec::new(
            Opts::new(
                "modelservice_api_requests_total",
                "Calls of the API server, by verb, resource and status code.",
            ),
            &["verb", "resource", "code"],
        )?;
        let watched = Watched::default();
        Ok(Self { made, watched })
    }

    /// For the registry.
    pub fn metric(&self) -> IntCounterVec {
        self.made.clone()
    }

    /// When each kind was last watched.
    pub fn watched(&self) -> Watched {
        self.watched.clone()
    }

    fn count(&self, [verb, resource]: [&str; 2], code: &str) {
        self.made.with_label_values(&[verb, resource, code]).inc();
        if matches!(verb, "list" | "watch") {
            self.watched
                .now()
                .insert(resource.to_owned(), Instant::now());
        }
    }
}

impl Watched {
    /// The kind that has been silent for longest.
    pub fn longest_silence(&self) -> Option<(String, Duration)> {
        let watched = self.now();
        let oldest = watched.iter().min_by_key(|(_, last)| **last)?;
        Some((oldest.0.clone(), oldest.1.elapsed()))
    }

    fn now(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        // A panic elsewhere cannot leave the map half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Layer<S> for Calls {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            inner,
            calls: self.clone(),
        }
    }
}

impl<S, B> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<B>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (verb, resource) = (verb(&request), resource(request.uri().path()));
        let calls = self.calls.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let code = answer.as_ref().map(Response::status);
            let code = code.as_ref().map_or("none", StatusCode::as_str);
            calls.count([verb, &resource], code);
            answer
        })
    }
}

/// As audit logs call it.
fn verb(request: &Request<Body>) -> &'static str {
    let query = request.uri().query().unwrap_or_default();
    let named = place(request.uri().path()).is_some_and(|(_, name, _)| name.is_some());
    match *request.method() {
        Method::GET if query.split('&').any(|part| part == "watch=true") => "watch",
        Method::GET if named => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    }
}

/// `resource` or `resource/subresource`.
fn resource(path: &str) -> String {
    match place(path) {
        Some((resource, _, Some(subresource))) => format!("{resource}/{subresource}"),
        Some((resource, ..)) => resource.to_owned(),
        None => "other".to_owned(),
    }
}

/// Resource, name and subresource of `/api/v1/…` or `/apis/group/version/…`.
fn place(path: &str) -> Option<(&str, Option<&str>, Option<&str>)> {
    let mut parts = path.trim_matches('/').split('/');
    match parts.next()? {
        "api" => parts.next()?,
        "apis" => parts.nth(1)?,
        _ => return None,
    };
    let first = parts.next()?;
    let resource = match first {
        "namespaces" => {
            let _namespace = parts.next();
            parts.next()?
        }
        resource => resource,
    };
    Some((resource, parts.next(), parts.next()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("GET", "/api/v1/configmaps?limit=100", "list", "configmaps")]
    #[case(
        "GET",
        "/apis/apps/v1/deployments?&watch=true&timeoutSeconds=60",
        "watch",
        "deployments"
    )]
    #[case("GET", "/api/v1/namespaces/a/configmaps/b", "get", "configmaps")]
    #[case(
        "PATCH",
        "/apis/modelservice.dev/v1alpha1/namespaces/a/modelservices/b/status?fieldManager=x",
        "patch",
        "modelservices/status"
    )]
    #[case(
        "POST",
        "/apis/events.k8s.io/v1/namespaces/a/events",
        "create",
        "events"
    )]
    #[case(
        "PUT",
        "/apis/coordination.k8s.io/v1/namespaces/a/leases/b",
        "update",
        "leases"
    )]
    #[case("DELETE", "/api/v1/namespaces/a/configmaps/b", "delete", "configmaps")]
    #[case("GET", "/version", "list", "other")]
    fn calls_are_named_as_in_the_audit_log(
        #[case] method: &str,
        #[case] uri: &str,
        #[case] expected_verb: &str,
        #[case] expected_resource: &str,
    ) {
        let request = Request::builder().method(method).uri(uri);
        let request = request.body(Body::empty()).unwrap();
        assert_eq!(verb(&request), expected_verb);
        assert_eq!(resource(request.uri().path()), expected_resource);
    }

    #[tokio::test(start_paused = true)]
    async fn the_watch_that_is_silent_for_longest_is_named() {
        let calls = Calls::new().unwrap();
        let pause = Duration::from_secs(60);
        assert_eq!(calls.watched().longest_silence(), None);
        calls.count(["list", "pods"], "200");
        calls.count(["watch", "services"], "none");
        tokio::time::advance(pause).await;
        calls.count(["watch", "pods"], "200");
        calls.count(["get", "services"], "200");
        let silent = Some(("services".to_owned(), pause));
        assert_eq!(calls.watched().longest_silence(), silent);
    }
}
