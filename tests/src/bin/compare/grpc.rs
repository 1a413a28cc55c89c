//! The generator of etcd's gRPC calls: one HTTP/2 connection for each client, on one thread.

use crate::workload::{FIRST, Plan, Sample, Work};
use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use http::Request;
use jettra_tests::Random;
use jettra_tests::measure::Failure;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Repeats an operation for the time of the plan.
///
/// # Errors
/// If a call fails, or a read returns no value.
pub(crate) fn measure(address: &str, call: Call, plan: &Plan) -> Result<Sample, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(clients(address, call, plan))
}

async fn clients(address: &str, call: Call, plan: &Plan) -> Result<Sample, Failure> {
    let mut connections = Vec::new();
    for _ in 0..plan.clients {
        connections.push(connect(address).await?);
    }
    let next = Arc::new(AtomicU64::new(plan.sequence));
    let started = Instant::now();
    let end = started + Duration::from_secs(plan.seconds);
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|mut connection| {
            let (next, uri) = (next.clone(), format!("http://{address}{}", call.path));
            let documents = plan.documents;
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while Instant::now() < end {
                    let sequence = next.fetch_add(1, Ordering::Relaxed);
                    let id = FIRST + Random(sequence).below(documents);
                    let begun = Instant::now();
                    call.send(&mut connection, &uri, sequence, id).await?;
                    latencies.push(begun.elapsed().as_secs_f64() * 1e3);
                }
                Ok::<_, Failure>(latencies)
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    Ok(Sample::of(latencies, started.elapsed().as_secs_f64()))
}

async fn connect(address: &str) -> Result<SendRequest<Bytes>, Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = h2::client::handshake(stream).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// An operation as etcd's interface has it.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    path: &'static str,
    work: Work,
    /// Bytes that a response has at least.
    response_bytes: usize,
}

impl Call {
    /// The call for an operation; nothing if etcd does not have it.
    pub(crate) fn of(work: Work) -> Option<Call> {
        let (path, response_bytes) = match work {
            Work::Insert(_) | Work::InsertAtFollower | Work::Update => ("/etcdserverpb.KV/Put", 0),
            Work::Get | Work::LocalGet => ("/etcdserverpb.KV/Range", 200),
            _ => return None,
        };
        Some(Call { path, work, response_bytes })
    }

    /// The message: field 1 is the key; field 2 of a put is the value, field 7 of a range says whether
    /// it may be answered without the other members.
    fn message(self, sequence: u64, id: u64) -> BytesMut {
        let mut message = BytesMut::new();
        let key = match self.work {
            Work::Insert(_) | Work::InsertAtFollower => key(sequence),
            _ => key(id),
        };
        put_field(&mut message, 1, &key);
        match self.work {
            Work::Insert(bytes) => put_field(&mut message, 2, &value(sequence, bytes)),
            Work::InsertAtFollower | Work::Update => {
                put_field(&mut message, 2, &value(sequence, 200));
            }
            Work::LocalGet => message.put_slice(&[7 << 3, 1]),
            _ => {}
        }
        message
    }

    async fn send(
        self,
        connection: &mut SendRequest<Bytes>,
        uri: &str,
        sequence: u64,
        id: u64,
    ) -> Result<(), Failure> {
        let message = self.message(sequence, id);
        let mut frame = BytesMut::with_capacity(message.len() + 5);
        // Not compressed, and the length.
        frame.put_u8(0);
        frame.put_u32(message.len() as u32);
        frame.put(message);
        let request = Request::post(uri).header("content-type", "application/grpc");
        let request = request.header("te", "trailers").body(())?;
        let (response, mut body) =
            connection.clone().ready().await?.send_request(request, false)?;
        body.send_data(frame.freeze(), true)?;
        let mut body = response.await?.into_body();
        let mut received = 0;
        while let Some(part) = body.data().await {
            let length = part?.len();
            received += length;
            body.flow_control().release_capacity(length)?;
        }
        let trailers = body.trailers().await?.unwrap_or_default();
        let status = trailers.get("grpc-status").map(|status| status.as_bytes());
        match status == Some(b"0") && received >= self.response_bytes {
            true => Ok(()),
            false => Err(format!("{}: {received} bytes, {trailers:?}", self.path).into()),
        }
    }
}

/// The key of a number: what its 16 digits stand for in Base64, as in the calls by HTTP.
fn key(number: u64) -> Vec<u8> {
    use base64::Engine;
    let key = base64::engine::general_purpose::STANDARD.decode(format!("{number:016}"));
    key.unwrap_or_default()
}

/// A value of this many bytes that begins with a number of its own.
fn value(sequence: u64, bytes: usize) -> Vec<u8> {
    let mut value = key(sequence);
    value.resize(bytes, b'x');
    value
}

/// Appends a field of bytes, with its number and its length.
fn put_field(message: &mut BytesMut, number: u8, bytes: &[u8]) {
    message.put_u8(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        message.put_u8(length as u8 | 0x80);
        length >>= 7;
    }
    message.put_u8(length as u8);
    message.put_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_its_number_and_its_length() {
        let mut message = BytesMut::new();
        put_field(&mut message, 2, &[b'x'; 200]);
        assert_eq!(message[..3], [0x12, 0xc8, 0x01]);
        assert_eq!(message.len(), 203);
    }
}
