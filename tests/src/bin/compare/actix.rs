//! A handler of actix-web that returns a document of 200 bytes and does nothing else: the most that
//! a node built on actix-web can reach.

use crate::process::{Process, metered, wait_for};
use crate::system::System;
use crate::workload::{ACTIX, ID, Plan, Sample, Work, small};
use crate::wrk::{self, Request};
use actix_web::{App, HttpResponse, HttpServer, web};
use jettra_tests::free_port;
use jettra_tests::measure::Failure;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Threads that serve: as many as a node has by default.
const WORKERS: usize = 2;

/// The server, in a process of its own.
pub(crate) struct Actix {
    process: Process,
    port: u16,
    dir: PathBuf,
}

/// Serves until the process is ended.
pub(crate) fn serve(port: u16) -> Result<(), Failure> {
    let get = async || {
        HttpResponse::Ok().content_type("application/json").body(small("10000000", "1000000", 200))
    };
    let app = move || App::new().route("/documents/{id}", web::get().to(get));
    let server = HttpServer::new(app).workers(WORKERS).bind(("127.0.0.1", port))?;
    Ok(actix_web::rt::System::new().block_on(server.run())?)
}

impl Actix {
    /// Starts this program as the server.
    pub(crate) fn start(dir: &Path) -> Result<Actix, Failure> {
        std::fs::create_dir_all(dir)?;
        let port = free_port();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--serve-bare", &port.to_string()]);
        let process = Process::start(command, &dir.join("actix.log"), "KILL")?;
        let reach = || Ok(std::net::TcpStream::connect(("127.0.0.1", port)).map(drop)?);
        wait_for("bare actix", reach)?;
        Ok(Actix { process, port, dir: dir.to_owned() })
    }
}

impl System for Actix {
    fn name(&self) -> String {
        ACTIX.to_owned()
    }

    fn pids(&self) -> Vec<u32> {
        self.process.pid().into_iter().collect()
    }

    fn dir(&self) -> &Path {
        &self.dir
    }

    fn fill(&mut self, _: u64) -> Result<(), Failure> {
        Ok(())
    }

    fn measure(&mut self, work: Work, plan: &Plan) -> Result<Option<Sample>, Failure> {
        if work != Work::LocalGet {
            return Ok(None);
        }
        let (headers, body) = (String::new(), String::new());
        let request =
            Request { line: format!("GET /documents/{ID}"), headers, body, response_bytes: 200 };
        let address = format!("127.0.0.1:{}", self.port);
        metered(&self.pids(), || wrk::measure(&address, &request, plan)).map(Some)
    }

    fn inserted(&self) -> Result<u64, Failure> {
        Ok(0)
    }

    fn verify(&self, _: u64) -> Result<(), Failure> {
        Ok(())
    }

    fn restart_node(&mut self) -> Result<Option<f64>, Failure> {
        Ok(None)
    }

    fn kill_leader(&mut self) -> Result<Option<f64>, Failure> {
        Ok(None)
    }
}
