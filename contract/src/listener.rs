//! How both programs listen.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

/// What Linux says where it has no IPv6: `EAFNOSUPPORT`.
const NO_SUCH_FAMILY: i32 = 97;

/// Listens at an address; accepting does not block. All addresses of IPv6 are those of IPv4 as well, and on
/// a machine without IPv6 those alone.
///
/// # Errors
/// If the address is taken, or not of this machine.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let bound = TcpListener::bind(address).or_else(|error| match address.ip() {
        IpAddr::V6(any) if any.is_unspecified() && is_of_no_family(&error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port()))
        }
        _ => Err(error),
    });
    bound.and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
}

fn is_of_no_family(error: &io::Error) -> bool {
    error.raw_os_error() == Some(NO_SUCH_FAMILY) || error.kind() == io::ErrorKind::AddrNotAvailable
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv6Addr, TcpStream};

    #[test]
    fn all_addresses_are_those_of_both_families_as_far_as_there_are_any() {
        let listener = bind((Ipv6Addr::UNSPECIFIED, 0).into()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = |to: IpAddr| TcpStream::connect((to, port)).is_ok();
        let has_ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        assert!(answers(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(answers(Ipv6Addr::LOCALHOST.into()), has_ipv6);
    }

    #[test]
    fn an_address_that_is_taken_is_refused() {
        let of_one = bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let of_all = bind((Ipv6Addr::UNSPECIFIED, 0).into()).unwrap();
        for taken in [of_one, of_all] {
            let refused = bind(taken.local_addr().unwrap()).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        }
    }
}
