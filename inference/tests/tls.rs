//! TLS on the serving port: handshakes good and bad, and certificates that change.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use hyper_util::rt::TokioIo;
use inference::serve::grpc::proto::ServerReadyRequest;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rstest::rstest;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::ROW;
use support::process::{Process, get, post, read_all, refusal};
use support::rpc::Client;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Error};

/// A folder with a certificate and its key, and the certificates that a client trusts.
struct Fixture {
    folder: tempfile::TempDir,
    trusted: Vec<CertificateDer<'static>>,
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let trusted = Vec::new();
        let mut fixture = Self { folder, trusted };
        fixture.renew();
        fixture
    }

    /// Another certificate and another key, which is trusted besides the ones before.
    fn renew(&mut self) -> CertificateDer<'static> {
        let CertifiedKey { cert, signing_key } = certificate();
        self.write("certificate", &cert.pem());
        self.write("key", &signing_key.serialize_pem());
        self.trusted.push(cert.der().clone());
        cert.der().clone()
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path("aside"), text).unwrap();
        fs::rename(self.path("aside"), self.path(name)).unwrap();
    }

    fn flags(&self) -> [String; 4] {
        let (certificate, key) = (self.path("certificate"), self.path("key"));
        ["--tls-certificate", &certificate, "--tls-key", &key].map(str::to_owned)
    }

    fn start(&self, more: &[&str]) -> Process {
        let flags = self.flags();
        let flags = flags.iter().map(String::as_str);
        Process::start(&flags.chain(more.iter().copied()).collect::<Vec<_>>())
    }

    fn refusal(&self) -> String {
        refusal(&self.flags().each_ref().map(String::as_str))
    }

    fn connect(&self, server: &Process) -> Tls {
        let config = self.client(&[&rustls::version::TLS13], b"http/1.1");
        connect(server, config)
    }

    fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocol: &[u8],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.trusted.iter().cloned());
        let cryptography = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(cryptography)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        // Each handshake shows the certificate.
        config.resumption = rustls::client::Resumption::disabled();
        config
    }
}

fn certificate() -> CertifiedKey<rcgen::KeyPair> {
    generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

fn connect(server: &Process, config: ClientConfig) -> Tls {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, server.connect())
}

/// One request on a connection that stays open.
fn ask(stream: &mut Tls) -> String {
    let request = b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut answer = [0; 1024];
    let read = stream.read(&mut answer).unwrap();
    String::from_utf8(answer[..read].to_vec()).unwrap()
}

fn shown(stream: &Tls) -> CertificateDer<'static> {
    stream.conn.peer_certificates().unwrap()[0].clone()
}

#[rstest]
#[case(&rustls::version::TLS12)]
#[case(&rustls::version::TLS13)]
fn predictions_are_answered_over_tls(#[case] version: &'static SupportedProtocolVersion) {
    let fixture = Fixture::new();
    let server = fixture.start(&[]);
    let mut stream = connect(&server, fixture.client(&[version], b"http/1.1"));
    stream.write_all(&post("/predict", ROW)).unwrap();
    let mut answer = String::new();
    // Ends in the alert that says that nothing was cut off, else this would be an error.
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(stream.conn.protocol_version(), Some(version.version));
}

#[test]
fn a_client_of_another_protocol_is_refused() {
    let fixture = Fixture::new();
    let server = fixture.start(&[]);
    let mut stream = connect(&server, fixture.client(&[&rustls::version::TLS13], b"h2"));
    let error = stream.write_all(&get("/health")).unwrap_err();
    assert!(
        error.to_string().contains("NoApplicationProtocol"),
        "{error}"
    );
}

