//! Addresses of nodes.

use super::wrong;
use crate::error::{Error, Kind, Result};
use serde_json::{Map, Value, json};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use url::Url;

/// Replaces a name in `Host` by an address, and returns the name.
pub(super) fn resolve_host(values: &mut Map<String, Value>) -> Result<Option<String>> {
    let Some(name) = values["Host"].as_str().map(str::to_owned) else { return Ok(None) };
    if name.parse::<IpAddr>().is_ok() {
        return Ok(None);
    }
    let found = (name.as_str(), 0).to_socket_addrs();
    let found: Vec<SocketAddr> = found.map(Iterator::collect).unwrap_or_default();
    let address = found.iter().find(|address| address.is_ipv4()).or(found.first());
    let address = address.ok_or_else(|| {
        wrong(
            format!("Host: {name:?} leads to no address"),
            "write an IP address of this machine, or a name of it such as localhost",
        )
    })?;
    values["Host"] = json!(address.ip().to_string());
    Ok(Some(name))
}

/// The address in a text as `host:port`, for the key that has it.
///
/// # Errors
/// `invalid_parameter` that names the key.
pub(super) fn resolve(key: &str, text: &str) -> Result<SocketAddr> {
    let found = text.to_socket_addrs().map(Iterator::collect);
    let found: Vec<SocketAddr> = found.unwrap_or_default();
    let address = found.iter().find(|address| address.is_ipv4()).or(found.first());
    address.copied().filter(|address| address.port() > 0).ok_or_else(|| {
        wrong(
            format!("{key}: {text:?} is no address to listen on"),
            "write host:port, with an address or name of this machine, such as 127.0.0.1:7001",
        )
    })
}

/// Normalizes the address of a node: scheme, host and port, no slash at the end.
///
/// # Errors
/// `invalid_url` with the reason.
pub fn check_url(text: &str) -> Result<String> {
    let bad = |why: &str| {
        Error::new(Kind::InvalidUrl, format!("{text:?} is not the address of a node: {why}"))
            .hint("write http://host:port")
    };
    let url = Url::parse(text.trim()).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("only http:// and https:// are supported"));
    }
    let host =
        url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| bad("it has no host"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it holds a user name or password"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it holds more than host and port"));
    }
    let port = url.port_or_known_default().unwrap_or(80);
    Ok(format!("{}://{host}:{port}", url.scheme()))
}

/// The host of an address, without the brackets of an IPv6 address.
pub fn host_of(url: &str) -> Option<String> {
    let host = Url::parse(url).ok()?.host_str()?.to_owned();
    Some(host.trim_matches(['[', ']']).to_owned())
}
