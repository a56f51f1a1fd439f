//! What a flow may want, and how a dialogue says that it should.

use std::fmt;

/// Whose connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// The nth client.
    Client(usize),
    /// The nth connection that was asked for.
    Link(usize),
}

/// The first client.
pub(crate) const CLIENT: Who = Who::Client(0);
/// The second client.
pub(crate) const OTHER: Who = Who::Client(1);
/// The first connection to a backend.
pub(crate) const L0: Who = Who::Link(0);
/// The second.
pub(crate) const L1: Who = Who::Link(1);
/// The third.
pub(crate) const L2: Who = Who::Link(2);
/// The fourth.
pub(crate) const L3: Who = Who::Link(3);

impl fmt::Display for Who {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Client(0) => write!(out, "CLIENT"),
            Who::Client(1) => write!(out, "OTHER"),
            Who::Client(nth) => write!(out, "client {nth}"),
            Who::Link(nth) => write!(out, "L{nth}"),
        }
    }
}

/// One call on the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    Connect(usize),
    Write(Who, Vec<u8>),
    Finish(Who),
    Pause(Who),
    Resume(Who),
    /// Bytes of the first may go to the second unseen, so many.
    Forward(Who, Who, u64),
    Close(Who),
    Abort(Who),
    /// One of these backends, for this request line and beginning of a body.
    Ask(Vec<usize>, String, Vec<u8>),
}

impl fmt::Display for Wish {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wish::Connect(backend) => write!(out, "connect({backend})"),
            Wish::Write(who, bytes) => write!(out, "write({who}, {:?})", shown(bytes)),
            Wish::Finish(who) => write!(out, "finish({who})"),
            Wish::Pause(who) => write!(out, "pause({who})"),
            Wish::Resume(who) => write!(out, "resume({who})"),
            Wish::Forward(from, to, most) => write!(out, "forward({from}, {to}, {most})"),
            Wish::Close(who) => write!(out, "close({who})"),
            Wish::Abort(who) => write!(out, "abort({who})"),
            Wish::Ask(backends, line, body) => {
                write!(out, "ask({backends:?}, {line:?}, {:?})", shown(body))
            }
        }
    }
}

/// Bytes for people, not too many of them.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(600)]).into_owned();
    let more = bytes.len().saturating_sub(600);
    if more > 0 {
        format!("{text} … and {more} bytes more")
    } else {
        text
    }
}

/// What is expected.
#[derive(Debug, Clone)]
pub(crate) enum Want {
    /// Exactly this.
    Exactly(Wish),
    /// A message: its first line begins so, its head has these parts and lacks those, and this is
    /// all that is behind it.
    Message { to: Who, start: String, with: Vec<String>, without: Vec<String>, body: Vec<u8> },
}

impl Want {
    /// Whether `wish` is what is expected.
    pub(crate) fn is(&self, wish: &Wish) -> bool {
        match (self, wish) {
            (Want::Exactly(wanted), wish) => wanted == wish,
            (Want::Message { to, start, with, without, body }, Wish::Write(who, bytes)) => {
                let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                    return false;
                };
                let (head, behind) = bytes.split_at(end + 4);
                let head = String::from_utf8_lossy(head).to_lowercase();
                to == who
                    && head.starts_with(&start.to_lowercase())
                    && with.iter().all(|part| head.contains(&part.to_lowercase()))
                    && !without.iter().any(|part| head.contains(&part.to_lowercase()))
                    && behind == body
            }
            _ => false,
        }
    }

    /// With this in its head.
    pub(crate) fn with(mut self, part: &str) -> Want {
        if let Want::Message { with, .. } = &mut self {
            with.push(part.into());
        }
        self
    }

    /// Without this in its head.
    pub(crate) fn without(mut self, part: &str) -> Want {
        if let Want::Message { without, .. } = &mut self {
            without.push(part.into());
        }
        self
    }

    /// With this behind its head.
    pub(crate) fn body(mut self, bytes: impl AsRef<[u8]>) -> Want {
        if let Want::Message { body, .. } = &mut self {
            *body = bytes.as_ref().to_vec();
        }
        self
    }
}

impl fmt::Display for Want {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Want::Exactly(wish) => wish.fmt(out),
            Want::Message { to, start, with, without, body } => {
                write!(out, "message({to}, {start:?}")?;
                for part in with {
                    write!(out, ", with {part:?}")?;
                }
                for part in without {
                    write!(out, ", without {part:?}")?;
                }
                write!(out, ", behind it {:?})", shown(body))
            }
        }
    }
}

/// A connect to the nth backend.
pub(crate) fn connect(backend: usize) -> Want {
    Want::Exactly(Wish::Connect(backend))
}

/// Exactly these bytes to somebody.
pub(crate) fn write(to: Who, bytes: impl AsRef<[u8]>) -> Want {
    Want::Exactly(Wish::Write(to, bytes.as_ref().to_vec()))
}

/// FIN.
pub(crate) fn finish(who: Who) -> Want {
    Want::Exactly(Wish::Finish(who))
}

/// Nothing more is read.
pub(crate) fn pause(who: Who) -> Want {
    Want::Exactly(Wish::Pause(who))
}

/// Reading goes on.
pub(crate) fn resume(who: Who) -> Want {
    Want::Exactly(Wish::Resume(who))
}

/// Bytes may go from one to the other without being told.
pub(crate) fn forward(from: Who, to: Who, most: u64) -> Want {
    Want::Exactly(Wish::Forward(from, to, most))
}

/// The policy is asked about a request without a body.
pub(crate) fn ask(backends: &[usize], line: &str) -> Want {
    ask_with(backends, line, "")
}

/// The policy is asked, and shown this of the body.
pub(crate) fn ask_with(backends: &[usize], line: &str, body: &str) -> Want {
    Want::Exactly(Wish::Ask(backends.to_vec(), line.into(), body.into()))
}

/// An end in order.
pub(crate) fn close(who: Who) -> Want {
    Want::Exactly(Wish::Close(who))
}

/// A reset.
pub(crate) fn abort(who: Who) -> Want {
    Want::Exactly(Wish::Abort(who))
}

/// A request whose first line begins so: `GET /a`.
pub(crate) fn request(to: Who, start: &str) -> Want {
    message(to, start)
}

/// An answer with this status, so far without a body.
pub(crate) fn answer(to: Who, status: u16) -> Want {
    message(to, &format!("HTTP/1.1 {status} "))
}

/// An answer of fairlead's own with this status and code. Its body is the table's line.
pub(crate) fn refusal(to: Who, status: u16, code: &str) -> Want {
    let row = fairlead_model::reason::ALL.iter().map(|reason| reason.row());
    let text = row.clone().find(|row| row.code == code).map_or("", |row| row.text);
    answer(to, status).with(&format!("x-fairlead-reason: {code}\r\n")).body(format!("{text}\n"))
}

fn message(to: Who, start: &str) -> Want {
    let (with, without, body) = (Vec::new(), Vec::new(), Vec::new());
    Want::Message { to, start: start.into(), with, without, body }
}
