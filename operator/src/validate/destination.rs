//! URL → whom pods must be let talk to.

use crate::plan::{Destination, Host};
use std::net::IpAddr;
use url::Url;

/// Whom a pod in `namespace` connects to for `url`; None if it is none that has a host and a port to
/// connect to, which no NetworkPolicy could name.
pub(super) fn destination(url: &str, namespace: &str) -> Option<Destination> {
    let url = Url::parse(url).ok()?;
    let host = match url.host()? {
        url::Host::Ipv4(address) => Host::Address(IpAddr::V4(address)),
        url::Host::Ipv6(address) => Host::Address(IpAddr::V6(address)),
        url::Host::Domain(name) => named(name.trim_end_matches('.'), namespace)?,
    };
    let port = url.port_or_known_default().filter(|port| *port > 0)?;
    Some(Destination { host, port })
}

/// Names of Services are `name`, `name.namespace`, and `name.namespace.svc` with the cluster's domain.
fn named(name: &str, namespace: &str) -> Option<Host> {
    let there = |label: &str| is_namespace(label).then(|| label.to_owned());
    Some(match name.split('.').collect::<Vec<_>>()[..] {
        [_] => Host::Inside(namespace.to_owned()),
        [_, namespace] => there(namespace).map_or(Host::Outside, Host::Either),
        [_, namespace, "svc", ..] => Host::Inside(there(namespace)?),
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
        let expected = Some(Destination { host, port });
        assert_eq!(destination(url, "shop"), expected);
    }

    #[rstest]
    #[case("http://10.1.2.3:0")]
    #[case("http://minio.storage.svc:0/a")]
    #[case("http://minio.-storage.svc/a")]
    #[case("http://minio.under_score.svc/a")]
    #[case("http://[1")]
    #[case("data:,a")]
    fn what_pods_cannot_be_let_talk_to_is_nobody(#[case] url: &str) {
        assert_eq!(destination(url, "shop"), None);
        let long = format!("http://minio.{}.svc", "a".repeat(64));
        assert_eq!(destination(&long, "shop"), None);
    }
}
