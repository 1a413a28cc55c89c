//! The management page: static files, embedded in the binary.

use crate::engine::system::NodeDocument;
use actix_web::http::header::{self, AcceptEncoding, ContentEncoding, Encoding, Header};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use moka::sync::Cache;
use std::io::Write;
use std::sync::LazyLock;

/// The files of `web/`. Builds with debug assertions read them from the disk instead.
#[derive(rust_embed::Embed)]
#[folder = "../web"]
struct Files;

/// Compressed files that are cached; more than the page has.
const COMPRESSED_MAX: u64 = 1024;
/// The compressed files that were requested, by the hash of their content.
static COMPRESSED: LazyLock<Cache<[u8; 32], Bytes>> = LazyLock::new(|| Cache::new(COMPRESSED_MAX));

/// Only what the page itself brings may run in it. It goes on at another member when its own node
/// is gone, so it may find out which of them answers.
fn policy<'m>(members: impl Iterator<Item = &'m str>) -> String {
    let urls = members.filter_map(|url| url::Url::parse(url).ok());
    let origins = urls.map(|url| url.origin().ascii_serialization());
    let origins = origins.collect::<Vec<_>>().join(" ");
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self' {origins}; font-src 'self'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    )
}

/// Answers with a file of the page; none when there is no such file.
pub fn file(request: &HttpRequest, members: &[NodeDocument]) -> Option<HttpResponse> {
    let path = request.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let media = media_type(path)?;
    let file = Files::get(path)?;
    let hash = file.metadata.sha256_hash();
    let zipped = takes_gzip(request);
    let kind = if zipped { "-gzip" } else { "" };
    let etag = format!("\"{}{kind}\"", crate::raft::node_key::hex(&hash[..8]));
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response =
        if known == Some(etag.as_str()) { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CONTENT_TYPE, media))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::ETAG, etag.clone()))
        .insert_header((header::VARY, "Accept-Encoding"))
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            policy(members.iter().map(|member| member.url.as_str())),
        ))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::X_FRAME_OPTIONS, "DENY"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"));
    if known == Some(etag.as_str()) {
        return Some(response.finish());
    }
    if !zipped {
        return Some(response.body(file.data.into_owned()));
    }
    response.insert_header(ContentEncoding::Gzip);
    Some(response.body(compressed(hash, &file.data)))
}

/// Whether the caller would rather have gzip than the plain file.
fn takes_gzip(request: &HttpRequest) -> bool {
    let supported = [Encoding::gzip(), Encoding::identity()];
    let accepted = AcceptEncoding::parse(request).ok();
    accepted.and_then(|accepted| accepted.negotiate(supported.iter())) == Some(Encoding::gzip())
}

/// The content as gzip; the work is done once for each file.
fn compressed(hash: [u8; 32], content: &[u8]) -> Bytes {
    let zip = || {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail.
        let _ = encoder.write_all(content);
        Bytes::from(encoder.finish().unwrap_or_default())
    };
    COMPRESSED.get_with(hash, zip)
}

/// The media type of what the page consists of; none for other files that lie beside it.
fn media_type(path: &str) -> Option<&'static str> {
    match path.rsplit_once('.')?.1 {
        "html" => Some("text/html; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;
    use actix_web::http::StatusCode;
    use actix_web::test::TestRequest;
    use std::io::Read;

    async fn asked(name: &str, value: &str) -> (HttpResponse<()>, Bytes) {
        let request = TestRequest::with_uri("/app.js").insert_header((name, value));
        let response = file(&request.to_http_request(), &[]).expect("a file");
        let (head, body) = response.into_parts();
        (head, to_bytes(body).await.expect("a body"))
    }

    #[actix_web::test]
    async fn files_come_compressed_to_callers_that_take_it_and_are_the_same() {
        let (_, plain) = asked("accept-encoding", "identity").await;
        let (head, zipped) = asked("accept-encoding", "br, gzip;q=0.9").await;
        assert_eq!(head.headers().get("content-encoding").unwrap(), "gzip");
        assert!(zipped.len() * 2 < plain.len(), "{} of {}", zipped.len(), plain.len());
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(&zipped[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, plain);
        for refused in ["gzip;q=0", "identity", "br"] {
            let (head, body) = asked("accept-encoding", refused).await;
            assert!(!head.headers().contains_key("content-encoding"), "{refused}");
            assert_eq!(body, plain, "{refused}");
        }
    }

    #[actix_web::test]
    async fn a_file_that_the_caller_has_is_not_sent_again() {
        let (head, _) = asked("accept-encoding", "identity").await;
        let etag = head.headers().get("etag").unwrap().to_str().unwrap();
        let (again, body) = asked("if-none-match", etag).await;
        assert_eq!((again.status(), body.len()), (StatusCode::NOT_MODIFIED, 0));
    }

    #[test]
    fn the_page_may_call_members_and_nobody_else() {
        let policy = policy(["http://a:8080", "https://b.example/x", "?"].into_iter());
        assert!(
            policy.contains("connect-src 'self' http://a:8080 https://b.example; "),
            "{policy}"
        );
    }
}