/// A channel to the gRPC port, inside TLS, by a client that speaks `protocol`.
async fn channel(fixture: &Fixture, server: &Process, protocol: &[u8]) -> Result<Channel, Error> {
    let config = Arc::new(fixture.client(&[&rustls::version::TLS13], protocol));
    let address = server.grpc.unwrap();
    let connect = tower::service_fn(move |_| {
        let connector = TlsConnector::from(Arc::clone(&config));
        async move {
            let stream = tokio::net::TcpStream::connect(address).await?;
            let name = ServerName::try_from("localhost").unwrap();
            connector.connect(name, stream).await.map(TokioIo::new)
        }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    endpoint.connect_with_connector(connect).await
}

#[tokio::test]
async fn grpc_is_answered_over_tls() {
    let fixture = Fixture::new();
    let server = fixture.start(&["--grpc", "127.0.0.1:0"]);
    let channel = channel(&fixture, &server, b"h2").await.unwrap();
    let ready = Client::new(channel)
        .server_ready(ServerReadyRequest {})
        .await;
    assert!(ready.unwrap().into_inner().ready);
}

#[tokio::test]
async fn a_client_that_does_not_speak_http_2_gets_no_grpc() {
    let fixture = Fixture::new();
    let server = fixture.start(&["--grpc", "127.0.0.1:0"]);
    let refused = channel(&fixture, &server, b"http/1.1").await.unwrap_err();
    let causes = format!("{refused:?}");
    assert!(causes.contains("NoApplicationProtocol"), "{causes}");
}

#[test]
fn metrics_and_health_stay_plain_on_their_own_listener() {
    let fixture = Fixture::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = free.local_addr().unwrap();
    drop(free);
    let _server = fixture.start(&["--admin", &admin.to_string()]);
    for path in ["/metrics", "/livez", "/readyz"] {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.write_all(&get(path)).unwrap();
        assert!(read_all(stream).starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

#[test]
fn a_new_certificate_is_shown_while_old_connections_go_on() {
    let mut fixture = Fixture::new();
    let server = fixture.start(&[]);
    let mut old = fixture.connect(&server);
    assert!(ask(&mut old).starts_with("HTTP/1.1 200 OK"));
    let before = shown(&old);
    let renewed = fixture.renew();
    let begin = Instant::now();
    loop {
        let mut new = fixture.connect(&server);
        assert!(ask(&mut new).starts_with("HTTP/1.1 200 OK"));
        if shown(&new) == renewed {
            break;
        }
        assert_eq!(shown(&new), before);
        assert!(begin.elapsed() < Duration::from_secs(20), "never renewed");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(ask(&mut old).starts_with("HTTP/1.1 200 OK"));
}

#[test]
fn a_broken_certificate_is_logged_and_the_old_one_stays() {
    let fixture = Fixture::new();
    let server = fixture.start(&[]);
    // The key of another certificate.
    fixture.write("key", &certificate().signing_key.serialize_pem());
    server.await_log("do not work together");
    let mut stream = fixture.connect(&server);
    assert!(ask(&mut stream).starts_with("HTTP/1.1 200 OK"));
    assert_eq!(shown(&stream), fixture.trusted[0]);
}

#[test]
fn a_broken_certificate_stops_the_server_at_its_start() {
    let fixture = Fixture::new();
    let (certificate_file, key_file) = (fixture.path("certificate"), fixture.path("key"));
    let good = fs::read_to_string(&key_file).unwrap();
    fixture.write("key", &certificate().signing_key.serialize_pem());
    let said = fixture.refusal();
    let expected =
        format!("InvalidCertificate: {certificate_file} and {key_file} do not work together: ");
    assert!(said.starts_with(&expected), "{said}");
    fixture.write("key", "nonsense");
    let said = fixture.refusal();
    let expected = format!("InvalidCertificate: {key_file}: ");
    assert!(said.starts_with(&expected), "{said}");
    fs::remove_file(&key_file).unwrap();
    assert!(fixture.refusal().contains("No such file"));
    fixture.write("key", &good);
    // Whoever mistakes one file for the other does not find the key in the log.
    fixture.write("certificate", &good);
    assert_eq!(
        fixture.refusal(),
        format!("InvalidCertificate: {certificate_file} has no certificate")
    );
}

#[test]
fn one_flag_without_the_other_is_refused() {
    let output = support::process::command(&["--tls-key", "x"]).output();
    assert_eq!(output.unwrap().status.code(), Some(2));
}

#[test]
fn plain_http_on_the_tls_port_is_closed_and_leaves_no_trace() {
    let fixture = Fixture::new();
    let server = fixture.start(&[]);
    let begin = Instant::now();
    // More than there are places for connections.
    for _ in 0..4200 {
        let mut stream = server.connect();
        // The server may hang up before it has all.
        let _ = stream.write_all(&get("/health"));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    assert!(begin.elapsed() < Duration::from_secs(120));
    assert!(ask(&mut fixture.connect(&server)).starts_with("HTTP/1.1 200 OK"));
    assert_eq!(server.log(), Vec::<String>::new());
}

#[test]
fn a_slow_handshake_is_cut() {
    let fixture = Fixture::new();
    let server = fixture.start(&[]);
    let begin = Instant::now();
    let silent = server.connect();
    let mut trickling = server.connect();
    trickling
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    // The head of a message of 512 bytes, which then come one by one.
    trickling.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    let closed = |stream: &mut TcpStream| match stream.read(&mut [0; 64]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    };
    while !closed(&mut trickling) {
        assert!(begin.elapsed() < Duration::from_secs(10), "never cut");
        let _ = trickling.write_all(&[0]);
    }
    assert_eq!(read_all(silent), "");
    let waited = begin.elapsed().as_secs_f64();
    assert!((4.5..6.5).contains(&waited), "cut after {waited} s");
}

#[test]
fn termination_closes_idle_connections_in_order() {
    let fixture = Fixture::new();
    let mut server = fixture.start(&[]);
    let mut idle = fixture.connect(&server);
    assert!(ask(&mut idle).starts_with("HTTP/1.1 200 OK"));
    server.terminate();
    let mut rest = Vec::new();
    assert_eq!(idle.read_to_end(&mut rest).unwrap(), 0);
    assert!(server.wait(Duration::from_secs(3)).success());
}
