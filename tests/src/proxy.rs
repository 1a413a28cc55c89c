//! Network faults between the nodes: one TCP proxy in front of each node, and at most one fault for
//! each directed link.
//!
//! Toxiproxy is a separate service and sees only the destination of a connection, so its faults
//! would affect all senders alike. Network namespaces need privileges. This proxy finds out
//! the sender instead: it asks the kernel which process has opened a connection.
//!
//! One difference to a real network remains: a connection over a broken link is still accepted, and
//! then ends or stays silent.

use crate::node::Node;
use crate::owner;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// Bytes that are forwarded in one piece.
const CHUNK: usize = 16 << 10;
/// Chunks in flight over a slow or silent link; the sender waits with further ones.
const CHUNKS_MAX: usize = 64;

/// One end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// The test itself.
    Client,
    /// The node with this index.
    Node(usize),
}

impl From<usize> for Endpoint {
    fn from(index: usize) -> Endpoint {
        Endpoint::Node(index)
    }
}

/// A fault of a directed link, from a source to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Connections opened by the source are closed, even within a message, and new ones are
    /// refused; those opened by the destination continue. Like a firewall that rejects.
    Cut,
    /// Each connection, no matter which end has opened it, is closed after the source has sent this
    /// number of further bytes over it, which may be within a message.
    CutAfter(usize),
    /// Nothing from the source arrives, no matter which end has opened the connection, and no
    /// connection is closed. Bytes in flight arrive after the repair. Like a pulled cable.
    Blackhole,
    /// Bytes from the source arrive later by this time.
    Delay(Duration),
}

/// Source and destination.
type Link = (Endpoint, Endpoint);
type Faults = BTreeMap<Link, Fault>;

/// A connection was ended by a fault.
struct Cut;

/// The links between the nodes of a cluster. Clones share their state; dropping the last one stops
/// the proxies.
#[derive(Clone)]
pub struct Links {
    network: Arc<Network>,
    _proxies: Arc<Proxies>,
}

/// State shared by all connections.
struct Network {
    faults: watch::Sender<Faults>,
    /// The process of each node, 0 while it does not run.
    processes: Vec<Arc<AtomicU32>>,
    /// Number of connections closed and chunks delayed by faults.
    hits: AtomicU64,
}

struct Proxies(Vec<JoinHandle<()>>);

impl Drop for Proxies {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Links {
    /// Starts a proxy for each node and sets its address as the node's `AdvertiseUrl`.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(nodes: &mut [Node]) -> Links {
        let processes = nodes.iter().map(Node::process).collect();
        let faults = watch::Sender::new(Faults::new());
        let network = Arc::new(Network { faults, processes, hits: AtomicU64::new(0) });
        let mut proxies = Vec::new();
        for (index, node) in nodes.iter_mut().enumerate() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
            let address = listener.local_addr().expect("the address of a listener");
            node.settings.config.insert("AdvertiseUrl".into(), format!("http://{address}").into());
            let target = SocketAddr::from((Ipv4Addr::LOCALHOST, node.port));
            proxies.push(tokio::spawn(network.clone().listen(listener, index, target)));
        }
        Links { network, _proxies: Arc::new(Proxies(proxies)) }
    }

    /// Injects a fault into the link from one endpoint to another.
    pub fn set(&self, from: impl Into<Endpoint>, to: impl Into<Endpoint>, fault: Fault) {
        let link = (from.into(), to.into());
        self.network.faults.send_modify(|faults| faults.extend([(link, fault)]));
    }

    /// [`Fault::Cut`].
    pub fn cut(&self, from: impl Into<Endpoint>, to: impl Into<Endpoint>) {
        self.set(from, to, Fault::Cut);
    }

    /// [`Fault::Blackhole`].
    pub fn blackhole(&self, from: impl Into<Endpoint>, to: impl Into<Endpoint>) {
        self.set(from, to, Fault::Blackhole);
    }

    /// [`Fault::Delay`].
    pub fn delay(&self, from: impl Into<Endpoint>, to: impl Into<Endpoint>, time: Duration) {
        self.set(from, to, Fault::Delay(time));
    }

    /// Breaks all links between a node and the other nodes, in both directions.
    pub fn isolate(&self, node: usize, fault: Fault) {
        let all = 0..self.network.processes.len();
        let others: Vec<_> = all.filter(|other| *other != node).collect();
        self.partition(&[node], &others, fault);
    }

    /// Breaks all links between two groups of nodes, in both directions.
    pub fn partition(&self, one: &[usize], other: &[usize], fault: Fault) {
        let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (*a, *b)));
        let links = pairs.flat_map(|(a, b)| [(a, b), (b, a)]);
        let links = links.map(|(from, to)| ((Endpoint::Node(from), Endpoint::Node(to)), fault));
        self.network.faults.send_modify(|faults| faults.extend(links));
    }

    /// Repairs all links.
    pub fn heal(&self) {
        self.network.faults.send_modify(Faults::clear);
    }

    /// How often faults took effect: connections closed or refused, chunks delayed.
    pub fn hits(&self) -> u64 {
        self.network.hits.load(Ordering::Relaxed)
    }
}

