//! Certificates for tests, issued by the command that users run too.

use crate::bed::program;
use crate::node::Settings;
use reqwest::ClientBuilder;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A directory with a certificate authority and the certificate of the nodes.
#[derive(Debug, Clone)]
pub struct Certs(PathBuf);

impl Certs {
    /// Runs `jettra dev certs`; an authority that exists already is used again.
    pub fn make(dir: PathBuf, hosts: &[&str]) -> Certs {
        let mut command = Command::new(program("jettra"));
        command.args(["dev", "certs", "--out"]).arg(&dir);
        if !hosts.is_empty() {
            command.args(["--host", &hosts.join(",")]);
        }
        let output = command.output().expect("jettra runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Certs(dir)
    }

    /// The certificate of the authority.
    pub fn authority(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    /// The certificate of the nodes.
    pub fn certificate(&self) -> PathBuf {
        self.0.join("node.pem")
    }

    /// The private key of that certificate.
    pub fn key(&self) -> PathBuf {
        self.0.join("node-key.pem")
    }

    /// The settings of a node with these certificates.
    pub fn settings(&self, settings: Settings) -> Settings {
        let text = |path: PathBuf| path.display().to_string();
        let settings = settings.key("TlsCert", text(self.certificate()));
        settings.key("TlsKey", text(self.key())).key("TlsCa", text(self.authority()))
    }
}

/// An HTTP client that trusts the authority in the file and presents the certificate, if any.
pub fn http_client(authority: Option<&Path>, shown: Option<&Certs>) -> ClientBuilder {
    let mut roots = RootCertStore::empty();
    for certificate in authority.map(read).unwrap_or_default() {
        roots.add(certificate).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_root_certificates(roots);
    let config = match shown {
        Some(certs) => {
            let key = PrivateKeyDer::from_pem_file(certs.key()).expect("a key");
            builder.with_client_auth_cert(read(&certs.certificate()), key).expect("a certificate")
        }
        None => builder.with_no_client_auth(),
    };
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config)
}

fn read(path: &Path) -> Vec<CertificateDer<'static>> {
    let read = CertificateDer::pem_file_iter(path).expect("a PEM file");
    read.map(|certificate| certificate.expect("a certificate")).collect()
}

/// The first certificate that the server at a loopback address presents.
pub async fn shown_at(port: u16, authority: &Path) -> Result<Vec<u8>, String> {
    let client = http_client(Some(authority), None).tls_info(true).build();
    let client = client.map_err(|error| error.to_string())?;
    let answer = client.get(format!("https://127.0.0.1:{port}/health")).send().await;
    let answer = answer.map_err(|error| format!("{error:?}"))?;
    let info = answer.extensions().get::<reqwest::tls::TlsInfo>();
    let shown = info.and_then(|info| info.peer_certificate()).map(<[u8]>::to_vec);
    shown.ok_or_else(|| "no certificate".into())
}

/// The first certificate in a PEM file.
pub fn first_in(path: &Path) -> Vec<u8> {
    read(path)[0].to_vec()
}
