//! API keys and the token for the metrics: who is let in, what is counted, what a changed file does.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use axum::body::Body;
use bytes::Bytes;
use contract::config::{SecretFile, ServerConfig};
use contract::labels::Endpoint;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{Method, Request, StatusCode};
use http_body_util::channel::Channel;
use inference::serve::access::key_file::line;
use inference::serve::access::needs_key;
use rstest::rstest;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use support::process::{Process, get, read_all, refusal};
use support::rpc::Rpc;
use support::{Answer, Behaviour, ROW, Server, made, request};
use tonic::Code;

const ROW_OF_MADE: &str = r#"{"a": 1, "b": 2}"#;

/// A folder with secrets.
struct Secrets(tempfile::TempDir);

impl Secrets {
    fn new() -> Self {
        let secrets = Self(tempfile::tempdir().unwrap());
        secrets.write("keys", &keys(&[("alice", "one"), ("bob", "two")]));
        secrets.write("token", "scrape-me\n");
        secrets
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// As a careful writer does it: nobody sees a half of the file.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path("aside"), text).unwrap();
        fs::rename(self.path("aside"), self.path(name)).unwrap();
    }

    fn file(&self, name: &str) -> Option<SecretFile> {
        let file = self.path(name);
        Some(SecretFile { file })
    }

    /// A server in this process that needs one of the keys.
    fn server(&self, behaviour: Behaviour) -> Server {
        let config = ServerConfig {
            api_keys: self.file("keys"),
            ..ServerConfig::default()
        };
        Server::guarded(made(behaviour, &[]), &config)
    }
}

fn keys(keys: &[(&str, &str)]) -> String {
    let lines = keys.iter().map(|(id, key)| line(id, key) + "\n");
    lines.collect()
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

async fn predict(server: &Server, key: &str, body: &'static str) -> Answer {
    let mut request = request(Method::POST, "/predict", body);
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, bearer(key).parse().unwrap());
    server.send(request).await
}

fn counted(server: &Server, id: &str, outcome: &str) -> f64 {
    let series = format!("api_key_requests_total{{key_id=\"{id}\",outcome=\"{outcome}\"}}");
    server.metric(&series)
}

#[tokio::test]
async fn every_route_asks_for_a_key_exactly_if_its_endpoint_needs_one() {
    let secrets = Secrets::new();
    let server = secrets.server(Behaviour::Add);
    let mut asked = 0;
    for endpoint in Endpoint::ALL.iter().filter(|endpoint| !endpoint.is_grpc()) {
        let path = match endpoint {
            Endpoint::Other => "/nowhere".to_owned(),
            endpoint => endpoint.as_str().replace("{model}", "made"),
        };
        for method in [Method::GET, Method::POST] {
            let mut with_key = request(method.clone(), &path, ROW_OF_MADE);
            let headers = with_key.headers_mut();
            headers.insert(AUTHORIZATION, bearer("one").parse().unwrap());
            let welcome = server.send(with_key).await;
            assert_ne!(welcome.status, StatusCode::UNAUTHORIZED, "{path}");
            let no_route = welcome.text.contains("no such route");
            // These two share a path.
            let answering = match (endpoint, &method) {
                (Endpoint::V1Model | Endpoint::V1Predict, &Method::GET) => Endpoint::V1Model,
                (Endpoint::V1Model | Endpoint::V1Predict, _) => Endpoint::V1Predict,
                (endpoint, _) => *endpoint,
            };
            let refused = server.send(request(method, &path, ROW_OF_MADE)).await;
            let expected = needs_key(answering) && (!no_route || answering == Endpoint::V1Predict);
            let refused = refused.status == StatusCode::UNAUTHORIZED;
            assert_eq!(refused, expected, "{path}");
            asked += usize::from(refused);
        }
    }
    assert!(asked >= 10, "{asked}");
}

