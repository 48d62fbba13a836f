//! URL → bytes, bounded in time and size.

use crate::address::{Careful, Refused};
use crate::load::read::LARGEST_PACKED;
use crate::memory_limit::memory_limit;
use contract::labels::LoadFailure;
use std::thread;
use std::time::{Duration, Instant};
use ureq::config::Config;
use ureq::http::header::{AUTHORIZATION, LOCATION};
use ureq::http::{HeaderMap, StatusCode};
use ureq::tls::{PemItem, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body};
use url::Url;

/// For everything that one model takes: less than a starting pod may take.
const DEADLINE: Duration = Duration::from_secs(90);
const CONNECT: Duration = Duration::from_secs(10);
/// Between two pieces of an answer.
const SILENCE: Duration = Duration::from_secs(20);
/// Before what failed for no lasting reason is tried again.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
];
const MOST_REDIRECTS: usize = 5;
/// Bytes of an answer that only describes something.
const LARGEST_TEXT: u64 = 1024 * 1024;
/// Characters of what a server says about its refusal.
const LONGEST_REASON: usize = 200;

/// Why a URL gave nothing.
#[derive(Debug, thiserror::Error)]
pub(in crate::load) enum ClientError {
    #[error("{url:?} is no URL to fetch from: {problem}")]
    Url { url: String, problem: String },
    #[error("ca.crt holds no certificate in PEM")]
    Authority,
    #[error("GET {url}: {status}{said}")]
    Status {
        url: String,
        status: StatusCode,
        said: String,
    },
    #[error(
        "GET {url}: refused to follow to {to}: only the same host, and never from https to http"
    )]
    Redirect { url: String, to: String },
    #[error("GET {url}: redirected more than {MOST_REDIRECTS} times")]
    Redirects { url: String },
    #[error("GET {url}: more than {most} bytes")]
    TooLarge { url: String, most: u64 },
    #[error("GET {url}: not done within {seconds} s", seconds = DEADLINE.as_secs())]
    Deadline { url: String },
    #[error("GET {url}")]
    Exchange { url: String, source: ureq::Error },
    #[error("GET {url}: the answer is no text")]
    Text { url: String },
}

impl ClientError {
    pub(super) fn reason(&self) -> LoadFailure {
        match self {
            Self::Status { status, .. } => match status.as_u16() {
                404 | 410 => LoadFailure::NotFound,
                408 | 429 | 500.. => LoadFailure::Unreachable,
                _ => LoadFailure::Forbidden,
            },
            Self::Url { .. } | Self::Authority | Self::Redirect { .. } => LoadFailure::Forbidden,
            Self::Exchange { source, .. } if is_refusal(source) => LoadFailure::Forbidden,
            Self::Exchange { .. } | Self::Deadline { .. } | Self::Redirects { .. } => {
                LoadFailure::Unreachable
            }
            Self::TooLarge { .. } => LoadFailure::TooLarge,
            Self::Text { .. } => LoadFailure::Unsupported,
        }
    }

    /// Whether it may be otherwise in a moment.
    fn is_passing(&self) -> bool {
        self.reason() == LoadFailure::Unreachable
            && !matches!(self, Self::Deadline { .. } | Self::Redirects { .. })
    }
}

fn is_refusal(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Other(inner) if inner.is::<Refused>())
}

/// Fetches what one model takes, within one deadline.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    deadline: Instant,
}

