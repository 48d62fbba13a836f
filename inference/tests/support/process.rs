//! The real binary, and raw connections to it.
#![allow(clippy::expect_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Resident memory that no client may drive a server over.
pub const MOST_MEMORY: u64 = 64 << 20;

/// A running server, killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    /// Where it answers gRPC, if it does.
    pub grpc: Option<SocketAddr>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts a server on a free port.
    pub fn start(args: &[&str]) -> Self {
        let mut serve = command(args);
        serve.args(["--listen", "127.0.0.1:0"]);
        Self::spawn(serve)
    }

    /// Starts a server by `serve`, which has it listen on 127.0.0.1.
    pub fn spawn(mut serve: Command) -> Self {
        let mut child = serve.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let (address, grpc) = loop {
            let line = log.next().expect("the server ended").unwrap();
            if let Some(address) = quoted_after(&line, "\"address\":\"") {
                let address = address.split_once("://").unwrap().1;
                let grpc = quoted_after(&line, "\"grpc\":\"");
                break (address.parse().unwrap(), grpc.map(|at| at.parse().unwrap()));
            }
        };
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let keep = Arc::clone(&lines);
        std::thread::spawn(move || {
            log.for_each(|line| keep.lock().unwrap().push(line.unwrap()));
        });
        Self {
            child,
            address,
            grpc,
            lines,
        }
    }

    /// What it logged since it began to serve.
    pub fn log(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits until it has logged something with `part` in it.
    pub fn await_log(&self, part: &str) {
        let begin = Instant::now();
        while !self.log().iter().any(|line| line.contains(part)) {
            let log = self.log();
            assert!(
                begin.elapsed() < Duration::from_secs(20),
                "no {part} in {log:?}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Value of a series once it is `expected`, or after some seconds. Some come with what they count.
    pub fn metric(&self, series: &str, expected: f64) -> f64 {
        let begin = Instant::now();
        loop {
            let text = self.talk(&get("/metrics"));
            let value = value_of(series, &text);
            let in_time = begin.elapsed() < Duration::from_secs(10);
            match value {
                Some(value) if value == expected || !in_time => return value,
                None if !in_time => panic!("no series {series} in\n{text}"),
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Resident memory in bytes.
    /// Bytes of memory that it takes.
    pub fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most that it ever took.
    pub fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let mut lines = status.lines().filter_map(|line| line.strip_prefix(field));
        let kibibytes = lines.next().unwrap().trim().trim_end_matches(" kB");
        kibibytes.parse::<u64>().unwrap() * 1024
    }

    /// It answers, works on nothing and has kept its memory.
    pub fn assert_unharmed(&self) {
        let answer = self.talk(&post("/predict", super::ROW));
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        // The request for the metrics is one.
        assert_eq!(self.metric("api_active_requests", 1.0), 1.0);
        let resident = self.resident();
        assert!(resident < MOST_MEMORY, "{resident} bytes resident");
    }

    /// CPU time used so far, in clock ticks of 10 ms.
    pub fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<_> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// The exit status, which must come within `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let begin = Instant::now();
        while begin.elapsed() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("still running after {limit:?}");
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    /// Sends `request` and reads until the server closes.
    pub fn talk(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        read_all(stream)
    }
}

fn quoted_after<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(key)?;
    Some(rest.split_once('"')?.0)
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `inference serve` with `args`.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inference"));
    command.arg("serve").args(args);
    // As in the image.
    command.env("MALLOC_MMAP_THRESHOLD_", "131072");
    command
}

/// What `inference serve` with `args` says when it refuses to start.
pub fn refusal(args: &[&str]) -> String {
    let output = command(args).args(["--listen", "127.0.0.1:0"]).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let log: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    log["message"].as_str().unwrap().to_owned()
}

/// All that the server still sends; what it sent before a reset counts too.
pub fn read_all(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        bytes.extend_from_slice(&piece[..read]);
    }
    String::from_utf8(bytes).unwrap()
}

/// A request as bytes; the connection is to be closed after the answer.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").into_bytes()
}

/// A request as bytes; the connection is to be closed after the answer.
pub fn post(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// Value of a series in an exposition.
fn value_of(series: &str, text: &str) -> Option<f64> {
    let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    let (_, value) = lines.find(|(name, _)| *name == series)?;
    Some(value.parse().unwrap())
}
