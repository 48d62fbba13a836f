//! Clients that mean harm, or are broken, on real sockets. After each of them the server answers as
//! ever, counts no request as being worked on, and has kept its memory.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use rstest::rstest;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};
use support::ROW;
use support::process::{MOST_MEMORY, Process, get, post, read_all};

/// Time until the server closes `stream`.
fn cut_after(mut stream: TcpStream, begin: Instant) -> Duration {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    begin.elapsed()
}

fn head(path: &str, rest: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nhost: x\r\n{rest}\r\n").into_bytes()
}

#[test]
fn hundreds_of_slow_heads_are_cut_while_others_are_served() {
    let server = Process::start(&[]);
    let begin = Instant::now();
    let slow: Vec<_> = (0..300)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"POST /predict HTT").unwrap();
            stream
        })
        .collect();
    server.assert_unharmed();
    for stream in slow {
        let waited = cut_after(stream, begin);
        assert!(waited < Duration::from_secs(8), "cut after {waited:?}");
    }
    server.assert_unharmed();
}

#[test]
fn a_body_that_drips_is_given_up_within_the_deadline() {
    let server = Process::start(&["--request-timeout-ms", "2000"]);
    let begin = Instant::now();
    let mut stream = server.connect();
    stream
        .write_all(&head("/predict", "content-length: 1000\r\n"))
        .unwrap();
    let mut feeder = stream.try_clone().unwrap();
    let feeding = std::thread::spawn(move || {
        while begin.elapsed() < Duration::from_secs(10) && feeder.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 408");
    assert!(begin.elapsed() < Duration::from_secs(4));
    let _ = stream.shutdown(Shutdown::Both);
    feeding.join().unwrap();
    server.assert_unharmed();
}

#[test]
fn an_answer_that_nobody_reads_is_given_up() {
    let server = Process::start(&[]);
    let stream = server.connect();
    let mut writer = stream.try_clone().unwrap();
    let request = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: x\r\n\r\n";
    // More than the kernel buffers on both sides.
    for _ in 0..30 {
        writer.write_all(request).unwrap();
    }
    let begin = Instant::now();
    let given_up = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        // Writing fails once the server has reset the connection.
        writer.write_all(b"\r\n").is_err()
    });
    let waited = begin.elapsed();
    assert!(given_up, "still open after {waited:?}");
    drop(stream);
    server.assert_unharmed();
}

#[rstest]
#[case::longer_than_said("content-length: 3\r\n", "[[1,2]]GARBAGE\r\n\r\n")]
#[case::two_lengths("content-length: 3\r\ncontent-length: 4\r\n", "[[1]")]
#[case::length_and_chunks("content-length: 3\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n")]
#[case::negative("content-length: -1\r\n", "")]
#[case::enormous("content-length: 99999999999999999999999\r\n", "")]
#[case::chunk_too_long("transfer-encoding: chunked\r\n", "FFFFFFFFFFFFFFFFF\r\n")]
#[case::chunk_over_the_limit("transfer-encoding: chunked\r\n", "7FFFFFFFFFFFFFFF\r\nxxxx")]
#[case::over_the_limit("content-length: 8388609\r\n", "")]
fn a_length_that_lies_is_refused(#[case] lengths: &str, #[case] body: &str) {
    let server = Process::start(&["--request-timeout-ms", "500"]);
    let mut stream = server.connect();
    stream.write_all(&head("/predict", lengths)).unwrap();
    let _ = stream.write_all(body.as_bytes());
    stream.shutdown(Shutdown::Write).unwrap();
    let answer = read_all(stream);
    // Closed without a word, or refused.
    let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
    assert!(refused, "{answer}");
    server.assert_unharmed();
}

