//! Clients of gRPC that mean harm, or are broken, on real sockets. After each of them the server
//! answers as ever, counts no request as being worked on, and has kept its memory.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use rstest::rstest;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use support::process::Process;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// A setting: no answer may be sent before it is asked for.
const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];
const ENHANCE_YOUR_CALM: u32 = 11;
const SERVICE: &str = "inference.GRPCInferenceService";

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let stream = stream.to_be_bytes();
    [&length[1..], &[kind, flags], &stream, payload].concat()
}

/// A client that has sent `bytes`.
fn client(server: &Process, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.grpc.unwrap()).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// A client that has said hello, and keeps to no rule after that.
fn rude(server: &Process) -> TcpStream {
    client(server, &hello(&[]))
}

/// What a client says first.
fn hello(settings: &[u8]) -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, settings)].concat()
}

/// A request to `method` of the `service`, without its message. No field is longer than a byte
/// can tell.
fn head(stream: u32, service: &str, method: &str) -> Vec<u8> {
    let path = format!("/{service}/{method}");
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    // :method POST, :scheme http, :path, content-type, te
    let fields = [
        vec![0x83, 0x86, 0x04],
        text(&path),
        vec![0x0f, 0x10],
        text("application/grpc"),
        vec![0x00],
        text("te"),
        text("trailers"),
    ];
    frame(HEADERS, END_HEADERS, stream, &fields.concat())
}

/// A whole request, whose message is empty.
fn ask(stream: u32, method: &str) -> Vec<u8> {
    let message = frame(DATA, END_STREAM, stream, &[0; 5]);
    [head(stream, SERVICE, method), message].concat()
}

/// Whether the server closes `stream` within `limit`, and the kinds of the frames before. The
/// client answers pings, and sends `drip` again and again.
fn closes(mut stream: TcpStream, drip: &[u8], limit: Duration) -> (bool, Vec<u8>) {
    let begin = Instant::now();
    let (mut buffer, mut piece, mut kinds) = (Vec::new(), [0; 4096], Vec::new());
    let moment = Some(Duration::from_millis(200));
    stream.set_read_timeout(moment).unwrap();
    while begin.elapsed() < limit {
        match stream.read(&mut piece) {
            Ok(0) => return (true, kinds),
            Ok(count) => buffer.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() != ErrorKind::WouldBlock => return (true, kinds),
            Err(_) => drop(stream.write_all(drip)),
        }
        while let Some((kind, flags, payload)) = take_frame(&mut buffer) {
            kinds.push(kind);
            if (kind, flags) == (PING, 0) {
                let _ = stream.write_all(&frame(PING, ACK, 0, &payload));
            }
        }
    }
    (false, kinds)
}

/// Kind, flags and payload of the first frame, if it has come in whole.
fn take_frame(buffer: &mut Vec<u8>) -> Option<(u8, u8, Vec<u8>)> {
    let length = u32::from_be_bytes([0, *buffer.first()?, *buffer.get(1)?, *buffer.get(2)?]);
    let end = 9 + length as usize;
    let (kind, flags) = (*buffer.get(3)?, *buffer.get(4)?);
    let payload = buffer.get(9..end)?.to_vec();
    buffer.drain(..end);
    Some((kind, flags, payload))
}

/// Kinds and payloads of the frames that the server sends until it closes the connection, or says
/// nothing more for a while.
fn frames(mut stream: TcpStream) -> Vec<(u8, Vec<u8>)> {
    let patience = Some(Duration::from_secs(2));
    stream.set_read_timeout(patience).unwrap();
    let mut frames = Vec::new();
    let mut head = [0; 9];
    while stream.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).unwrap();
        frames.push((head[3], payload));
    }
    frames
}

#[test]
fn clients_of_grpc_are_told_the_limits() {
    let server = Process::start(&["--grpc", "127.0.0.1:0"]);
    let frames = frames(rude(&server));
    let (_, settings) = frames.iter().find(|(kind, _)| *kind == SETTINGS).unwrap();
    let told = |id: u16| {
        let mut entries = settings.chunks(6);
        let entry = entries.find(|entry| entry[..2] == id.to_be_bytes())?;
        Some(u32::from_be_bytes(entry[2..].try_into().unwrap()))
    };
    let (streams, headers) = (3, 6);
    assert_eq!((told(streams), told(headers)), (Some(100), Some(16 * 1024)));
}

/// CVE-2023-44487: each request is taken back as soon as it is sent.
#[test]
fn rapid_resets_end_the_connection() {
    let server = Process::start(&["--grpc", "127.0.0.1:0"]);
    let mut stream = rude(&server);
    // :method POST, :scheme http, :path /
    let head = [0x83, 0x86, 0x84];
    let cancel = 8_u32.to_be_bytes();
    let attack: Vec<u8> = (0..1_000)
        .flat_map(|at| {
            let stream = 2 * at + 1;
            [
                frame(HEADERS, END_HEADERS | END_STREAM, stream, &head),
                frame(RST_STREAM, 0, stream, &cancel),
            ]
            .concat()
        })
        .collect();
    let _ = stream.write_all(&attack);
    let frames = frames(stream);
    let (_, goaway) = frames.iter().find(|(kind, _)| *kind == GOAWAY).unwrap();
    let code = u32::from_be_bytes(goaway[4..8].try_into().unwrap());
    assert_eq!(code, ENHANCE_YOUR_CALM);
    server.assert_unharmed();
}