#[rstest]
#[case::live("ServerLive", false)]
#[case::ready("ServerReady", false)]
#[case::model_ready("ModelReady", false)]
#[case::server("ServerMetadata", true)]
#[case::model("ModelMetadata", true)]
#[case::infer("ModelInfer", true)]
#[case::statistics("ModelStatistics", true)]
#[case::index("RepositoryIndex", true)]
#[case::load("RepositoryModelLoad", true)]
#[case::unload("RepositoryModelUnload", true)]
#[tokio::test]
async fn a_call_asks_for_a_key_where_rest_does(#[case] method: &str, #[case] needed: bool) {
    let secrets = Secrets::new();
    let rpc = Rpc::start(&secrets.server(Behaviour::Add));
    for (key, expected) in [("", needed), ("wrong", needed), ("one", false)] {
        let status = rpc
            .call_with(method, &[("authorization", &bearer(key))], &[])
            .await;
        let refused = status.code() == Code::Unauthenticated;
        assert_eq!(refused, expected, "{method} with {key:?}: {status:?}");
    }
}

#[tokio::test]
async fn calls_are_counted_for_their_keys() {
    let secrets = Secrets::new();
    let server = secrets.server(Behaviour::Add);
    let rpc = Rpc::start(&server);
    for key in ["one", "one", "two", "three"] {
        let key = ("authorization", bearer(key));
        let _ = rpc
            .call_with("ServerMetadata", &[(key.0, &key.1)], &[])
            .await;
    }
    assert_eq!(counted(&server, "alice", "success"), 2.0);
    assert_eq!(counted(&server, "bob", "success"), 1.0);
    assert_eq!(counted(&server, "unknown", "unauthorized"), 1.0);
}

#[rstest]
#[case(Endpoint::Predict, true)]
#[case(Endpoint::Feedback, true)]
#[case(Endpoint::V2Server, true)]
#[case(Endpoint::V2Model, true)]
#[case(Endpoint::V2Infer, true)]
#[case(Endpoint::V2Load, true)]
#[case(Endpoint::V1Predict, true)]
#[case(Endpoint::Invocations, true)]
#[case(Endpoint::GrpcInfer, true)]
#[case(Endpoint::GrpcHealth, false)]
#[case(Endpoint::Ping, false)]
#[case(Endpoint::Health, false)]
#[case(Endpoint::V2Live, false)]
#[case(Endpoint::V2Ready, false)]
#[case(Endpoint::V2ModelReady, false)]
#[case(Endpoint::Docs, false)]
#[case(Endpoint::OpenApi, false)]
#[case(Endpoint::Metrics, false)]
#[case(Endpoint::Other, false)]
fn the_model_needs_a_key_and_probes_do_not(#[case] endpoint: Endpoint, #[case] needed: bool) {
    assert_eq!(needs_key(endpoint), needed);
}

#[rstest]
#[case(&[("authorization", "Bearer one")], true)]
#[case(&[("authorization", "bearer two")], true)]
#[case(&[("x-api-key", "one")], true)]
#[case(&[("x-api-key", "two"), ("authorization", "Bearer of-a-proxy")], true)]
#[case(&[("x-api-key", "two"), ("authorization", "Basic b25lOnR3bw==")], true)]
#[case(&[("x-api-key", "wrong"), ("authorization", "Bearer one")], false)]
#[case(&[("authorization", "Basic b25lOnR3bw==")], false)]
#[case(&[("authorization", "one")], false)]
#[case(&[("authorization", "Bearer wrong")], false)]
#[case(&[("authorization", "Bearer ")], false)]
#[case(&[("x-api-key", "")], false)]
#[case(&[("x-api-key", "onetwo")], false)]
#[case(&[("x-api-key", "alice")], false)]
#[case(&[], false)]
#[tokio::test]
async fn a_key_is_taken_from_either_header(
    #[case] headers: &[(&str, &str)],
    #[case] admitted: bool,
) {
    let secrets = Secrets::new();
    let server = secrets.server(Behaviour::Add);
    let mut request = Request::post("/predict");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = server.send(request.body(ROW_OF_MADE.into()).unwrap()).await;
    if admitted {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    } else {
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.headers[WWW_AUTHENTICATE], "Bearer");
        assert!(!answer.text.contains("wrong"), "{}", answer.text);
        assert_eq!(counted(&server, "unknown", "unauthorized"), 1.0);
    }
}

