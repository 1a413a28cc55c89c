//! Outgoing connections: which addresses this node connects to, and how.
//!
//! Users can make a node connect to an address (registration). So addresses that belong to the
//! machine's surroundings rather than to nodes are refused, and the checked address is the one that
//! is connected to: names are resolved here, once for each connection. No redirect is followed.

use crate::config::{Config, host_of};
use crate::error::{Error, Kind, Result};
use crate::tls::{self, Certificates};
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::ServerName;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use url::Url;

/// Longest time until a connection is established.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// Address of one cloud's metadata service; those of the others are link-local.
const METADATA_V4: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
/// Address of a cloud's metadata service over IPv6.
const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// A connection in clear text or over TLS.
pub type Connection = Either<TcpStream, TlsStream<TcpStream>>;

/// Connects to other nodes.
#[derive(Clone)]
pub struct Dialer {
    http: reqwest::Client,
    tls: TlsConnector,
    networks: Networks,
}

impl Dialer {
    /// Creates a dialer for the configured networks that presents and demands these certificates.
    ///
    /// # Errors
    /// `invalid_parameter` for `NodeNetworks`; `internal`.
    pub fn new(config: &Config, certificates: Option<&Arc<Certificates>>) -> Result<Self> {
        let networks = Networks(config.networks()?.into());
        let tls = tls::client_config(certificates)?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_MAX)
            .dns_resolver(networks.clone())
            .tls_backend_preconfigured(tls.clone())
            .build()
            .map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
        Ok(Dialer { http, tls: Arc::new(tls).into(), networks })
    }

    /// Begins an HTTP request.
    ///
    /// # Errors
    /// `address_refused` if no node may be at the host's address.
    pub fn request(&self, method: reqwest::Method, url: &str) -> Result<reqwest::RequestBuilder> {
        // Names are checked when they are resolved; addresses are not resolved.
        if let Some(address) = host_of(url).and_then(|host| host.parse().ok()) {
            self.networks.check(address).map_err(|refused| refused.of(url))?;
        }
        Ok(self.http.request(method, url))
    }

    /// Connects to the host of `url`.
    ///
    /// # Errors
    /// When no address accepts the connection, or the certificate is not valid for the host.
    pub async fn connect(&self, url: &Url) -> std::io::Result<Connection> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or(80);
        let addresses = self.networks.resolve(host, port).await?;
        let tcp = tokio::time::timeout(CONNECT_MAX, TcpStream::connect(&addresses[..])).await??;
        tcp.set_nodelay(true)?;
        if url.scheme() != "https" {
            return Ok(Either::Left(tcp));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        let tls = tokio::time::timeout(CONNECT_MAX, self.tls.connect(name, tcp)).await??;
        Ok(Either::Right(tls))
    }
}

/// The networks in which nodes may be.
#[derive(Debug, Clone)]
struct Networks(Arc<[IpNet]>);

/// An address that no node may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{address} {reason}")]
pub struct AddressRefusal {
    address: IpAddr,
    reason: &'static str,
}

impl AddressRefusal {
    fn of(&self, url: &str) -> Error {
        Error::new(Kind::AddressRefused, format!("{url} is not called: {self}"))
            .hint("give the address of a node in NodeNetworks")
    }

    /// The error for a request to `url` that failed because of this, if it did.
    pub fn cause(url: &str, error: &(dyn std::error::Error + 'static)) -> Option<Error> {
        find::<AddressRefusal>(error).map(|refused| refused.of(url))
    }
}

/// Whether a connection failed because one side refused the other's certificate.
pub fn is_about_certificates(error: &(dyn std::error::Error + 'static)) -> bool {
    find::<rustls::Error>(error).is_some()
}

/// The error of this type among the causes of an error.
fn find<'e, E: std::error::Error + 'static>(
    error: &'e (dyn std::error::Error + 'static),
) -> Option<&'e E> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        // An I/O error leaves the error that it wraps out of its sources.
        let made_of = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        current = match made_of {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

impl Networks {
    /// Checks that a node may have this address.
    fn check(&self, address: IpAddr) -> std::result::Result<(), AddressRefusal> {
        let refused = |reason| Err(AddressRefusal { address, reason });
        let plain = unmapped(address);
        let reason = match plain {
            IpAddr::V4(v4) if v4.is_link_local() => Some("is link-local"),
            IpAddr::V4(v4) if v4.is_broadcast() => Some("is a broadcast address"),
            // 0.0.0.0/8 is this host.
            IpAddr::V4(v4) if v4.octets()[0] == 0 => Some("is unspecified"),
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("is link-local"),
            IpAddr::V6(METADATA) | IpAddr::V4(METADATA_V4) => Some("is a metadata service"),
            _ if plain.is_multicast() => Some("is a multicast address"),
            _ if plain.is_unspecified() => Some("is unspecified"),
            _ => None,
        };
        match reason {
            Some(reason) => refused(reason),
            None if self.0.is_empty() || self.0.iter().any(|network| network.contains(&plain)) => {
                Ok(())
            }
            None => refused("is outside of NodeNetworks"),
        }
    }

    /// The addresses of a host that nodes may have.
    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        let mut allowed = Vec::new();
        let mut refusal = None;
        for found in tokio::net::lookup_host((host, port)).await? {
            match self.check(found.ip()) {
                Ok(()) => allowed.push(found),
                Err(refused) => refusal = Some(refused),
            }
        }
        match refusal {
            Some(refused) if allowed.is_empty() => Err(std::io::Error::other(refused)),
            _ => Ok(allowed),
        }
    }
}

/// The IPv4 address in a mapped or translated IPv6 address (RFC 6052).
fn unmapped(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] => {
            let [.., a, b, c, d] = v6.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        // 6to4.
        IpAddr::V6(v6) if v6.segments()[0] == 0x2002 => {
            let [_, _, a, b, c, d, ..] = v6.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        plain => plain,
    }
}

impl Resolve for Networks {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = self.clone();
        Box::pin(async move {
            let found = Networks::resolve(&networks, name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(networks: &[&str], address: &str) -> bool {
        let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        Networks(networks).check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn nodes_are_not_looked_for_in_the_machines_surroundings() {
        for address in [
            "169.254.169.254",
            "100.100.100.200",
            "2002:a9fe:a9fe::1",
            "169.254.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fe80::1",
            "fd00:ec2::254",
            "224.0.0.1",
            "ff02::1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "255.255.255.255",
        ] {
            assert!(!allows(&[], address), "{address}");
            assert!(!allows(&["0.0.0.0/0", "::/0"], address), "{address}");
        }
        for address in ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "8.8.8.8", "fd00::1"] {
            assert!(allows(&[], address), "{address}");
        }
    }

    #[test]
    fn networks_that_are_configured_are_the_only_ones() {
        let networks = ["10.1.0.0/16", "fd00::/8"];
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"] {
            assert!(allows(&networks, address), "{address}");
        }
        for address in ["10.2.0.1", "127.0.0.1", "8.8.8.8", "2001:db8::1"] {
            assert!(!allows(&networks, address), "{address}");
        }
    }

    #[tokio::test]
    async fn a_name_is_as_good_as_the_addresses_that_it_leads_to() {
        let networks = Networks(["10.1.0.0/16".parse().unwrap()].into());
        let error = networks.resolve("localhost", 1).await.unwrap_err();
        let error = AddressRefusal::cause("http://localhost:1", &error).unwrap();
        assert_eq!(error.kind, Kind::AddressRefused);
        assert!(error.to_string().contains("NodeNetworks"), "{error}");
        let found = Networks([].into()).resolve("localhost", 1).await.unwrap();
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()));
    }
}
