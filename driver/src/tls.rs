//! Which certificates of nodes are trusted.

use crate::error::{Error, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;
use url::Url;

/// TLS for connections to `seeds`, trusting the authority in this PEM, else the system's.
pub(crate) fn config(seeds: &[Url], authority: Option<&[u8]>) -> Result<ClientConfig> {
    let invalid = |error: rustls::Error| Error::Invalid(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(invalid)?;
    let secured = seeds.iter().any(|seed| seed.scheme() == "https");
    let builder = match authority {
        Some(pem) => builder.with_root_certificates(roots(pem)?),
        // Reading the system's takes a while, and there may be none.
        None if secured => builder.with_platform_verifier().map_err(invalid)?,
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(pem: &[u8]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|one| roots.add(one).map_err(|error| error.to_string()));
        added.map_err(|error| Error::Invalid(format!("the authority cannot be read: {error}")))?;
    }
    match roots.is_empty() {
        true => Err(Error::Invalid("the authority holds no certificate in PEM".into())),
        false => Ok(roots),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_that_cannot_be_read_is_refused() {
        let seeds = ["https://127.0.0.1:1".parse().unwrap()];
        for pem in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(config(&seeds, Some(pem.as_bytes())).is_err(), "{pem}");
        }
    }
}
