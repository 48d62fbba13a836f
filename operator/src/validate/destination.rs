//! URL → whom pods must be let talk to.

use crate::plan::{Destination, Host};
use std::net::IpAddr;
use url::Url;

/// Why nobody can be connected to by a URL, so that no NetworkPolicy could name him.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoDestination {
    /// It cannot be read.
    #[error("is no URL: {0}")]
    NoUrl(url::ParseError),
    /// It is about another protocol, or has none.
    #[error("does not begin with http:// or https://")]
    NoHttp,
    /// Nobody listens at port 0.
    #[error("names no port from 1 to 65535")]
    NoPort,
    /// Its host is a Service where none can be.
    #[error("names a Service in '{0}', which is no name of a namespace")]
    NoNamespace(String),
}

/// Whom a pod in `namespace` connects to for `url`.
pub(super) fn destination(url: &str, namespace: &str) -> Result<Destination, NoDestination> {
    let url = Url::parse(url).map_err(NoDestination::NoUrl)?;
    let is_http = matches!(url.scheme(), "http" | "https");
    let host = url.host().filter(|_| is_http);
    let host = match host.ok_or(NoDestination::NoHttp)? {
        url::Host::Ipv4(address) => Host::Address(IpAddr::V4(address)),
        url::Host::Ipv6(address) => Host::Address(IpAddr::V6(address)),
        url::Host::Domain(name) => named(name.trim_end_matches('.'), namespace)?,
    };
    let port = url.port_or_known_default().filter(|port| *port > 0);
    let port = port.ok_or(NoDestination::NoPort)?;
    Ok(Destination { host, port })
}

/// Names of Services are `name`, `name.namespace`, and `name.namespace.svc` with the cluster's domain.
fn named(name: &str, namespace: &str) -> Result<Host, NoDestination> {
    Ok(match name.split('.').collect::<Vec<_>>()[..] {
        [_] => Host::Inside(namespace.to_owned()),
        [_, label] if is_namespace(label) => Host::Either(label.to_owned()),
        [_, label, "svc", ..] if is_namespace(label) => Host::Inside(label.to_owned()),
        [_, label, "svc", ..] => return Err(NoDestination::NoNamespace(label.to_owned())),
        _ => Host::Outside,
    })
}

/// Whether a namespace may be called so: a label of DNS.
fn is_namespace(label: &str) -> bool {
    let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let outer = !label.starts_with('-') && !label.ends_with('-');
    (1..=63).contains(&label.len()) && label.bytes().all(inner) && outer
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::net::Ipv4Addr;

    #[rstest]
    #[case("https://models.example.com/churn.json", Host::Outside, 443)]
    #[case("http://models.example.com:81/churn.json", Host::Outside, 81)]
    #[case("http://minio:9000", Host::Inside("shop".to_owned()), 9000)]
    #[case("http://minio.storage:9000", Host::Either("storage".to_owned()), 9000)]
    #[case("http://minio.storage.svc:9000", Host::Inside("storage".to_owned()), 9000)]
    #[case("http://minio.storage.svc.cluster.local./a", Host::Inside("storage".to_owned()), 80)]
    #[case(
        "https://10.1.2.3/a",
        Host::Address(IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3))),
        443
    )]
    #[case(
        "http://0x0a010203/a",
        Host::Address(IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3))),
        80
    )]
    #[case("http://[fd00::1]:8/a", Host::Address("fd00::1".parse().unwrap()), 8)]
    #[case("http://models.under_score/a", Host::Outside, 80)]
    fn a_url_says_whom_pods_talk_to(#[case] url: &str, #[case] host: Host, #[case] port: u16) {
        let expected = Ok(Destination { host, port });
        assert_eq!(destination(url, "shop"), expected);
    }

    #[rstest]
    #[case("http://10.1.2.3:0", "names no port from 1 to 65535")]
    #[case("http://minio.storage.svc:0/a", "names no port from 1 to 65535")]
    #[case("grpc://collector:4317", "does not begin with http:// or https://")]
    #[case(
        "http://minio.-storage.svc/a",
        "names a Service in '-storage', which is no name of a namespace"
    )]
    #[case(
        "http://minio.under_score.svc/a",
        "names a Service in 'under_score', which is no name of a namespace"
    )]
    #[case("http://[1", "is no URL: invalid IPv6 address")]
    #[case("minio:9000", "does not begin with http:// or https://")]
    #[case("data:,a", "does not begin with http:// or https://")]
    #[case("collector", "is no URL: relative URL without a base")]
    fn why_a_url_leads_to_nobody_is_said(#[case] url: &str, #[case] expected: &str) {
        let problem = destination(url, "shop").unwrap_err();
        assert_eq!(problem.to_string(), expected);
    }

    #[test]
    fn a_namespace_has_at_most_63_letters() {
        let namespace = "a".repeat(64);
        let problem = destination(&format!("http://minio.{namespace}.svc"), "shop");
        assert_eq!(problem, Err(NoDestination::NoNamespace(namespace)));
    }
}