#[test]
fn a_body_in_thousands_of_pieces_costs_no_more_than_in_one() {
    let server = Process::start(&[]);
    let mut stream = server.connect();
    let connection = "connection: close\r\ntransfer-encoding: chunked\r\n";
    stream.write_all(&head("/predict", connection)).unwrap();
    let padded = format!("{}{ROW}", " ".repeat(20_000));
    let chunks: String = padded
        .chars()
        .map(|char| format!("1\r\n{char}\r\n"))
        .collect();
    stream.write_all(chunks.as_bytes()).unwrap();
    stream.write_all(b"0\r\n\r\n").unwrap();
    let answer = read_all(stream);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    server.assert_unharmed();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Process::start(&[]);
    let mut stream = server.connect();
    let (good, bad) = (ROW, "[]");
    let request = |body: &str| {
        let length = body.len();
        format!("POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    let mut writer = stream.try_clone().unwrap();
    let all = [request(good), request(bad)].concat().repeat(200);
    let writing = std::thread::spawn(move || {
        writer.write_all(all.as_bytes()).unwrap();
        writer.write_all(&get("/health")).unwrap();
    });
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    writing.join().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let statuses: Vec<_> = text
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|rest| &rest[..3])
        .collect();
    assert_eq!(statuses.len(), 401);
    let expected = ["200", "400"].into_iter().cycle().take(400).chain(["200"]);
    assert!(statuses.into_iter().eq(expected));
}

#[rstest]
#[case::deep_lists("[".repeat(100_000))]
#[case::deep_objects("{\"a\":".repeat(100_000))]
#[case::deep_in_a_row(format!("[{}", "[".repeat(200)))]
#[case::many_keys(format!("{{{}", (0..100_000).map(|at| format!("\"k{at}\":1,")).collect::<String>()))]
#[case::same_key_often(format!("{{{}", "\"Age\":1,".repeat(100_000)))]
#[case::long_key(format!("{{\"{}\":1}}", "k".repeat(1 << 20)))]
#[case::huge_number(ROW.replace("148", "1e400"))]
#[case::many_digits(ROW.replace("148", &"9".repeat(100_000)))]
#[case::not_a_number(ROW.replace("148", "NaN"))]
#[case::infinity(ROW.replace("148", "-Infinity"))]
#[case::lone_surrogate(ROW.replace("Age", "\\ud800"))]
#[case::byte_order_mark(format!("\u{feff}{ROW}"))]
#[case::control_characters(ROW.replace("Age", "A\u{0}ge"))]
#[case::two_documents(format!("{ROW}{ROW}"))]
#[case::empty(String::new())]
fn json_that_bites_is_refused(#[case] body: String) {
    let server = Process::start(&[]);
    for path in ["/predict", "/feedback", "/v2/models/diabetes/infer"] {
        let answer = server.talk(&post(path, &body));
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(["400", "413"].contains(&status), "{path}: {answer}");
        assert!(
            answer.len() < 2_000,
            "{path}: an answer of {} bytes",
            answer.len()
        );
    }
    server.assert_unharmed();
}

#[test]
fn clients_that_reset_leave_nothing_behind() {
    let server = Process::start(&[]);
    let request = post("/predict", ROW);
    for round in 0..500 {
        let mut stream = server.connect();
        stream
            .write_all(&request[..request.len() * (round % 10) / 10])
            .unwrap();
        // Unread input makes closing a reset.
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
    server.assert_unharmed();
}

#[test]
fn invented_paths_and_methods_make_no_series() {
    let server = Process::start(&[]);
    let series = || server.talk(&get("/metrics")).lines().count();
    let invented = |at: usize| {
        let request =
            format!("M{at} /p{at}/{at}?q={at} HTTP/1.1\r\nhost: x\r\nuser-agent: u{at}\r\n");
        server.talk(format!("{request}connection: close\r\n\r\n").as_bytes());
        server.talk(&post(&format!("/v2/models/m{at}/infer"), "{}"));
        server.talk(&get(&format!("/docs/{at}")));
    };
    invented(0);
    series();
    let before = series();
    (1..300).for_each(invented);
    assert_eq!(series(), before);
}

#[test]
fn without_file_descriptors_the_server_rests_and_recovers() {
    let mut limited = Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_inference");
    let script = format!("ulimit -n 160; exec {binary} serve --listen 127.0.0.1:0");
    limited.args(["-c", &script]);
    let server = Process::spawn(limited);
    let crowd: Vec<_> = (0..300)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    let before = server.ticks();
    std::thread::sleep(Duration::from_secs(2));
    let busy = server.ticks() - before;
    assert!(busy < 40, "{busy} ticks of CPU in 2 s");
    drop(crowd);
    server.assert_unharmed();
}

#[test]
fn no_request_fails_while_the_server_stops() {
    let mut server = Process::start(&["--drain-delay", "1"]);
    let address = server.address;
    let begin = Instant::now();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                let mut answered = 0;
                // The first that is refused ends it, or one that the kernel took in the moment
                // in which the server closed its door.
                while let Ok(mut stream) = TcpStream::connect(address) {
                    stream.write_all(&post("/predict", ROW)).unwrap();
                    let answer = read_all(stream);
                    if answer.is_empty() && begin.elapsed() > Duration::from_secs(1) {
                        break;
                    }
                    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer:?}");
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    server.terminate();
    assert!(server.wait(Duration::from_secs(10)).success());
    let answered: usize = clients
        .into_iter()
        .map(|client| client.join().unwrap())
        .sum();
    assert!(answered > 100, "{answered} answers");
}

#[rstest]
#[case::nonsense("GET\0/ HTTP/1.1\r\n\r\n", "validation")]
#[case::too_many_headers(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(80)), "too_large")]
fn a_head_that_cannot_be_read_is_counted(#[case] request: &str, #[case] kind: &str) {
    let server = Process::start(&[]);
    let answer = server.talk(request.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    let series = format!("api_errors_total{{endpoint=\"other\",error_type=\"{kind}\"}}");
    assert_eq!(server.metric(&series, 1.0), 1.0);
}

/// As many clients at once send a body that is as large as it may be.
fn all_at_once(server: &Process, path: &str, body: &[u8]) {
    let head = head(path, &format!("content-length: {}\r\n", body.len()));
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                let mut stream = server.connect();
                // Refused ones are closed before they have sent it all.
                let _ = stream
                    .write_all(&head)
                    .and_then(|()| stream.write_all(body));
                let _ = stream.read(&mut [0; 1024]);
            });
        }
    });
}

#[rstest]
#[case::ground_truth("/feedback", "[", "0,", "0]")]
#[case::rows("/predict", "[", "[1,2,3,4,5,6,7,8],", "[]]")]
#[case::shape(
    "/v2/models/diabetes/infer",
    r#"{"inputs":[{"name":"x","shape":["#,
    "1,",
    "1]}]}"
)]
#[case::tensors(
    "/v2/models/diabetes/infer",
    r#"{"inputs":["#,
    r#"{"name":"","shape":[],"datatype":""},"#,
    "{}]}"
)]
fn many_large_bodies_take_no_more_memory_than_there_is_for_them(
    #[case] path: &str,
    #[case] begin: &str,
    #[case] element: &str,
    #[case] end: &str,
) {
    const LARGEST_BODY: usize = 8 << 20;
    const BUDGET: u64 = 256 << 20;
    let server = Process::start(&[]);
    let count = (LARGEST_BODY - begin.len() - end.len()) / element.len();
    let body = [begin, &element.repeat(count), end].concat();
    all_at_once(&server, path, body.as_bytes());
    let peak = server.peak();
    assert!(peak < BUDGET + MOST_MEMORY, "{peak} bytes at most");
    server.assert_unharmed();
}
