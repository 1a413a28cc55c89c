//! A node for tests: it answers each call as the test says, and records the requests.

use crate::Client;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What the node does with one call.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Answers with this status and body.
    With(u16, String),
    /// Closes the connection without an answer.
    Break,
    /// Begins an answer, sends these parts of it, and closes the connection.
    Stream(Vec<Vec<u8>>),
    /// As [`Answer::Stream`], but leaves the connection open.
    StreamOpen(Vec<Vec<u8>>),
}

impl Answer {
    pub(crate) fn error(status: u16, code: &str) -> Answer {
        let body = serde_json::json!({"error": {"code": code, "message": code}});
        Answer::With(status, body.to_string())
    }
}

/// A call as it arrived: its first line, its headers in lower case, its body.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    headers: String,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

pub(crate) type Requests = Arc<Mutex<Vec<Request>>>;

/// Starts a node that sends `answers` one after the other, then the last one for every further
/// call.
pub(crate) fn node(answers: Vec<Answer>) -> (Client, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let seed = format!("http://{}", listener.local_addr().unwrap());
    let requests = Requests::default();
    let recorded = requests.clone();
    thread::spawn(move || {
        for (turn, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            recorded.lock().unwrap().push(read_request(&mut stream));
            let answer = answers[turn.min(answers.len() - 1)].clone();
            thread::spawn(move || write_answer(stream, answer));
        }
    });
    let client = Client::builder().seeds([seed]).deadline(Duration::from_secs(2));
    (client.attempt_timeout(Duration::from_secs(1)).build().unwrap(), requests)
}

fn read_request(stream: &mut TcpStream) -> Request {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut part).unwrap();
        bytes.extend_from_slice(&part[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert_ne!(length, 0, "the call is not complete: {text}");
            continue;
        };
        let (line, headers) = head.split_once("\r\n").unwrap();
        let headers = headers.to_lowercase();
        let request = Request { line: line.to_owned(), headers, body: body.to_owned() };
        let due = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        if body.len() >= due {
            return request;
        }
    }
}

fn write_answer(mut stream: TcpStream, answer: Answer) {
    let head = |status: u16, rest: &str| {
        format!("HTTP/1.1 {status} x\r\nconnection: close\r\n{rest}\r\n").into_bytes()
    };
    let (parts, stays) = match answer {
        Answer::Break => return,
        Answer::With(status, body) => {
            let length = format!("content-length: {}\r\n", body.len());
            (vec![head(status, &length), body.into_bytes()], false)
        }
        Answer::Stream(parts) => ([vec![head(200, "")], parts].concat(), false),
        Answer::StreamOpen(parts) => ([vec![head(200, "")], parts].concat(), true),
    };
    for part in parts {
        // The client may close the connection before the end.
        let _ = stream.write_all(&part).and_then(|()| stream.flush());
    }
    if stays {
        thread::park();
    }
}
