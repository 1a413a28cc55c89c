//! This node's certificate and the authority of the nodes, as their files are now.
//!
//! The files are read again every few seconds and on `SIGHUP`. New certificates are used for all
//! later connections in both directions; unusable files are reported and the previous certificates
//! stay in use. TLS sessions are never resumed, so every connection verifies certificates.

use crate::config::Config;
use crate::error::{Error, Kind, Result};
use parking_lot::RwLock;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme,
};
use rustls_platform_verifier::Verifier as SystemVerifier;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Interval at which the files are read.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

type TlsResult<T> = std::result::Result<T, rustls::Error>;

/// The files, and the certificates in use.
#[derive(Debug)]
pub struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    authority: Option<PathBuf>,
    host: String,
    provider: Arc<CryptoProvider>,
    /// Names of the authority at the start, so that browsers offer no other certificates.
    hints: Vec<DistinguishedName>,
    loaded: RwLock<Arc<LoadedFiles>>,
}

/// The content of the files, parsed.
#[derive(Debug)]
struct LoadedFiles {
    texts: [Vec<u8>; 3],
    own: Arc<CertifiedKey>,
    authority: Option<Authority>,
}

/// Verifiers for the authority, one for each side of a connection.
#[derive(Debug)]
struct Authority {
    of_servers: Arc<WebPkiServerVerifier>,
    of_clients: Arc<dyn ClientCertVerifier>,
}

fn wrong(message: impl Into<String>, hint: &str) -> Error {
    Error::new(Kind::InvalidParameter, message).hint(hint)
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, error.to_string())
}

impl Certificates {
    /// Reads the files of the configuration; returns none if it names none.
    ///
    /// # Errors
    /// `invalid_parameter` that names the key: a file cannot be read or has the wrong content, the
    /// key does not match the certificate, or the authority has not signed it for the host of the
    /// advertised URL.
    pub fn load(config: &Config) -> Result<Option<Arc<Self>>> {
        let (Some(certificate), Some(key)) = (&config.tls_cert, &config.tls_key) else {
            return Ok(None);
        };
        let provider = Arc::new(ring::default_provider());
        let host = config.advertise_host().unwrap_or_default();
        let paths = (certificate.as_path(), key.as_path(), config.tls_ca.as_deref());
        let loaded = LoadedFiles::new(read_files(paths)?, paths, &host, &provider)?;
        let hints = match &loaded.authority {
            Some(authority) => authority.of_clients.root_hint_subjects().to_vec(),
            None => Vec::new(),
        };
        Ok(Some(Arc::new(Certificates {
            certificate: certificate.clone(),
            key: key.clone(),
            authority: config.tls_ca.clone(),
            host,
            provider,
            hints,
            loaded: RwLock::new(Arc::new(loaded)),
        })))
    }

    fn now(&self) -> Arc<LoadedFiles> {
        self.loaded.read().clone()
    }

    /// Whether nodes must present certificates to each other.
    pub fn has_authority(&self) -> bool {
        self.authority.is_some()
    }

    /// Uses the files' new content if they have changed; returns whether they had.
    ///
    /// # Errors
    /// Those of [`Certificates::load`]; the previous certificates stay in use.
    pub fn reload(&self) -> Result<bool> {
        let paths = (self.certificate.as_path(), self.key.as_path(), self.authority.as_deref());
        let texts = read_files(paths)?;
        if texts == self.now().texts {
            return Ok(false);
        }
        let loaded = LoadedFiles::new(texts, paths, &self.host, &self.provider)?;
        *self.loaded.write() = Arc::new(loaded);
        Ok(true)
    }

