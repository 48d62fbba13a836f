//! Where the server is.

use http::HeaderValue;
use http::uri::{Authority, InvalidUri, Scheme, Uri};
use std::str::FromStr;

const EXPECTED: &str = "expected http://HOST[:PORT][/PATH]";

/// `http://HOST[:PORT][/PATH]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Host and port, as sockets are opened.
    pub(in crate::load_generator::transport) address: String,
    /// Host and port, as requests name them.
    pub(super) host: HeaderValue,
    /// Before every path: empty, or with a slash at its beginning and none at its end.
    prefix: String,
}

/// Why a text is no [`Url`].
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// No URL at all.
    #[error("{EXPECTED}")]
    NotAUrl(#[source] InvalidUri),
    /// No host, or more than a host, a port and a path.
    #[error("{EXPECTED}")]
    OtherParts,
    /// TLS.
    #[error("https is not supported; {EXPECTED}")]
    Https,
}

impl Url {
    /// The path of a request for `path`.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}{}", self.address, self.prefix)
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let uri: Uri = text.parse().map_err(UrlError::NotAUrl)?;
        if uri.scheme() == Some(&Scheme::HTTPS) {
            return Err(UrlError::Https);
        }
        let authority = uri.authority().map_or("", Authority::as_str);
        let plain = uri.scheme() == Some(&Scheme::HTTP) && uri.query().is_none();
        let (true, Some(host), Some(port)) = (plain, uri.host(), port(&uri)) else {
            return Err(UrlError::OtherParts);
        };
        Ok(Self {
            address: format!("{host}:{port}"),
            host: HeaderValue::from_str(authority).map_err(|_| UrlError::OtherParts)?,
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

/// None unless there is nothing but a port besides the host.
fn port(uri: &Uri) -> Option<u16> {
    let host = uri.host().filter(|host| !host.is_empty())?;
    match uri.authority()?.as_str().strip_prefix(host)? {
        "" => Some(80),
        port => port.strip_prefix(':')?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("http://127.0.0.1:8080", "127.0.0.1:8080", "/predict")]
    #[case("http://[::1]:8080/", "[::1]:8080", "/predict")]
    #[case(
        "http://models.example/diabetes/",
        "models.example:80",
        "/diabetes/predict"
    )]
    fn host_port_and_path_are_found(#[case] url: &str, #[case] address: &str, #[case] path: &str) {
        let url: Url = url.parse().unwrap();
        assert_eq!(
            (url.address.as_str(), url.path("/predict").as_str()),
            (address, path)
        );
    }

    #[rstest]
    #[case("https://127.0.0.1", "https is not supported; expected http://")]
    #[case("127.0.0.1:8080", "expected http://")]
    #[case("localhost", "expected http://")]
    #[case("ftp://localhost", "expected http://")]
    #[case("http://", "expected http://")]
    #[case("http://user@localhost", "expected http://")]
    #[case("http://localhost:99999", "expected http://")]
    #[case("http://localhost:", "expected http://")]
    #[case("http://localhost/?a=b", "expected http://")]
    #[case("", "expected http://")]
    fn anything_else_is_refused(#[case] url: &str, #[case] message: &str) {
        let error = url.parse::<Url>().unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}
