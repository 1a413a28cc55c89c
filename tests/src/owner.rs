//! The process that owns a TCP connection of this machine.
//!
//! Uses `sock_diag` to look up a single socket: reading the whole table, `/proc/net/tcp`, takes
//! milliseconds, and broken links cause many connections.

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use std::net::SocketAddr;
use std::path::Path;

/// The inode of the TCP socket from `near` to `far`; `None` if it does not exist any more.
pub(crate) fn inode(near: SocketAddr, far: SocketAddr) -> Option<u32> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG).expect("a netlink socket");
    socket.bind_auto().expect("a netlink address");
    let request = request(near, far);
    socket
        .send_to(&request, &netlink_sys::SocketAddr::new(0, 0), 0)
        .expect("the kernel takes the request");
    let (answer, _) = socket.recv_from_full().expect("the kernel answers");
    let answer = NetlinkMessage::<SockDiagMessage>::deserialize(&answer).expect("a message");
    match answer.payload {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(found)) => {
            Some(found.header.inode).filter(|inode| *inode != 0)
        }
        _ => None,
    }
}

fn request(near: SocketAddr, far: SocketAddr) -> Vec<u8> {
    let socket_id = SocketId {
        source_port: near.port(),
        source_address: near.ip(),
        destination_port: far.port(),
        destination_address: far.ip(),
        interface_id: 0,
        cookie: [0xff; 8],
    };
    let request = InetRequest {
        family: AF_INET,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id,
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// Whether a process has the socket with this inode.
pub(crate) fn owns(process: u32, inode: u32) -> bool {
    let socket = format!("socket:[{inode}]");
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten();
    let mut targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    targets.any(|target| target == Path::new(&socket))
}
