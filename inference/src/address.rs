//! Addresses that are never connected to: whoever may name a URL must not reach what answers only to
//! the machine itself, as the metadata services of clouds do, which give away credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Metadata services whose addresses are not link-local.
const METADATA: [IpAddr; 3] = [
    // Alibaba Cloud.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Oracle Cloud.
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    // Amazon.
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// A host whose address is never connected to.
#[derive(Debug, thiserror::Error)]
#[error("{host} is {address}, an address that is never connected to")]
pub(crate) struct Refused {
    host: String,
    address: IpAddr,
}

/// Finds addresses as usual, and refuses a host if any of its addresses is refused. What is connected
/// to is what was looked at, so that a name cannot mean another address a moment later.
#[derive(Debug, Default)]
pub(crate) struct Careful(DefaultResolver);

impl Resolver for Careful {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.0.resolve(uri, config, timeout)?;
        match found.iter().map(SocketAddr::ip).find(is_refused) {
            None => Ok(found),
            Some(address) => {
                let host = uri.host().unwrap_or_default().to_owned();
                let refused = Refused { host, address };
                Err(ureq::Error::Other(Box::new(refused)))
            }
        }
    }
}

fn is_refused(address: &IpAddr) -> bool {
    if METADATA.contains(address) {
        return true;
    }
    match address {
        IpAddr::V4(address) => {
            address.is_link_local()
                || address.is_unspecified()
                || address.is_broadcast()
                || address.is_multicast()
        }
        IpAddr::V6(address) => {
            address.is_unicast_link_local()
                || address.is_unspecified()
                || address.is_multicast()
                || inner(address).is_some_and(|inner| is_refused(&IpAddr::V4(inner)))
        }
    }
}

/// The IPv4 address that an IPv6 address stands for, if it does: mapped (RFC 4291), compatible, behind
/// NAT64 (RFC 6052), by 6to4 (RFC 3056).
fn inner(address: &Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff | 0] | [0x64, 0xff9b, 0, 0, 0, 0] if (g, h) != (0, 1) => v4(g, h),
        [0x2002, high, low, ..] => v4(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("169.254.169.254", true)]
    #[case("169.254.1.1", true)]
    #[case("::ffff:169.254.169.254", true)]
    #[case("::169.254.169.254", true)]
    #[case("64:ff9b::a9fe:a9fe", true)]
    #[case("2002:a9fe:a9fe::1", true)]
    #[case("fe80::1", true)]
    #[case("fd00:ec2::254", true)]
    #[case("100.100.100.200", true)]
    #[case("::ffff:100.100.100.200", true)]
    #[case("192.0.0.192", true)]
    #[case("0.0.0.0", true)]
    #[case("::", true)]
    #[case("255.255.255.255", true)]
    #[case("224.0.0.1", true)]
    #[case("ff02::1", true)]
    #[case("127.0.0.1", false)]
    #[case("::1", false)]
    #[case("10.96.0.1", false)]
    #[case("fd00::1", false)]
    #[case("8.8.8.8", false)]
    #[case("64:ff9b::808:808", false)]
    fn link_local_addresses_and_metadata_services_are_refused(
        #[case] address: IpAddr,
        #[case] refused: bool,
    ) {
        assert_eq!(is_refused(&address), refused);
    }
}
