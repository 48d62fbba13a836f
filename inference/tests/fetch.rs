//! Models that lie on a web server: what is fetched, what is refused, and what is said about it.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

use contract::config::{HttpSource, ModelConfig, ModelSource};
use contract::labels::LoadFailure;
use inference::load::{self, LoadError, LoadedModel, builtin};
use rcgen::generate_simple_self_signed;
use rstest::rstest;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

/// Heads of the requests that a server got, and what it answers.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

/// The answer to the nth request of a path.
type Answer = dyn Fn(&str, usize) -> Vec<u8> + Send + Sync;

impl Server {
    fn start(answer: impl Fn(&str, usize) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::speaking(None, Arc::new(answer))
    }

    /// With TLS, if there is a configuration for it.
    fn speaking(tls: Option<Arc<ServerConfig>>, answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let heads = Arc::clone(&asked);
        let times = Mutex::new(HashMap::<String, usize>::new());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                match &tls {
                    None => exchange(stream, &heads, &times, &*answer),
                    Some(config) => {
                        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                        let stream = StreamOwned::new(connection, stream);
                        exchange(stream, &heads, &times, &*answer);
                    }
                }
            }
        });
        Self { address, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// One request and its answer; whoever goes away before says nothing more.
fn exchange<S: Read + Write>(
    stream: S,
    heads: &Mutex<Vec<String>>,
    times: &Mutex<HashMap<String, usize>>,
    answer: &Answer,
) {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if !matches!(stream.read_line(&mut head), Ok(1..)) {
            return;
        }
    }
    let path = head.split(' ').nth(1).unwrap().to_owned();
    heads.lock().unwrap().push(head);
    let nth = {
        let mut times = times.lock().unwrap();
        let nth = times.entry(path.clone()).or_default();
        *nth += 1;
        *nth
    };
    let _ = stream.get_mut().write_all(&answer(&path, nth));
    let _ = stream.get_mut().flush();
}

fn model() -> &'static [u8] {
    builtin(contract::config::Builtin::Diabetes)
}

fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    head.push_str("Connection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn found() -> Vec<u8> {
    answer("200 OK", &[], model())
}

fn fetch(url: String, secrets: Option<String>) -> Result<LoadedModel, LoadError> {
    load::load(&ModelConfig {
        source: ModelSource::Http(HttpSource { url, secrets }),
        ..ModelConfig::default()
    })
}

#[test]
fn a_model_is_served_as_if_it_were_a_file() {
    let server = Server::start(|_, _| found());
    let fetched = fetch(server.url("/models/churn.json.gz?signature=1"), None).unwrap();
    let built_in = load::load(&ModelConfig::default()).unwrap();
    assert_eq!(fetched.sha256, built_in.sha256);
    let asked = server.asked();
    assert!(asked[0].starts_with("GET /models/churn.json.gz?signature=1 HTTP/1.1\r\n"));
    let head = asked[0].to_ascii_lowercase();
    assert!(head.contains("accept-encoding: identity\r\n"), "{head}");
    assert!(!head.contains("authorization"), "{head}");
}

#[test]
fn what_is_secret_is_sent_and_only_where_it_belongs() {
    let server = Server::start(|path, _| match path {
        "/moved" => answer("302 Found", &[("Location", "/here")], b""),
        _ => found(),
    });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "s3cret\n").unwrap();
    std::fs::write(folder.path().join("allowed-hosts"), "127.0.0.1\n").unwrap();
    let secrets = folder.path().to_str().map(str::to_owned);
    fetch(server.url("/moved"), secrets).unwrap();
    let heads = server.asked();
    assert_eq!(heads.len(), 2);
    for head in heads {
        let head = head.to_ascii_lowercase();
        assert!(head.contains("authorization: bearer s3cret\r\n"), "{head}");
    }
}

#[test]
fn what_is_secret_is_not_shown_to_whom_the_secret_does_not_name() {
    let server = Server::start(|_, _| found());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "s3cret\n").unwrap();
    std::fs::write(folder.path().join("allowed-hosts"), "models.example.com\n").unwrap();
    let secrets = folder.path().to_str().map(str::to_owned);
    let error = fetch(server.url("/churn.json"), secrets).unwrap_err();
    assert_eq!(error.reason, LoadFailure::Forbidden);
    let expected = "does not say that its credentials may be shown to 127.0.0.1";
    assert!(error.message.contains(expected), "{error}");
    assert_eq!(server.asked().len(), 0);
}

#[rstest]
#[case::not_there("404 Not Found", LoadFailure::NotFound, 1)]
#[case::not_ours("403 Forbidden", LoadFailure::Forbidden, 1)]
#[case::unknown("401 Unauthorized", LoadFailure::Forbidden, 1)]
#[case::broken("500 Internal Server Error", LoadFailure::Unreachable, 4)]
fn a_refusal_is_told_and_what_may_pass_is_tried_again(
    #[case] status: &'static str,
    #[case] reason: LoadFailure,
    #[case] attempts: usize,
) {
    let server =
        Server::start(move |_, _| answer(status, &[], b"<Error><Code>NoSuchThing</Code></Error>"));
    let error = fetch(server.url("/churn.json?signature=1"), None).unwrap_err();
    assert_eq!(error.reason, reason);
    let expected = format!("GET {}: {status} (NoSuchThing)", server.url("/churn.json"));
    assert_eq!(error.message, expected);
    assert_eq!(server.asked().len(), attempts);
}

