//! Assembles a node, runs it, and shuts it down in order.

mod rockraft;

use crate::cluster::identity::{Identity, lock_data_dir};
use crate::cluster::{Cluster, Exit, bootstrap, join, secrets};
use crate::config::Config;
use crate::doors::http::call::{App, Listener};
use crate::doors::http::server;
use crate::doors::http::threads::Threads;
use crate::doors::http::upgrade;
use crate::error::{Error, Kind, Result};
use crate::format::GroupFormats;
use crate::service::Service;
use crate::tls::{Certificates, PeerCertificate};
use actix_http::HttpService;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, map_config};
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::App as HttpApp;
use actix_web::dev::{AppConfig, Extensions, Server};
use actix_web::rt::net::TcpStream;
use actix_web::web::Data;
use rustix::process::{Resource, Rlimit};
use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Idle connections are closed after this long.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Time within which a client must send its request head.
const REQUEST_HEAD: Duration = Duration::from_secs(10);
/// Time that a connection has to close; without one it might stay.
const DISCONNECT_MAX: Duration = Duration::from_secs(1);
/// Open connections for each HTTP thread.
const CONNECTIONS_MAX: usize = 4096;
/// Files and connections reserved for everything but clients: the log must go on when clients use
/// all that they may.
const FILES_RESERVED: usize = 256;
/// Time after which a connection is closed whose peer does not read the response.
const UNREAD_MAX_MS: u32 = 30_000;
/// Time that running requests have when the node stops.
const SHUTDOWN_SECONDS: u64 = 2;
/// Time that uninterruptible work has at the end.
const WORK_MAX: Duration = Duration::from_millis(200);
/// Longest time for an orderly shutdown. What is unfinished then is in the log.
const STOP_MAX: Duration = Duration::from_secs(8);
/// Threads for clients' requests for each HTTP thread: while one is busy for long, others go on.
const THREADS_EACH: usize = 2;

/// Runs a node until the cluster or `stop` ends it; returns why. `stop` is effective at any moment,
/// also while the node waits for a cluster secret or opens a long log.
///
/// This function is not async, so that the program contains a call of the library: an async function
/// is compiled where it is awaited, with all the async functions that it awaits.
///
/// # Errors
/// When it cannot start, with the reason.
pub fn run(config: Config, stop: watch::Receiver<bool>) -> Result<Exit> {
    limit_files(config.open_files_max);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(32)
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    let exit = runtime.block_on(serve(config, stop));
    runtime.shutdown_timeout(WORK_MAX);
    exit
}

async fn serve(config: Config, mut stop: watch::Receiver<bool>) -> Result<Exit> {
    if let Some(file) = &config.rockraft {
        println!("{}", file.banner());
    }
    let _lock = lock_data_dir(&config.data_dir)?;
    let identity = Identity::load(&config)?;
    let fresh = identity.cluster_id.is_none();
    let certificates = Certificates::load(&config)?;
    warn_of_open_doors(&config);
    let secret = match secrets::cluster_secret(&config, &identity)? {
        Some(secret) => secret,
        None => tokio::select! {
            brought = join::bring_secret(&config, certificates.as_ref(), &identity.node_id) => {
                brought?
            }
            () = asked(&mut stop) => return Ok(Exit::Stop),
        },
    };
    let cluster = Cluster::new(config, &secret, identity, certificates.clone(), formats())?;
    tokio::spawn(end_when_asked(cluster.clone(), stop));
    let config = &cluster.config;
    let threads = Threads::start(config.http_workers * THREADS_EACH, config.queries_max)?;
    let service = Service::new(cluster.clone())?;
    let server = listen(&cluster, &service, threads)?;
    let handle = server.handle();
    let serving = tokio::spawn(server);
    if let Some(certificates) = certificates {
        tokio::spawn(certificates.watch());
    }
    let started = tokio::select! {
        started = bootstrap::start(&cluster) => started,
        _ = cluster.ended() => Ok(()),
    };
    let ending = started.is_err() || cluster.is_ending();
    match config.rockraft {
        _ if ending => {}
        Some(_) => drop(tokio::spawn(rockraft::print_start(cluster.clone()))),
        None => println!("{}", banner(&cluster, fresh)),
    }
    let exit = match started {
        Ok(()) => Ok(cluster.ended().await),
        Err(error) => Err(error),
    };
    if exit.is_ok() {
        tracing::info!("stopping");
    }
    let taking_apart = async {
        service.transactions.end_all();
        cluster.shutdown().await;
        handle.stop(!ending).await;
        let _ = serving.await;
    };
    if tokio::time::timeout(STOP_MAX, taking_apart).await.is_err() {
        tracing::warn!(
            "something is still running after {STOP_MAX:?}; the next start goes on from the log"
        );
    }
    exit
}

