//! Callers without credentials on this machine, where `OpenOnLoopback` admits them.

use super::call::Call;
use super::dispatch::{cookie, text_header};
use crate::error::{Error, Kind, Result};
use actix_web::http::header;
use std::net::IpAddr;
use url::{Host, Url};

/// What proxies say of the callers for whom they call.
const PROXY_HEADERS: [&str; 5] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

/// Whether a caller without credentials is admitted, because it calls from this machine.
///
/// # Errors
/// `cross_site_request` if a page of another site, or a caller of a proxy, may have sent the call: browsers
/// and proxies of this machine call from it too.
pub(super) fn admits(call: &Call) -> Result<bool> {
    let headers = call.headers();
    let from = call.session.from.as_deref().and_then(|from| from.parse::<IpAddr>().ok());
    let open = call.app.service.config().open_on_loopback
        && cookie(headers).is_none()
        && from.is_some_and(|from| from.to_canonical().is_loopback());
    if !open {
        return Ok(false);
    }
    let host = text_header(headers, header::HOST.as_str()).unwrap_or_default();
    let origin = text_header(headers, header::ORIGIN.as_str());
    let own_page = origin.is_none_or(|origin| {
        origin.split_once("://").is_some_and(|(_, place)| place.eq_ignore_ascii_case(host))
    });
    let fetched = text_header(headers, "sec-fetch-site").unwrap_or("none");
    // A proxy on this machine calls from it for anybody.
    let passed_on = PROXY_HEADERS.iter().any(|name| headers.contains_key(*name));
    let own = own_page && matches!(fetched, "none" | "same-origin");
    if is_local_name(host) && own && !passed_on {
        return Ok(true);
    }
    let message =
        "a call without credentials must come from a program of this machine, or from this page";
    Err(Error::new(Kind::CrossSite, message)
        .hint("call it as 127.0.0.1 or localhost, or with a user name and password"))
}

/// Whether the header `Host` names this machine: a name of somebody else may lead here too.
fn is_local_name(host: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}")) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for local in ["127.0.0.1:8080", "localhost", "LocalHost:1", "[::1]:8080", "127.1.2.3"] {
            assert!(is_local_name(local), "{local}");
        }
        for other in
            ["", "example.com", "localhost.example.com:80", "10.0.0.1", "a b", "127.0.0.1.nip.io"]
        {
            assert!(!is_local_name(other), "{other}");
        }
    }
}