    /// Reads the files every few seconds and on `SIGHUP`, until the process ends.
    pub async fn watch(self: Arc<Self>) {
        use tokio::signal::unix::{SignalKind, signal};
        let mut told = String::new();
        let mut hangup = signal(SignalKind::hangup()).ok();
        loop {
            let asked = async {
                match &mut hangup {
                    Some(hangup) => drop(hangup.recv().await),
                    None => std::future::pending().await,
                }
            };
            let _ = tokio::time::timeout(LOOK_AGAIN, asked).await;
            match self.reload() {
                Ok(true) => tracing::info!("the new TLS certificates are in use"),
                Ok(false) => {}
                // Files are seldom replaced at one moment; an error that persists is logged once.
                Err(error) if error.message == told => continue,
                Err(error) => {
                    tracing::error!("the new TLS certificates are not used: {error}");
                    told = error.message;
                    continue;
                }
            }
            told.clear();
        }
    }

    /// The TLS configuration of this node's server.
    ///
    /// # Errors
    /// `internal` if the library has no common protocol.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(internal)?;
        let builder = match self.has_authority() {
            true => builder.with_client_cert_verifier(self.clone()),
            false => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(self.clone());
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

/// The TLS configuration of this node's connections to others.
///
/// # Errors
/// `internal` if the library has no common protocol.
pub fn client_config(certificates: Option<&Arc<Certificates>>) -> Result<ClientConfig> {
    let provider = match certificates {
        Some(certificates) => certificates.provider.clone(),
        None => Arc::new(ring::default_provider()),
    };
    let verifier = PeerVerifier {
        certificates: certificates.cloned(),
        system: OnceLock::new(),
        provider: provider.clone(),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(internal)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match certificates {
        Some(certificates) => builder.with_client_cert_resolver(certificates.clone()),
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The certificate that the peer of a connection has presented; its authority is verified.
#[derive(Debug, Clone)]
pub struct PeerCertificate(pub CertificateDer<'static>);

/// Whether a certificate, whose authority is verified, is valid for this host.
pub fn is_for_host(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let (Ok(parsed), Ok(name)) =
        (ParsedCertificate::try_from(certificate), ServerName::try_from(host))
    else {
        return false;
    };
    verify_server_name(&parsed, &name).is_ok()
}

type Paths<'p> = (&'p Path, &'p Path, Option<&'p Path>);

fn read_files((certificate, key, authority): Paths<'_>) -> Result<[Vec<u8>; 3]> {
    let read = |name: &str, path: &Path| {
        std::fs::read(path).map_err(|error| {
            wrong(
                format!("{name}: {} cannot be read: {error}", path.display()),
                "correct the path, and let this node's user read the file",
            )
        })
    };
    let authority = authority.map(|path| read("TlsCa", path)).transpose()?;
    Ok([read("TlsCert", certificate)?, read("TlsKey", key)?, authority.unwrap_or_default()])
}

fn certificates(name: &str, path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(wrong(
            format!("{name}: {} holds no certificate", path.display()),
            "the file must be PEM: -----BEGIN CERTIFICATE-----",
        )),
        Err(error) => Err(wrong(
            format!("{name}: {} cannot be read: {error}", path.display()),
            "the file must be PEM: -----BEGIN CERTIFICATE-----",
        )),
    }
}

impl LoadedFiles {
    fn new(
        texts: [Vec<u8>; 3],
        (certificate, key, authority): Paths<'_>,
        host: &str,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self> {
        let chain = certificates("TlsCert", certificate, &texts[0])?;
        let private = PrivateKeyDer::from_pem_slice(&texts[1]).map_err(|error| {
            wrong(
                format!("TlsKey: {} holds no private key: {error}", key.display()),
                "the file must be PEM: -----BEGIN PRIVATE KEY-----, without a password",
            )
        })?;
        let own = CertifiedKey::from_der(chain, private, provider).map_err(|error| {
            let (key, certificate) = (key.display(), certificate.display());
            let message = match error {
                rustls::Error::InconsistentKeys(_) => {
                    format!("TlsKey: {key} is not the key of the certificate in {certificate}")
                }
                error => format!("TlsCert {certificate} and TlsKey {key} do not work: {error}"),
            };
            wrong(message, "give the key that the certificate was made with")
        })?;
        let authority = authority
            .map(|path| Authority::new(path, &texts[2], &own, host, provider))
            .transpose()?;
        if authority.is_none() && !own.cert.first().is_some_and(|first| is_for_host(first, host)) {
            tracing::warn!("TlsCert is not for the host {host:?} of AdvertiseUrl");
        }
        Ok(LoadedFiles { texts, own: Arc::new(own), authority })
    }
}

impl Authority {
    /// Creates the verifiers if the authority has signed this node's own certificate: the other
    /// nodes would refuse it otherwise, with a less clear reason.
    fn new(
        path: &Path,
        text: &[u8],
        own: &CertifiedKey,
        host: &str,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self> {
        let unusable = |error: String| {
            wrong(
                format!("TlsCa: {} cannot be used: {error}", path.display()),
                "give the certificate of the authority, not that of a node",
            )
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates("TlsCa", path, text)? {
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
        let roots = Arc::new(roots);
        let of_servers =
            WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone())
                .build()
                .map_err(|error| unusable(error.to_string()))?;
        let of_clients = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        let (first, rest) = own.cert.split_first().ok_or_else(|| internal("no certificate"))?;
        let refused = |error: rustls::Error| {
            wrong(
                format!("TlsCert: the other nodes would refuse it for {host:?}: {error}"),
                "let the authority in TlsCa sign it for the host of AdvertiseUrl, for use by \
                 servers and clients",
            )
        };
        let (name, now) =
            (ServerName::try_from(host.to_owned()).map_err(internal)?, UnixTime::now());
        of_servers.verify_server_cert(first, rest, &name, &[], now).map_err(refused)?;
        of_clients.verify_client_cert(first, rest, now).map_err(refused)?;
        Ok(Authority { of_servers, of_clients })
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now().own.clone())
    }
}

impl ResolvesClientCert for Certificates {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.now().own.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn no_authority() -> rustls::Error {
    rustls::Error::General("there is no authority to verify certificates by".into())
}

/// Generates the methods that the traits for certificates of clients and of servers have in common:
/// signatures are verified with the algorithms of the provider.
macro_rules! verify_signatures_with_provider {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> TlsResult<HandshakeSignatureValid> {
            verify_tls12_signature(
                message,
                cert,
                dss,
                &self.provider.signature_verification_algorithms,
            )
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> TlsResult<HandshakeSignatureValid> {
            verify_tls13_signature(
                message,
                cert,
                dss,
                &self.provider.signature_verification_algorithms,
            )
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.provider.signature_verification_algorithms.supported_schemes()
        }
    };
}

/// Verifies certificates of clients: without one a client is admitted too, to the routes for
/// everybody.
impl ClientCertVerifier for Certificates {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> TlsResult<ClientCertVerified> {
        match &self.now().authority {
            Some(authority) => {
                authority.of_clients.verify_client_cert(end_entity, intermediates, now)
            }
            None => Err(no_authority()),
        }
    }

    verify_signatures_with_provider!();
}

/// Verifies certificates of other nodes: by the authority of the nodes, or else by those of the
/// system.
#[derive(Debug)]
struct PeerVerifier {
    certificates: Option<Arc<Certificates>>,
    /// Created with the first connection that needs it.
    system: OnceLock<TlsResult<SystemVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> TlsResult<ServerCertVerified> {
        let loaded = self.certificates.as_ref().map(|certificates| certificates.now());
        if let Some(authority) = loaded.as_ref().and_then(|loaded| loaded.authority.as_ref()) {
            return authority.of_servers.verify_server_cert(
                end_entity,
                intermediates,
                name,
                ocsp,
                now,
            );
        }
        let system = self.system.get_or_init(|| SystemVerifier::new(self.provider.clone()));
        let system = system.as_ref().map_err(Clone::clone)?;
        system.verify_server_cert(end_entity, intermediates, name, ocsp, now)
    }

    verify_signatures_with_provider!();
}