/// What this program supports. A build with debug assertions plays the next version when a test asks
/// for that (`JETTRA_NEXT_VERSION`).
fn formats() -> GroupFormats {
    #[cfg(debug_assertions)]
    if std::env::var_os("JETTRA_NEXT_VERSION").is_some() {
        return GroupFormats::NEXT;
    }
    GroupFormats::THIS
}

/// Waits until the process is asked to end.
async fn asked(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // The sender is gone.
        std::future::pending::<()>().await;
    }
}

async fn end_when_asked(cluster: Arc<Cluster>, mut stop: watch::Receiver<bool>) {
    asked(&mut stop).await;
    cluster.end(Exit::Stop);
}

/// An HTTP service on connections of one type. A macro, because the types of actix have no short name.
macro_rules! http_service {
    ($connection:ty, $app:expr, $stopping:expr) => {{
        let (app, stopping) = ($app.clone(), $stopping.clone());
        let calls = HttpApp::new()
            .wrap(server::cors(app.service.config()))
            .app_data(app.clone())
            .configure(server::mount);
        let calls = calls.into_factory().map_err(|error| error.error_response());
        HttpService::build()
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(REQUEST_HEAD)
            .client_disconnect_timeout(DISCONNECT_MAX)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .on_connect_ext(|connection: &$connection, data| note_connection(connection, data))
            .upgrade(upgrade::service(app.into_inner()))
            .finish(map_config(calls, |()| AppConfig::default()))
    }};
}

/// The server of a node, listening.
///
/// # Errors
/// When an address cannot be used, or a file of TLS.
fn listen(cluster: &Arc<Cluster>, service: &Arc<Service>, threads: Threads) -> Result<Server> {
    let config = &cluster.config;
    let threads = Arc::new(threads);
    let clients = SocketAddr::new(config.host, config.port);
    let listeners = match config.peer_listener()? {
        None => vec![("Port", clients, Listener::All)],
        Some(nodes) => {
            vec![("Port", clients, Listener::Clients), ("PeerAddress", nodes, Listener::Nodes)]
        }
    };
    let mut server = Server::build()
        .workers(config.http_workers)
        .max_concurrent_connections(connections_max(config.http_workers))
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals();
    for (key, address, listener) in listeners {
        let (service, threads) = (service.clone(), threads.clone());
        let app = Data::new(App { service, threads, listener });
        let stopping = server.graceful_shutdown_signal();
        let bound = match &cluster.certificates {
            Some(files) => {
                let tls = files.server_config()?;
                server.bind(key, address, move || {
                    http_service!(TlsStream<TcpStream>, app, stopping).rustls_0_23(tls.clone())
                })
            }
            None => {
                server.bind(key, address, move || http_service!(TcpStream, app, stopping).tcp())
            }
        };
        server = bound.map_err(|error| {
            let message = format!("{key}: cannot listen on {address}: {error}");
            Error::new(Kind::InvalidParameter, message)
                .hint(format!("stop what uses the port, or choose another one for {key}"))
        })?;
    }
    Ok(server.run())
}