impl Network {
    async fn listen(self: Arc<Self>, listener: TcpListener, to: usize, target: SocketAddr) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((stream, peer)) = accepted else { continue };
                    connections.spawn(self.clone().serve(stream, peer, to, target));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    /// Forwards one connection until an end closes it or a fault does. A connection whose owner
    /// has already ended is dropped.
    async fn serve(self: Arc<Self>, near: TcpStream, peer: SocketAddr, to: usize, at: SocketAddr) {
        let Ok(local) = near.local_addr() else { return };
        let Some(from) = self.endpoint_of(peer, local) else { return };
        let (there, back) = ((from, Endpoint::Node(to)), (Endpoint::Node(to), from));
        if self.faults.borrow().get(&there) == Some(&Fault::Cut) {
            self.hit();
            return;
        }
        let Ok(far) = TcpStream::connect(at).await else { return };
        // Without Nagle's algorithm, which would delay small messages.
        if near.set_nodelay(true).and(far.set_nodelay(true)).is_err() {
            return;
        }
        let ((near_read, near_write), (far_read, far_write)) =
            (near.into_split(), far.into_split());
        let carried = async {
            tokio::try_join!(
                self.carry(near_read, far_write, there),
                self.carry(far_read, near_write, back)
            )
        };
        tokio::select! {
            _ = carried => {}
            () = self.wait_fault(there, |fault| fault == Some(Fault::Cut)) => self.hit(),
        }
    }

    fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until the fault of a link satisfies `wanted`.
    async fn wait_fault(&self, link: Link, wanted: impl Fn(Option<Fault>) -> bool) {
        let mut faults = self.faults.subscribe();
        let found = faults.wait_for(|faults| wanted(faults.get(&link).copied())).await;
        found.expect("the network outlives its connections");
    }

    /// Forwards one direction until its sender closes it, and then closes it towards the receiver.
    async fn carry(&self, from: OwnedReadHalf, to: OwnedWriteHalf, link: Link) -> Result<(), Cut> {
        let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
        tokio::try_join!(read(from, sender), self.deliver(receiver, to, link)).map(drop)
    }

    async fn deliver(
        &self,
        mut chunks: mpsc::Receiver<(Instant, Vec<u8>)>,
        mut to: OwnedWriteHalf,
        link: Link,
    ) -> Result<(), Cut> {
        let mut left = None;
        while let Some((sent, mut chunk)) = chunks.recv().await {
            left = match self.travel(sent, link).await {
                Some(Fault::CutAfter(limit)) => Some(left.unwrap_or(limit)),
                _ => None,
            };
            let ends = left.is_some_and(|left| left < chunk.len());
            chunk.truncate(left.unwrap_or(usize::MAX));
            if to.write_all(&chunk).await.is_err() {
                return Ok(());
            }
            if ends {
                self.hit();
                return Err(Cut);
            }
            left = left.map(|left| left - chunk.len());
        }
        self.travel(Instant::now(), link).await;
        // The receiver may have closed the connection already.
        drop(to.shutdown().await);
        Ok(())
    }

    /// Waits until the link delivers what was sent at `sent`; returns the fault at that moment.
    async fn travel(&self, sent: Instant, link: Link) -> Option<Fault> {
        let mut held = false;
        loop {
            let fault = self.fault(link);
            let arrival = match fault {
                Some(Fault::Blackhole) => None,
                Some(Fault::Delay(time)) => Some(sent + time),
                fault => return fault,
            };
            if !std::mem::replace(&mut held, true) {
                self.hit();
            }
            let changed = self.wait_fault(link, |other| other != fault);
            match arrival {
                None => changed.await,
                Some(arrival) => tokio::select! {
                    () = tokio::time::sleep_until(arrival) => return fault,
                    () = changed => {}
                },
            }
        }
    }

    fn fault(&self, link: Link) -> Option<Fault> {
        self.faults.borrow().get(&link).copied()
    }

    /// The process that opened the connection from `peer` to `local`: the test itself or a node;
    /// `None` if it has ended.
    fn endpoint_of(&self, peer: SocketAddr, local: SocketAddr) -> Option<Endpoint> {
        let inode = owner::inode(peer, local)?;
        let nodes = self.processes.iter().map(|process| process.load(Ordering::Acquire));
        let nodes = nodes.enumerate().map(|(index, process)| (Endpoint::Node(index), process));
        let mut endpoints = nodes.chain([(Endpoint::Client, std::process::id())]);
        let found = endpoints.find(|(_, process)| *process != 0 && owner::owns(*process, inode));
        found.map(|(endpoint, _)| endpoint)
    }
}