#[test]
fn what_failed_for_a_moment_is_fetched_in_the_end() {
    let server = Server::start(|_, nth| match nth {
        1 => answer("503 Service Unavailable", &[], b""),
        2 => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut".to_vec(),
        _ => found(),
    });
    fetch(server.url("/churn.json"), None).unwrap();
    assert_eq!(server.asked().len(), 3);
}

#[rstest]
#[case::another_host("http://example.com/churn.json")]
#[case::another_name("http://localhost/churn.json")]
#[case::metadata("http://169.254.169.254/latest/meta-data")]
#[case::another_scheme("file:///etc/passwd")]
#[case::nowhere("")]
fn nobody_is_followed_to_another_host(#[case] to: &'static str) {
    let server = Server::start(move |_, _| answer("302 Found", &[("Location", to)], b""));
    let error = fetch(server.url("/churn.json"), None).unwrap_err();
    assert_eq!(error.reason, LoadFailure::Forbidden);
    assert!(error.message.contains("refused to follow to"), "{error}");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_redirect_without_end_ends() {
    let server = Server::start(|_, _| answer("302 Found", &[("Location", "/again")], b""));
    let error = fetch(server.url("/again"), None).unwrap_err();
    assert_eq!(error.reason, LoadFailure::Unreachable);
    assert_eq!(server.asked().len(), 6);
}

#[rstest]
#[case("http://169.254.169.254/latest/meta-data")]
#[case("http://169.254.43518/latest/meta-data")]
#[case("http://0xa9fea9fe/latest/meta-data")]
#[case("http://2852039166/latest/meta-data")]
#[case("http://0251.0376.0251.0376/latest/meta-data")]
#[case("http://[::ffff:169.254.169.254]/latest/meta-data")]
#[case("http://[::ffff:a9fe:a9fe]/latest/meta-data")]
#[case("http://[fe80::1]/")]
#[case("http://[fd00:ec2::254]/latest/meta-data")]
#[case("http://100.100.100.200/latest/meta-data")]
#[case("http://0.0.0.0/")]
#[case("http://[::]/")]
#[case("http://me:pw@127.0.0.1/churn.json")]
#[case("file:///etc/passwd")]
#[case("ftp://127.0.0.1/churn.json")]
#[case("churn.json")]
#[case("")]
fn no_model_comes_from_there(#[case] url: &str) {
    let error = fetch(url.to_owned(), None).unwrap_err();
    assert_eq!(error.reason, LoadFailure::Forbidden, "{error}");
    assert!(!error.message.contains("pw"), "{error}");
}

#[test]
fn a_file_without_end_is_too_large() {
    let server = Server::start(|path, _| match path {
        "/announced" => b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec(),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n".to_vec(),
    });
    let error = fetch(server.url("/announced"), None).unwrap_err();
    assert_eq!(error.reason, LoadFailure::TooLarge, "{error}");
    assert!(fetch(server.url("/absurd"), None).is_err());
}

#[test]
fn nobody_there_is_unreachable() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/churn.json", closed.local_addr().unwrap());
    drop(closed);
    let error = fetch(url, None).unwrap_err();
    assert_eq!(error.reason, LoadFailure::Unreachable);
    assert!(error.message.contains("refused"), "{error}");
    let error = fetch("http://no-such-host.invalid/churn.json".to_owned(), None).unwrap_err();
    assert_eq!(error.reason, LoadFailure::Unreachable);
}

#[test]
fn a_server_of_another_authority_is_trusted_if_that_is_given() {
    let pair = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = pair.signing_key.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![pair.cert.der().clone()], key);
    let tls = Some(Arc::new(config.unwrap()));
    let server = Server::speaking(tls, Arc::new(|_: &str, _| found()));
    let url = format!("https://localhost:{}/churn.json", server.address.port());

    let error = fetch(url.clone(), None).unwrap_err();
    assert_eq!(error.reason, LoadFailure::Unreachable);
    assert!(error.message.contains("certificate"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.crt"), pair.cert.pem()).unwrap();
    std::fs::write(folder.path().join("allowed-hosts"), "localhost").unwrap();
    let secrets = folder.path().to_str().map(str::to_owned);
    fetch(url.clone(), secrets.clone()).unwrap();

    std::fs::write(folder.path().join("ca.crt"), "no certificate").unwrap();
    let error = fetch(url, secrets).unwrap_err();
    assert_eq!(error.reason, LoadFailure::Forbidden);
    assert_eq!(error.message, "ca.crt holds no certificate in PEM");
}