#[test]
fn headers_without_an_end_end_the_connection() {
    let server = Process::start(&["--grpc", "127.0.0.1:0"]);
    let mut stream = rude(&server);
    stream.write_all(&frame(HEADERS, 0, 1, &[0x83])).unwrap();
    // Literal fields without indexing: an empty name, and a value of 100 bytes.
    let field = [&[0, 1, b'a', 100][..], &[b'x'; 100]].concat();
    let continuation = frame(CONTINUATION, 0, 1, &field.repeat(100));
    let begin = Instant::now();
    while stream.write_all(&continuation).is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(20), "taken for ever");
    }
    server.assert_unharmed();
}

#[test]
fn what_is_begun_and_not_ended_is_cut() {
    let server = Process::start(&["--grpc", "127.0.0.1:0"]);
    let greeted = |rest: &[u8]| [&hello(&[]), rest].concat();
    let begun = frame(HEADERS, 0, 1, &[0x83]);
    let later = [ask(1, "ServerLive"), frame(HEADERS, 0, 3, &[0x83])].concat();
    let more = frame(CONTINUATION, 0, 1, b"\0\x01a\x01b");
    let pong = frame(PING, ACK, 0, &[0; 8]);
    let in_a_frame = [0, 9, 9, HEADERS, END_HEADERS, 0, 0, 0, 1];
    let cases: [(&str, Vec<u8>, &[u8]); 7] = [
        ("no settings", PREFACE.to_vec(), &[]),
        ("pongs for settings", PREFACE.to_vec(), &pong),
        ("settings that drip", [PREFACE, &[0]].concat(), &[0]),
        ("part of a frame", greeted(&[0, 0]), &[]),
        ("headers that drip", greeted(&in_a_frame), b"x"),
        ("headers without an end", greeted(&begun), &more),
        ("headers after an answer", greeted(&later), &[]),
    ];
    std::thread::scope(|scope| {
        for (case, first, drip) in &cases {
            let stream = client(&server, first);
            scope.spawn(move || {
                let (closed, frames) = closes(stream, drip, Duration::from_secs(8));
                assert!(closed, "{case}: still open after {frames:?}");
            });
        }
    });
    server.assert_unharmed();
}

#[test]
fn a_client_that_has_said_hello_may_be_idle() {
    let server = Process::start(&["--grpc", "127.0.0.1:0"]);
    let stream = rude(&server);
    let mut writer = stream.try_clone().unwrap();
    let (closed, frames) = closes(stream.try_clone().unwrap(), &[], Duration::from_secs(8));
    assert!(!closed, "closed after {frames:?}");
    writer.write_all(&ask(1, "ServerLive")).unwrap();
    let (_, frames) = closes(stream, &[], Duration::from_secs(1));
    assert!(frames.contains(&DATA), "{frames:?}");
}

/// A client that has asked, and takes nothing of the answers.
fn greedy(server: &Process) -> TcpStream {
    let questions = (0..100).map(|at| ask(2 * at + 1, "ServerMetadata"));
    let questions: Vec<_> = questions.collect();
    client(server, &[hello(&NO_WINDOW), questions.concat()].concat())
}

#[test]
fn answers_of_which_nothing_can_be_sent_end_the_connection() {
    let server = Process::start(&["--grpc", "127.0.0.1:0"]);
    let stream = greedy(&server);
    let (closed, frames) = closes(stream, &[], Duration::from_secs(13));
    assert!(closed, "still open after {frames:?}");
    server.assert_unharmed();
}

#[rstest]
#[case::takes_no_answer(greedy, 13)]
#[case::answers_no_ping(rude, 8)]
fn a_client_that_keeps_its_connection_does_not_keep_the_server(
    #[case] client: fn(&Process) -> TcpStream,
    #[case] seconds: u64,
) {
    let mut server = Process::start(&["--grpc", "127.0.0.1:0", "--drain-delay", "0"]);
    let _stream = client(&server);
    std::thread::sleep(Duration::from_millis(300));
    server.terminate();
    assert!(server.wait(Duration::from_secs(seconds)).success());
}

#[rstest]
#[case::in_frames(SERVICE, "ModelInfer", &[], &frame(DATA, 0, 1, &[0]))]
#[case::in_a_frame(SERVICE, "ModelInfer", &[0, 9, 9, DATA, 0, 0, 0, 0, 1], &[0])]
#[case::of_a_health_check("grpc.health.v1.Health", "Check", &[], &frame(DATA, 0, 1, &[0]))]
fn a_message_that_drips_is_given_up_within_the_deadline(
    #[case] service: &str,
    #[case] method: &str,
    #[case] first: &[u8],
    #[case] drip: &[u8],
) {
    let timeout = ["--request-timeout-ms", "2000"];
    let server = Process::start(&[&["--grpc", "127.0.0.1:0"], &timeout[..]].concat());
    let stream = client(
        &server,
        &[&hello(&[]), &head(1, service, method), first].concat(),
    );
    let (_, frames) = closes(stream, drip, Duration::from_secs(4));
    assert!(frames.contains(&HEADERS), "no answer in {frames:?}");
    server.assert_unharmed();
}