#[tokio::test]
async fn what_became_of_the_requests_of_each_key_is_counted() {
    let secrets = Secrets::new();
    let server = secrets.server(Behaviour::Panic);
    for id in ["alice", "bob"] {
        for outcome in ["success", "client_error", "server_error"] {
            assert_eq!(counted(&server, id, outcome), 0.0);
        }
    }
    assert_eq!(counted(&server, "unknown", "unauthorized"), 0.0);
    for (key, body) in [
        ("one", ROW_OF_MADE),
        ("one", ROW_OF_MADE),
        ("one", "{}"),
        ("two", r#"{"a": 666, "b": 2}"#),
        ("three", ROW_OF_MADE),
    ] {
        predict(&server, key, body).await;
    }
    for (id, outcome, expected) in [
        ("alice", "success", 2.0),
        ("alice", "client_error", 1.0),
        ("alice", "server_error", 0.0),
        ("bob", "success", 0.0),
        ("bob", "client_error", 0.0),
        ("bob", "server_error", 1.0),
        ("unknown", "unauthorized", 1.0),
    ] {
        assert_eq!(counted(&server, id, outcome), expected, "{id} {outcome}");
    }
    let errors = r#"api_errors_total{endpoint="/predict",error_type="unauthorized"}"#;
    assert_eq!(server.metric(errors), 1.0);
    let answers = r#"api_requests_total{endpoint="/predict",method="POST",status="401"}"#;
    assert_eq!(server.metric(answers), 1.0);
    assert!(server.exposition().lines().all(|line| {
        let of_keys = line.starts_with("api_key_requests_total");
        !of_keys
            || ["alice", "bob", "unknown"]
                .iter()
                .any(|id| line.contains(id))
    }));
}

#[tokio::test]
async fn a_request_that_is_given_up_counts_as_the_clients_fault() {
    let secrets = Secrets::new();
    let server = secrets.server(Behaviour::Add);
    let (_sender, body) = Channel::<Bytes>::new(1);
    let request = Request::post("/predict").header("x-api-key", "one");
    let answer = server.send(request.body(Body::new(body)).unwrap());
    let given_up = tokio::time::timeout(Duration::from_millis(50), answer).await;
    assert!(given_up.is_err());
    assert_eq!(counted(&server, "alice", "client_error"), 1.0);
}

#[tokio::test]
async fn nobody_waits_for_the_body_of_a_request_without_a_key() {
    let secrets = Secrets::new();
    let server = secrets.server(Behaviour::Add);
    let (_sender, body) = Channel::<Bytes>::new(1);
    let answer = server.send(request(Method::POST, "/predict", Body::new(body)));
    let answer = tokio::time::timeout(Duration::from_secs(2), answer).await;
    assert_eq!(answer.unwrap().status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_keys_everybody_is_admitted_and_nothing_is_said_about_keys() {
    let server = Server::made(Behaviour::Add);
    assert_eq!(
        server.post("/predict", ROW_OF_MADE).await.status,
        StatusCode::OK
    );
    let text = server.exposition();
    assert!(!text.contains("api_key_requests_total"));
    assert!(!text.contains("unauthorized"));
    let described = server.get("/openapi.json").await.json();
    assert!(described["components"]["securitySchemes"].is_null());
    assert!(described["paths"]["/predict"]["post"]["security"].is_null());
}

#[tokio::test]
async fn the_description_says_how_to_show_a_key() {
    let secrets = Secrets::new();
    let described = secrets
        .server(Behaviour::Add)
        .get("/openapi.json")
        .await
        .json();
    let schemes = &described["components"]["securitySchemes"];
    assert_eq!(schemes["bearer"]["scheme"], "bearer");
    assert_eq!(schemes["apiKey"]["name"], "x-api-key");
    let predict = &described["paths"]["/predict"]["post"];
    assert_eq!(predict["security"].as_array().unwrap().len(), 2);
    assert!(predict["responses"]["401"].is_object());
    assert!(described["paths"]["/health"]["get"]["security"].is_null());
}

#[tokio::test]
async fn the_description_says_what_each_route_asks_for() {
    let secrets = Secrets::new();
    let config = ServerConfig {
        api_keys: secrets.file("keys"),
        metrics_token: secrets.file("token"),
        ..ServerConfig::default()
    };
    let server = Server::guarded(made(Behaviour::Add, &[]), &config);
    let described = server.get("/openapi.json").await.json();
    assert_eq!(
        described["components"]["securitySchemes"]["metricsToken"]["scheme"],
        "bearer"
    );
    for (path, item) in described["paths"].as_object().unwrap() {
        let path = path.replace("{model}", "made").replace("{version}", "v7");
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            let answer = server.send(request(method, &path, "")).await;
            let documented = &operation["responses"]["401"];
            let refused = answer.status == StatusCode::UNAUTHORIZED;
            assert_eq!(documented.is_object(), refused, "{path}");
            assert_eq!(operation["security"].is_array(), refused, "{path}");
            if refused {
                let example = &documented["content"]["application/json"]["example"];
                assert_eq!(&answer.json(), example, "{path}");
            }
        }
    }
}

#[test]
fn a_made_key_works_with_its_line() {
    let secrets = Secrets::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_inference"));
    let output = command.args(["api-key", "--id", "carol"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    };
    let (key, line) = (value("key"), value("line"));
    assert!(key.len() >= 43 && line.starts_with("carol:") && !line.contains(&key));
    secrets.write("keys", &line);
    let server = Process::start(&["--api-keys", &secrets.path("keys")]);
    assert!(ask(&server, &key).starts_with("HTTP/1.1 200 OK"));
    let wrong = command.args(["--id", "unknown"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

/// The answer to a prediction asked for with `key`.
fn ask(server: &Process, key: &str) -> String {
    let length = ROW.len();
    let request = format!(
        "POST /predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: {key}\r\n\
         content-length: {length}\r\n\r\n{ROW}"
    );
    server.talk(request.as_bytes())
}

fn await_status(status: u16, mut ask: impl FnMut() -> String) {
    let begin = Instant::now();
    loop {
        let answer = ask();
        if answer.starts_with(&format!("HTTP/1.1 {status}")) {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{answer}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_changed_file_of_keys_is_taken_and_a_broken_one_is_not() {
    let secrets = Secrets::new();
    let server = Process::start(&["--api-keys", &secrets.path("keys")]);
    await_status(200, || ask(&server, "one"));
    secrets.write("keys", &keys(&[("alice", "new"), ("carol", "three")]));
    await_status(200, || ask(&server, "new"));
    for (key, status) in [("one", 401), ("two", 401), ("three", 200)] {
        await_status(status, || ask(&server, key));
    }
    let exposition = server.talk(&get("/metrics"));
    assert!(exposition.contains("key_id=\"carol\"") && !exposition.contains("key_id=\"bob\""));
    let alice = "api_key_requests_total{key_id=\"alice\",outcome=\"success\"}";
    assert_eq!(server.metric(alice, 2.0), 2.0);

    secrets.write("keys", "dave:plain-text-key\n");
    server.signal("-HUP");
    server.await_log("line 1: expected the 64 hex digits of a sha256");
    assert!(!server.log().join("").contains("plain-text-key"));
    await_status(200, || ask(&server, "new"));

    fs::remove_file(secrets.path("keys")).unwrap();
    server.signal("-HUP");
    server.await_log("No such file");
    await_status(200, || ask(&server, "new"));
    await_status(401, || ask(&server, "one"));
}

#[test]
fn a_broken_file_of_keys_stops_the_server_at_its_start() {
    let secrets = Secrets::new();
    let said = |path: &str| refusal(&["--api-keys", path]);
    let keys = secrets.path("keys");
    secrets.write("keys", "# nobody\n");
    assert_eq!(said(&keys), format!("InvalidApiKeys: {keys} has no key"));
    secrets.write("keys", "\nalice\n");
    let line = "line 2: expected KEY_ID:SHA256_HEX_OF_THE_KEY";
    assert_eq!(said(&keys), format!("InvalidApiKeys: {keys}: {line}"));
    let folder = secrets.0.path().to_str().unwrap().to_owned();
    let expected = format!("InvalidApiKeys: {folder} is not a regular file");
    assert_eq!(said(&folder), expected);
    let missing = "InvalidApiKeys: /nowhere/keys: No such file";
    assert!(said("/nowhere/keys").starts_with(missing));
}

#[test]
fn a_broken_token_stops_the_server_at_its_start() {
    let secrets = Secrets::new();
    let token = secrets.path("token");
    for broken in ["", " \n", "two words", "Grüße"] {
        secrets.write("token", broken);
        assert_eq!(
            refusal(&["--metrics-token", &token]),
            format!("InvalidMetricsToken: {token} must hold one token of visible ASCII characters")
        );
    }
    assert!(refusal(&["--metrics-token", "/nowhere"]).contains("No such file"));
}

fn scrape(address: impl std::net::ToSocketAddrs, path: &str, token: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
    let rest = format!("authorization: Bearer {token}\r\n\r\n");
    stream.write_all((head + &rest).as_bytes()).unwrap();
    read_all(stream)
}

#[test]
fn the_metrics_need_their_token_on_both_listeners_and_probes_need_none() {
    let secrets = Secrets::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = free.local_addr().unwrap();
    drop(free);
    let (token, address) = (secrets.path("token"), admin.to_string());
    let server = Process::start(&["--metrics-token", &token, "--admin", &address]);
    for listener in [server.address, admin] {
        let refused = scrape(listener, "/metrics", "scrape-you");
        assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
        assert!(refused.contains("www-authenticate: Bearer"), "{refused}");
        assert!(!refused.contains("scrape-you"), "{refused}");
        let exposition = scrape(listener, "/metrics", "scrape-me");
        assert!(exposition.contains("model_loaded 1"), "{exposition}");
    }
    assert!(server.talk(&get("/metrics")).starts_with("HTTP/1.1 401"));
    for path in ["/livez", "/readyz"] {
        assert!(scrape(admin, path, "").starts_with("HTTP/1.1 200"));
    }
    secrets.write("token", "scrape-you");
    await_status(200, || scrape(admin, "/metrics", "scrape-you"));
    assert!(scrape(admin, "/metrics", "scrape-me").starts_with("HTTP/1.1 401"));
    secrets.write("token", "");
    server.signal("-HUP");
    server.await_log("must hold one token");
    assert!(scrape(admin, "/metrics", "scrape-you").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_folder_that_kubernetes_swaps_is_noticed() {
    let secrets = Secrets::new();
    let folder = |name: &str| secrets.0.path().join(name);
    let publish = |version: &str, key: &str| {
        fs::create_dir(folder(version)).unwrap();
        fs::write(folder(version).join("api-keys"), line("alice", key)).unwrap();
        std::os::unix::fs::symlink(version, folder("..tmp")).unwrap();
        fs::rename(folder("..tmp"), folder("..data")).unwrap();
    };
    publish("..1", "one");
    std::os::unix::fs::symlink(Path::new("..data/api-keys"), folder("api-keys")).unwrap();
    let server = Process::start(&["--api-keys", &secrets.path("api-keys")]);
    publish("..2", "two");
    await_status(200, || ask(&server, "two"));
    await_status(401, || ask(&server, "one"));
}
