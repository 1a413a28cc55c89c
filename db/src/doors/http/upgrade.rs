//! Requests for a WebSocket, which only nodes open: the append stream, and copies of the state.
//!
//! The connection leaves actix and is served on a thread of the consensus, that of its group. Served on an HTTP thread, each
//! message would wake that of the group, and each answer the HTTP thread again.

use super::call::{App, Call, Head, Http};
use super::dispatch;
use super::respond::respond_error;
use super::routes::Route;
use super::server::{PathParameters, SNAPSHOT, STREAM, make_call, request_id, visible_position};
use crate::doors::peer::{self, WebSocket};
use crate::error::{Error, Kind, Result};
use crate::tls::PeerCertificate;
use actix_codec::{AsyncRead, AsyncWrite, Framed};
use actix_http::body::{BodySize, MessageBody};
use actix_http::h1::{Codec, Message};
use actix_http::header::{HeaderName, HeaderValue, SEC_WEBSOCKET_KEY};
use actix_http::{ConnectionType, HttpMessage, Method, Request, Response, StatusCode};
use actix_service::{ServiceFactory, fn_service};
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::rt::net::TcpStream;
use bytes::Bytes;
use futures_util::SinkExt;
use std::io;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The service for such requests.
pub fn service<T: Connection>(
    app: Arc<App>,
) -> impl ServiceFactory<
    (Request, Framed<T, Codec>),
    Config = (),
    Response = (),
    Error = actix_web::Error,
    InitError = (),
> {
    fn_service(move |(request, framed)| {
        let app = app.clone();
        async move {
            // The caller has gone. actix would log it as an error, which strangers could cause.
            if let Err(error) = upgrade(app, request, framed).await {
                tracing::debug!(%error, "a connection was not upgraded");
            }
            Ok(())
        }
    })
}

/// A connection that a WebSocket can be served on.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Serves it apart from this call.
    ///
    /// # Errors
    /// When it cannot be taken from this thread.
    fn serve(self, read: Bytes, socket: WebSocket, runtime: &Handle) -> io::Result<()>;
}

impl Connection for TcpStream {
    fn serve(self, read: Bytes, socket: WebSocket, runtime: &Handle) -> io::Result<()> {
        let moved = self.into_std()?;
        runtime.spawn(async move {
            match TcpStream::from_std(moved) {
                Ok(stream) => socket.serve(stream, read).await,
                Err(error) => tracing::warn!(%error, "a connection of a node cannot be served"),
            }
        });
        Ok(())
    }
}

/// The encryption of a connection stays with the thread on which it began.
impl Connection for TlsStream<TcpStream> {
    fn serve(self, read: Bytes, socket: WebSocket, _: &Handle) -> io::Result<()> {
        actix_web::rt::spawn(socket.serve(self, read));
        Ok(())
    }
}

async fn upgrade<T: Connection>(
    app: Arc<App>,
    request: Request,
    mut framed: Framed<T, Codec>,
) -> io::Result<()> {
    let seen = visible_position(&app, None);
    let id = request_id(&app, request.headers());
    let http = Http::Moved(Arc::new(Head {
        method: request.method().clone(),
        uri: request.uri().clone(),
        headers: request.headers().clone(),
        certificate: request.conn_data::<PeerCertificate>().cloned(),
    }));
    let call =
        make_call(app.clone(), http.clone(), request.peer_addr(), &id, PathParameters::new());
    match admit(call, &request).await {
        Ok((runtime, socket, accept)) => {
            let mut response = Response::build(StatusCode::SWITCHING_PROTOCOLS);
            let response = response.upgrade("websocket").insert_header(accept).message_body(());
            let response = response.map_err(|error| io::Error::other(error.to_string()))?;
            framed.send(Message::Item((response, BodySize::None))).await?;
            let parts = framed.into_parts();
            parts.io.serve(parts.read_buf.freeze(), socket, &runtime)
        }
        Err(error) => {
            let response = respond_error(&app, &http, &id, &error, seen);
            let (mut head, body) = Response::from(response).into_parts();
            head.head_mut().set_connection_type(ConnectionType::Close);
            let size = body.size();
            let body = body.try_into_bytes().unwrap_or_default();
            framed.send(Message::Item((head, size))).await?;
            framed.send(Message::Chunk(Some(body))).await?;
            framed.send(Message::Chunk(None)).await
        }
    }
}

/// What a request is for, if the caller may open it, and the header that accepts it.
async fn admit(
    mut call: Call,
    request: &Request,
) -> Result<(Handle, WebSocket, (HeaderName, HeaderValue))> {
    let is_called =
        |route: &&Route| (request.method(), request.path()) == (&Method::GET, route.path);
    let route: &Route = [&STREAM, &SNAPSHOT].into_iter().find(is_called).ok_or_else(|| {
        let message = format!("{} {} opens no WebSocket", request.method(), request.path());
        Error::new(Kind::RouteNotFound, message).hint("send the request without upgrade")
    })?;
    dispatch::admit(route, &mut call).await?;
    let (runtime, socket) = match route.path == STREAM.path {
        true => peer::stream(&call)?,
        false => peer::snapshot(&call)?,
    };
    let key = request.headers().get(SEC_WEBSOCKET_KEY).ok_or_else(|| {
        Error::new(Kind::InvalidParameter, "the header Sec-WebSocket-Key is missing")
    })?;
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()))
        .map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    Ok((runtime, socket, (HeaderName::from_static("sec-websocket-accept"), accept)))
}
