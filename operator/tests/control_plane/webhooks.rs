//! Somebody else's admission webhooks refuse, hang or are gone: the condition says so, others notice
//! nothing, and all heals by itself.

use crate::cluster::{Cluster, model_service};
use crate::kubectl::{condition, eventually, kubectl};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use k8s_openapi::ByteString;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

const SPEC: &str = "{model: {source: {builtin: {name: diabetes}}}}";
/// Longest time until a person reads what is wrong: a webhook may take ten seconds to say nothing.
const WITHIN: Duration = Duration::from_secs(25);
const REFUSAL: &str = "no Deployments on Fridays";

/// Has the API server ask `address` about the Deployments of a namespace, for as long as this lives.
struct Hook {
    name: String,
}

impl Hook {
    fn of(cluster: &Cluster, address: SocketAddr, certificate: &[u8]) -> Self {
        let name = cluster.namespace.clone();
        let object = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [{
                "name": "deployments.example.com",
                "clientConfig": {
                    "url": format!("https://{address}/"),
                    "caBundle": ByteString(certificate.to_vec()),
                },
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
                "rules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"],
                    "operations": ["CREATE", "UPDATE"]}],
                "failurePolicy": "Fail",
                "timeoutSeconds": 10,
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }],
        });
        kubectl(&["create", "-f", "-"], Some(&object.to_string())).unwrap();
        Self { name }
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        let kind = "validatingwebhookconfiguration";
        let _ = kubectl(&["delete", kind, &self.name], None);
    }
}

fn certificate() -> CertifiedKey<rcgen::KeyPair> {
    generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap()
}

/// Answers every question with no.
fn refuse_all(listener: TcpListener, shown: &CertifiedKey<rcgen::KeyPair>) -> Runtime {
    let key = PrivateKeyDer::try_from(shown.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![shown.cert.der().clone()], key);
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let runtime = Runtime::new().unwrap();
    listener.set_nonblocking(true).unwrap();
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let stream = TokioIo::new(acceptor.accept(stream).await.unwrap());
                let server = hyper::server::conn::http1::Builder::new();
                // The API server closes connections as it likes.
                let _ = server.serve_connection(stream, service_fn(refuse)).await;
            });
        }
    });
    runtime
}

async fn refuse(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let review: Value = serde_json::from_slice(&body).unwrap();
    let answer = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {"uid": review["request"]["uid"], "allowed": false, "status": {"message": REFUSAL, "code": 403}},
    });
    let mut response = Response::new(Full::from(answer.to_string()));
    let json = http::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    Ok(response)
}

/// The Deployment cannot be written, and people read `words`; once `hook` is gone it is there.
fn is_said_and_heals(cluster: &Cluster, hook: Hook, words: &str) {
    cluster.serve(SPEC).unwrap();
    eventually(words, WITHIN, || {
        let ms = cluster.get("modelservice", "churn");
        let ready = ms.as_ref().and_then(|ms| condition(ms, "Ready"));
        let said = ready.is_some_and(|ready| {
            let message = ready["message"].as_str().unwrap_or_default();
            ready["reason"] == "ApiError" && message.contains(words)
        });
        said.then_some(()).ok_or(ms)
    });
    cluster.wait("service", "churn", |_| true);
    let other = Cluster::shared(&format!("beside-{}", cluster.namespace));
    other.apply(&model_service("calm", SPEC)).unwrap();
    other.wait("deployment", "calm", |_| true);
    drop(hook);
    cluster.wait("deployment", "churn", |_| true);
    cluster.wait_condition("Ready", "False", "Starting");
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn a_webhook_that_refuses_is_quoted() {
    let cluster = Cluster::shared("hook-refuses");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let shown = certificate();
    let hook = Hook::of(
        &cluster,
        listener.local_addr().unwrap(),
        shown.cert.pem().as_bytes(),
    );
    let _server = refuse_all(listener, &shown);
    is_said_and_heals(&cluster, hook, REFUSAL);
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn a_webhook_that_is_gone_is_named() {
    let cluster = Cluster::shared("hook-gone");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hook = Hook::of(
        &cluster,
        listener.local_addr().unwrap(),
        certificate().cert.pem().as_bytes(),
    );
    drop(listener);
    is_said_and_heals(&cluster, hook, "failed calling webhook");
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn a_webhook_that_hangs_is_named() {
    let cluster = Cluster::shared("hook-hangs");
    // Connections are taken by the kernel, and nobody ever answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hook = Hook::of(
        &cluster,
        listener.local_addr().unwrap(),
        certificate().cert.pem().as_bytes(),
    );
    is_said_and_heals(&cluster, hook, "failed calling webhook");
}