/// Reads until the sender closes the connection or the receiver is dropped.
async fn read(
    mut from: OwnedReadHalf,
    chunks: mpsc::Sender<(Instant, Vec<u8>)>,
) -> Result<(), Cut> {
    loop {
        let mut chunk = vec![0; CHUNK];
        match from.read(&mut chunk).await {
            Ok(length @ 1..) => chunk.truncate(length),
            _ => return Ok(()),
        }
        if chunks.send((Instant::now(), chunk)).await.is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A proxy in front of an echo server.
    async fn echo() -> (Links, SocketAddr) {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = server.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = server.accept().await {
                let (mut read, mut write) = stream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
            }
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let faults = watch::Sender::new(Faults::new());
        let processes = vec![Arc::default()];
        let network = Arc::new(Network { faults, processes, hits: AtomicU64::new(0) });
        let proxy = tokio::spawn(network.clone().listen(listener, 0, target));
        (Links { network, _proxies: Arc::new(Proxies(vec![proxy])) }, address)
    }

    async fn send(stream: &mut TcpStream, text: &str) {
        stream.write_all(text.as_bytes()).await.unwrap();
    }

    async fn receive(stream: &mut TcpStream, length: usize) -> String {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Reads all bytes until the connection ends.
    async fn rest(mut stream: TcpStream) -> String {
        let mut bytes = Vec::new();
        // A connection closed by a fault may end with an error.
        drop(stream.read_to_end(&mut bytes).await);
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn a_cut_ends_connections_and_refuses_new_ones_until_it_is_healed() {
        let (links, address) = echo().await;
        let mut live = TcpStream::connect(address).await.unwrap();
        send(&mut live, "one").await;
        assert_eq!(receive(&mut live, 3).await, "one");
        links.cut(Endpoint::Client, 0);
        assert_eq!(rest(live).await, "");
        assert_eq!(rest(TcpStream::connect(address).await.unwrap()).await, "");
        assert_eq!(links.hits(), 2);
        links.heal();
        let mut live = TcpStream::connect(address).await.unwrap();
        send(&mut live, "two").await;
        assert_eq!(receive(&mut live, 3).await, "two");
    }

    #[tokio::test]
    async fn a_cut_within_a_message_lets_the_beginning_through() {
        let (links, address) = echo().await;
        links.set(0, Endpoint::Client, Fault::CutAfter(4));
        let mut stream = TcpStream::connect(address).await.unwrap();
        send(&mut stream, "abcdefgh").await;
        assert_eq!(rest(stream).await, "abcd");
    }

    #[tokio::test]
    async fn a_blackhole_holds_what_is_sent_one_way_and_the_repair_lets_it_go() {
        for link in [(Endpoint::Client, Endpoint::Node(0)), (Endpoint::Node(0), Endpoint::Client)] {
            let (links, address) = echo().await;
            let mut stream = TcpStream::connect(address).await.unwrap();
            links.blackhole(link.0, link.1);
            send(&mut stream, "late").await;
            while links.hits() == 0 {
                tokio::task::yield_now().await;
            }
            assert!(stream.try_read(&mut [0]).is_err(), "something came through");
            links.heal();
            assert_eq!(receive(&mut stream, 4).await, "late");
        }
    }

    #[tokio::test]
    async fn a_delay_keeps_the_order() {
        let (links, address) = echo().await;
        let delay = Duration::from_millis(50);
        links.delay(Endpoint::Client, 0, delay);
        let started = Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        for text in ["a", "b", "c"] {
            send(&mut stream, text).await;
        }
        assert_eq!(receive(&mut stream, 3).await, "abc");
        assert!(started.elapsed() >= delay);
    }

    #[tokio::test]
    async fn other_links_are_not_touched() {
        let (links, address) = echo().await;
        links.isolate(0, Fault::Cut);
        links.cut(Endpoint::Node(1), 0);
        let mut stream = TcpStream::connect(address).await.unwrap();
        send(&mut stream, "through").await;
        assert_eq!(receive(&mut stream, 7).await, "through");
        assert_eq!(links.hits(), 0);
    }

    #[tokio::test]
    async fn a_connection_is_known_by_its_process() {
        let (links, address) = echo().await;
        let stream = TcpStream::connect(address).await.unwrap();
        let local = stream.local_addr().unwrap();
        assert_eq!(links.network.endpoint_of(local, address), Some(Endpoint::Client));
        links.network.processes[0].store(std::process::id(), Ordering::Release);
        assert_eq!(links.network.endpoint_of(local, address), Some(Endpoint::Node(0)));
    }
}
