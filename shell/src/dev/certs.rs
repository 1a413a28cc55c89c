//! A test authority and a certificate that it has signed.

use super::files::failed;
use super::process::quoted;
use crate::failure::Failure;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The certificate of the authority.
pub(crate) const AUTHORITY: &str = "ca.pem";
const AUTHORITY_KEY: &str = "ca-key.pem";
/// The certificate of the nodes.
pub(crate) const CERTIFICATE: &str = "node.pem";
/// The key of that certificate.
pub(crate) const KEY: &str = "node-key.pem";

/// The hosts of every certificate.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Browsers trust no certificate that is valid for longer.
const DAYS: u32 = 398;

/// Creates an authority, unless there is one, and a certificate for this machine and `hosts`.
pub(crate) fn create(dir: &Path, hosts: &[String]) -> Result<(), Failure> {
    fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    let key = authority_key(dir)?;
    let params = authority_params(&key)?;
    let certificate = params.self_signed(&key).map_err(refused)?;
    let issuer = Issuer::new(params, key);
    if !dir.join(AUTHORITY).exists() {
        write(dir, AUTHORITY, &certificate.pem(), 0o644)?;
    }
    let names: Vec<String> =
        LOCAL.iter().map(ToString::to_string).chain(hosts.iter().cloned()).collect();
    let mut params = CertificateParams::new(names).map_err(refused)?;
    params.distinguished_name.push(DnType::CommonName, "Jettra test node");
    (params.not_before, params.not_after) = validity();
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // A node is a server, and a client of the other nodes.
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().map_err(refused)?;
    let signed = params.signed_by(&key, &issuer).map_err(refused)?;
    write(dir, KEY, &key.serialize_pem(), 0o600)?;
    write(dir, CERTIFICATE, &signed.pem(), 0o644)
}

fn authority_params(key: &KeyPair) -> Result<CertificateParams, Failure> {
    let mut params = CertificateParams::new(Vec::new()).map_err(refused)?;
    // Two authorities with the same name would be confused.
    let tail: String =
        key.public_key_raw().iter().rev().take(4).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name.push(DnType::CommonName, format!("Jettra test authority {tail}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = validity();
    Ok(params)
}

fn validity<T: From<SystemTime>>() -> (T, T) {
    let now = SystemTime::now();
    ((now - DAY).into(), (now + DAY * DAYS).into())
}

/// The key of the authority, created if it does not exist.
fn authority_key(dir: &Path) -> Result<KeyPair, Failure> {
    let path = dir.join(AUTHORITY_KEY);
    if path.exists() {
        let text = fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
        return KeyPair::from_pem(&text)
            .map_err(|error| Failure::Refused(format!("{}: {error}", path.display())));
    }
    let key = KeyPair::generate().map_err(refused)?;
    write(dir, AUTHORITY_KEY, &key.serialize_pem(), 0o600)?;
    Ok(key)
}

fn refused(error: rcgen::Error) -> Failure {
    Failure::Refused(format!("the certificate cannot be created: {error}"))
}

/// Replaces a file atomically, as nodes may be reading it.
fn write(dir: &Path, name: &str, text: &str, mode: u32) -> Result<(), Failure> {
    let (path, new) = (dir.join(name), dir.join(format!("{name}.new")));
    let replace = || {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&new, &path)
    };
    replace().map_err(|error| failed(&path, error))
}

/// The commands that use the files.
pub(crate) fn next_steps(dir: &Path) -> String {
    let file = |name: &str| quoted(&dir.join(name).display().to_string());
    let (ca, cert, key) = (file(AUTHORITY), file(CERTIFICATE), file(KEY));
    format!(
        "Node:  jettradb --tls-cert {cert} --tls-key {key} --tls-ca {ca}\n\
         Shell: jettra --url https://127.0.0.1:8080 --ca-file {ca}\n\
         Curl:  curl --cacert {ca} https://localhost:8080/health\n\
         {} signs further certificates; it is for tests only.\n",
        file(AUTHORITY_KEY)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_private_and_the_authority_stays() {
        let dir = std::env::temp_dir().join(format!("jettra-certs-{}", std::process::id()));
        create(&dir, &["db1.example".into()]).unwrap();
        let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
        let (authority, certificate) = (read(AUTHORITY), read(CERTIFICATE));
        create(&dir, &[]).unwrap();
        assert_eq!(read(AUTHORITY), authority);
        assert_ne!(read(CERTIFICATE), certificate);
        for name in [KEY, AUTHORITY_KEY] {
            let mode = fs::metadata(dir.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert!(create(&dir, &["bücher".into()]).is_err());
        fs::remove_dir_all(dir).unwrap();
    }
}