impl Client {
    /// One that trusts the certificates in `authority`, as PEM, instead of the public ones.
    pub(super) fn new(authority: Option<&str>) -> Result<Self, ClientError> {
        let roots = authority.map_or(Ok(RootCerts::WebPki), authorities)?;
        let config = Config::builder()
            // What is packed is checked as it is packed, and redirects are followed by us.
            .accept_encoding("identity")
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            // A proxy would look up the address instead of us.
            .proxy(None)
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(SILENCE))
            .user_agent(concat!("modelservice/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build();
        let (connector, resolver) = (DefaultConnector::default(), Careful::default());
        Ok(Self {
            agent: Agent::with_parts(config, connector, resolver),
            deadline: Instant::now() + DEADLINE,
        })
    }

    /// A model file.
    pub(super) fn get(
        &self,
        url: &Url,
        authorization: Option<&str>,
    ) -> Result<Vec<u8>, ClientError> {
        let most = memory_limit().map_or(LARGEST_PACKED, |memory| LARGEST_PACKED.min(memory / 2));
        self.patiently(url, authorization, most)
    }

    /// A description.
    pub(super) fn text(
        &self,
        url: &Url,
        authorization: Option<&str>,
    ) -> Result<String, ClientError> {
        let bytes = self.patiently(url, authorization, LARGEST_TEXT)?;
        String::from_utf8(bytes).map_err(|_| ClientError::Text { url: shown(url) })
    }

    fn patiently(
        &self,
        url: &Url,
        authorization: Option<&str>,
        most: u64,
    ) -> Result<Vec<u8>, ClientError> {
        for pause in PAUSES {
            match self.follow(url.clone(), authorization, most) {
                Err(error) if error.is_passing() => {
                    tracing::warn!(error = super::super::with_causes(&error), "fetching again");
                    thread::sleep(pause);
                }
                outcome => return outcome,
            }
        }
        self.follow(url.clone(), authorization, most)
    }

    fn follow(
        &self,
        mut url: Url,
        authorization: Option<&str>,
        most: u64,
    ) -> Result<Vec<u8>, ClientError> {
        for _ in 0..=MOST_REDIRECTS {
            let mut answer = self.exchange(&url, authorization)?;
            match answer.status() {
                status if status.is_redirection() => url = next(&url, answer.headers())?,
                status if status.is_success() => return body(&url, answer.body_mut(), most),
                status => {
                    let said = said(answer.body_mut());
                    let url = shown(&url);
                    return Err(ClientError::Status { url, status, said });
                }
            }
        }
        Err(ClientError::Redirects { url: shown(&url) })
    }

    fn exchange(
        &self,
        url: &Url,
        authorization: Option<&str>,
    ) -> Result<ureq::http::Response<Body>, ClientError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ClientError::Deadline { url: shown(url) });
        }
        let mut request = self.agent.get(url.as_str());
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.config().timeout_global(Some(left)).build();
        request.call().map_err(|source| failed(url, source))
    }
}

fn failed(url: &Url, source: ureq::Error) -> ClientError {
    let url = shown(url);
    match source {
        ureq::Error::Timeout(ureq::Timeout::Global) => ClientError::Deadline { url },
        source => ClientError::Exchange { url, source },
    }
}

/// A URL that may be fetched from.
pub(super) fn parse(text: &str) -> Result<Url, ClientError> {
    let refused = |problem: String| ClientError::Url {
        url: text.split(['?', '#']).next().unwrap_or_default().to_owned(),
        problem,
    };
    let url = Url::parse(text).map_err(|error| refused(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("its scheme must be http or https".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ClientError::Url {
            url: shown(&url),
            problem: "credentials belong in a Secret".to_owned(),
        });
    }
    Ok(url)
}

/// What may be told of a URL: neither its credentials nor a signature.
fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    // Both work for every URL that has a host.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.into()
}

fn next(url: &Url, headers: &HeaderMap) -> Result<Url, ClientError> {
    let location = headers.get(LOCATION).and_then(|text| text.to_str().ok());
    let location = location.unwrap_or_default();
    let refused = |to: String| ClientError::Redirect {
        url: shown(url),
        to,
    };
    let to = url
        .join(location)
        .map_err(|_| refused(location.to_owned()))?;
    let safe = to.scheme() == url.scheme() || to.scheme() == "https";
    match safe && to.host() == url.host() && !location.is_empty() {
        true => parse(to.as_str()),
        false => Err(refused(shown(&to))),
    }
}

fn body(url: &Url, body: &mut Body, most: u64) -> Result<Vec<u8>, ClientError> {
    let too_large = || ClientError::TooLarge {
        url: shown(url),
        most,
    };
    if body.content_length().is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let read = body.with_config().limit(most).read_to_vec();
    read.map_err(|source| match source {
        ureq::Error::BodyExceedsLimit(_) => too_large(),
        source => failed(url, source),
    })
}

/// The reason that a server gives for its refusal: S3 in `<Code>`, MLflow as `message`.
fn said(body: &mut Body) -> String {
    let text = body.with_config().limit(LARGEST_TEXT).read_to_string();
    let text = text.unwrap_or_default();
    let code = || Some(text.split_once("<Code>")?.1.split_once("</Code>")?.0);
    let json = serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default();
    let message = json["message"].as_str().or_else(code);
    message.map_or_else(String::new, |message| {
        let message: String = message.chars().take(LONGEST_REASON).collect();
        format!(" ({message})")
    })
}

fn authorities(pem: &str) -> Result<RootCerts, ClientError> {
    let items = ureq::tls::parse_pem(pem.as_bytes());
    let certificates: Vec<_> = items
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            Ok(_) | Err(_) => None,
        })
        .collect();
    match certificates.is_empty() {
        true => Err(ClientError::Authority),
        false => Ok(RootCerts::new_with_certs(&certificates)),
    }
}
