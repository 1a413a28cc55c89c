//! What only this machine shows about the settings: files that cannot be read, a port that is taken.

use super::{Config, wrong};
use crate::error::Result;
use rustix::fs::{Access, access};
use std::fs::File;
use std::net::{SocketAddr, TcpListener};

impl Config {
    /// Looks for what a start needs of this machine. Returns notes on what may change until then: a port that
    /// is taken, perhaps by this node itself, and a directory that this user cannot write.
    ///
    /// # Errors
    /// `invalid_parameter` if a file for TLS cannot be read.
    pub fn check_machine(&self) -> Result<Vec<String>> {
        let files =
            [("TlsCert", &self.tls_cert), ("TlsKey", &self.tls_key), ("TlsCa", &self.tls_ca)];
        for (key, path) in files.into_iter().filter_map(|(key, path)| Some((key, path.as_ref()?))) {
            if let Err(error) = File::open(path) {
                return Err(wrong(
                    format!("{key}: {} cannot be read: {error}", path.display()),
                    "correct the path, or the rights of the file",
                ));
            }
        }
        let clients = ("Port", SocketAddr::new(self.host, self.port));
        let nodes = self.peer_listener()?.map(|address| ("PeerAddress", address));
        let taken = [Some(clients), nodes].into_iter().flatten().filter_map(|(key, address)| {
            let error = TcpListener::bind(address).err()?;
            Some(format!("{key}: {address} cannot be listened on: {error}"))
        });
        let mut notes: Vec<String> = taken.collect();
        let data = &self.data_dir;
        if data.exists()
            && let Err(error) = access(data, Access::READ_OK | Access::WRITE_OK)
        {
            notes.push(format!("DataDir: {} cannot be used: {error}", data.display()));
        }
        Ok(notes)
    }
}
