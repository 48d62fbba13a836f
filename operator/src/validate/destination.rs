//! URL → whom pods must be let talk to.

use crate::plan::{Destination, Host};
use std::net::IpAddr;
use url::Url;

/// Whom a pod in `namespace` connects to for `url`; None if it is none that has a host.
pub(super) fn destination(url: &str, namespace: &str) -> Option<Destination> {
    let url = Url::parse(url).ok()?;
    let host = match url.host()? {
        url::Host::Ipv4(address) => Host::Address(IpAddr::V4(address)),
        url::Host::Ipv6(address) => Host::Address(IpAddr::V6(address)),
        url::Host::Domain(name) => named(name.trim_end_matches('.'), namespace),
    };
    let port = url.port_or_known_default()?;
    Some(Destination { host, port })
}

/// Names of Services are `name`, `name.namespace`, and `name.namespace.svc` with the cluster's domain.
fn named(name: &str, namespace: &str) -> Host {
    match name.split('.').collect::<Vec<_>>()[..] {
        [_] => Host::Inside(namespace.to_owned()),
        [_, namespace] => Host::Either(namespace.to_owned()),
        [_, namespace, "svc", ..] => Host::Inside(namespace.to_owned()),
        _ => Host::Outside,
    }
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
    fn a_url_says_whom_pods_talk_to(#[case] url: &str, #[case] host: Host, #[case] port: u16) {
        let expected = Some(Destination { host, port });
        assert_eq!(destination(url, "shop"), expected);
    }
}
