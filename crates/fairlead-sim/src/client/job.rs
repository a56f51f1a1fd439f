//! One request that a client is to make, and how.

use std::time::Duration;

use crate::wire::{self, Pattern};

/// How a client leaves before its answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// It closes: FIN, then resets to whatever comes.
    Close,
    /// It resets.
    Reset,
    /// Its host loses power.
    Vanish,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) method: &'static str,
    /// Which pool it is for; the routes go by the path.
    pub(crate) pool: usize,
    /// Bytes of its body.
    pub(crate) body: usize,
    /// The body goes in chunks of so many bytes.
    pub(crate) chunk: Option<usize>,
    /// It is HTTP/1.0.
    pub(crate) old: bool,
    /// It says that it is the last on its connection.
    pub(crate) closes: bool,
    /// It waits for `100 Continue`, for a second, before its body goes.
    pub(crate) expects: bool,
    /// It is for something that takes long, on every backend.
    pub(crate) polls: bool,
    /// How long the client thinks before it.
    pub(crate) pause: Duration,
    /// The body goes in pieces of so many bytes with a pause between.
    pub(crate) pace: Option<(usize, Duration)>,
    /// The client leaves so long after it began.
    pub(crate) leaves: Option<(Duration, Leave)>,
    /// The client sends FIN behind it, and still waits for the answer.
    pub(crate) finishes: bool,
    /// How often it was put back behind one that broke.
    pub(crate) tries: u32,
}

impl Job {
    /// The head of this request.
    pub(super) fn head(&self, id: u64) -> Vec<u8> {
        let version = if self.old { "1.0" } else { "1.1" };
        let page = if self.polls { wire::POLL_PAGE } else { "page" };
        let mut text = format!("{} /{}/{page} HTTP/{version}\r\n", self.method, self.pool);
        text.push_str("Host: example.com\r\n");
        text.push_str(&wire::request_line(id));
        if self.has_body() {
            match self.chunk {
                Some(_) => text.push_str("Transfer-Encoding: chunked\r\n"),
                None => text.push_str(&wire::length_line(self.body)),
            }
        }
        if self.closes {
            text.push_str("Connection: close\r\n");
        } else if self.old {
            text.push_str("Connection: keep-alive\r\n");
        }
        if self.expects && self.has_body() {
            text.push_str("Expect: 100-continue\r\n");
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// Its body as it goes over the wire.
    pub(super) fn body_bytes(&self, id: u64) -> Vec<u8> {
        if self.has_body() {
            wire::write_body(Pattern::of(id), self.body, self.chunk)
        } else {
            Vec::new()
        }
    }

    /// Bytes of its body as it goes over the wire, at most.
    pub(super) fn wire(&self) -> usize {
        match self.chunk {
            _ if !self.has_body() => 0,
            None => self.body,
            Some(chunk) => self.body + (self.body / chunk + 2) * 10,
        }
    }

    pub(super) fn has_body(&self) -> bool {
        matches!(self.method, "POST" | "PUT" | "PATCH")
    }
}