/// Raises the limit of open files as far as this process may, or sets it to `max`: each group keeps about
/// ten, and the usual soft limit of 1,024 is there for programs that use `select`.
fn limit_files(max: Option<u64>) {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let possible = limit.maximum.unwrap_or(u64::MAX);
    if let Some(max) = max.filter(|max| *max > possible) {
        tracing::warn!("OpenFilesMax: this process may open {possible} files, not {max}");
    }
    let current = max.map_or(limit.maximum, |max| Some(max.min(possible)));
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, Rlimit { current, ..limit }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Connections for each HTTP thread, within the limit of open files: half of the files if there are
/// fewer than the reserve.
fn connections_max(workers: usize) -> usize {
    let limit = rustix::process::getrlimit(Resource::Nofile).current;
    let files = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let usable = files.saturating_sub(FILES_RESERVED).max(files / 2);
    (usable / workers.max(1)).clamp(1, CONNECTIONS_MAX)
}

/// Limits how long a response may stay unread, and keeps the peer's certificate with its
/// connection.
fn note_connection(connection: &dyn Any, data: &mut Extensions) {
    let tls = connection.downcast_ref::<TlsStream<TcpStream>>();
    let tcp = tls.map(|tls| tls.get_ref().0).or_else(|| connection.downcast_ref::<TcpStream>());
    if let Some(tcp) = tcp {
        // Systems without this option end the connection by the kernel's own time-out.
        let _ = rustix::net::sockopt::set_tcp_user_timeout(tcp, UNREAD_MAX_MS);
    }
    let Some(tls) = tls else { return };
    let shown = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    if let Some(certificate) = shown {
        data.insert(PeerCertificate(certificate.clone().into_owned()));
    }
}

fn warn_of_open_doors(config: &Config) {
    if config.open_on_loopback {
        tracing::warn!(
            "OpenOnLoopback: PROGRAMS OF THIS MACHINE NEED NO PASSWORD, and are the user admin"
        );
    }
    if !config.host.is_loopback() && !config.serves_tls() {
        tracing::warn!(
            "PASSWORDS AND DOCUMENTS TRAVEL IN THE CLEAR: {} can be reached from other machines, \
             and there is no TlsCert; set TlsCert, TlsKey and TlsCa (jettra dev certs makes some \
             for trying it), or listen on 127.0.0.1",
            config.host
        );
    }
}

fn banner(cluster: &Cluster, fresh: bool) -> String {
    let config = &cluster.config;
    let (url, shell) = (config.url(), shell_command());
    let mut lines = vec![
        format!("Jettra {} node {}", env!("CARGO_PKG_VERSION"), cluster.node_id()),
        format!("  page      {url}/"),
    ];
    if bootstrap::makes_cluster(config) {
        let place = secrets::admin_password_place(config);
        lines.push(format!("  password  {place}   (user admin)"));
        let file = config.admin_password.is_none().then(|| format!(" --password-file {place}"));
        lines.push(format!("  shell     {shell} --url {url}{}", file.unwrap_or_default()));
    } else if fresh && config.peers.is_empty() {
        lines.push("  waiting to be registered on a member of the cluster:".into());
        lines.push(format!("            {shell} --url <member> -e 'cluster add {url}'"));
    } else if fresh {
        lines.push(format!("  asking {} for admission", config.peers.join(", ")));
    } else {
        lines.push(format!("  shell     {shell} --url {url}"));
    }
    lines.push(format!("  data      {}   stop with Ctrl-C", config.data_dir.display()));
    lines.join("\n")
}

/// The command that starts the shell: the program beside this one, or Cargo while it is not built.
fn shell_command() -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let program = std::env::current_exe().map(|program| program.with_file_name("jettra"));
    match program {
        Ok(path) if path.exists() => {
            path.strip_prefix(&here).unwrap_or(&path).display().to_string()
        }
        _ => "cargo run --release -p jettra-shell --".into(),
    }
}
