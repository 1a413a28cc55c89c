//! The management page: static files, embedded in the binary.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};

/// The files of `web/`. Builds with debug assertions read them from the disk instead.
#[derive(rust_embed::Embed)]
#[folder = "../web"]
struct Files;

/// Only what the page itself brings may run in it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Answers with a file of the page; none when there is no such file.
pub fn file(request: &HttpRequest) -> Option<HttpResponse> {
    let path = request.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let media = media_type(path)?;
    let file = Files::get(path)?;
    let etag = format!("\"{}\"", crate::raft::node_key::hex(&file.metadata.sha256_hash()[..8]));
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response =
        if known == Some(etag.as_str()) { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CONTENT_TYPE, media))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::ETAG, etag.clone()))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::X_FRAME_OPTIONS, "DENY"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"));
    if known == Some(etag.as_str()) {
        return Some(response.finish());
    }
    Some(response.body(file.data.into_owned()))
}

/// The media type of what the page consists of; none for other files that lie beside it.
fn media_type(path: &str) -> Option<&'static str> {
    match path.rsplit_once('.')?.1 {
        "html" => Some("text/html; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}
