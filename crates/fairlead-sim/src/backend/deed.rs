//! What a backend does about one request: a good answer in any of its forms, or one of the ways
//! in which processes fail.

use std::fmt::Write;
use std::time::Duration;

use fairlead_balance::Random;

use crate::network::Network;
use crate::report::Service;
use crate::wire::{self, Framing, Head, Pattern};

/// How something ends that should have gone on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By a FIN.
    Finish,
    /// By a reset.
    Reset,
    /// Not at all: nothing more comes.
    Stall,
}

/// How often, in thousandths, a backend does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BadManners {
    /// Bytes that are no HTTP.
    pub garbage: usize,
    /// An answer that stops in its head.
    pub half_heads: usize,
    /// An answer that stops in its body.
    pub half_bodies: usize,
    /// The connection ends without an answer.
    pub no_answers: usize,
    /// Nothing ever comes.
    pub silences: usize,
    /// `101 Switching Protocols` that nobody asked for.
    pub unasked_switches: usize,
    /// Interim answers without end.
    pub endless_interims: usize,
    /// Two lengths that differ.
    pub two_lengths: usize,
    /// Bytes behind the answer.
    pub bytes_behind: usize,
    /// An answer while the request's body is still coming.
    pub early_answers: usize,
    /// A 500 to what others answer well.
    pub wrong_answers: usize,
}

/// What a backend is like.
#[derive(Debug, Clone)]
pub(crate) struct Character {
    pub(crate) manners: BadManners,
    /// It speaks tcp: what comes is sent back.
    pub(crate) streams: bool,
    /// An answer takes so long at most.
    pub(crate) delay: Duration,
    /// One answer in a hundred takes so many times longer.
    pub(crate) tail: u32,
    /// A connection idles so long at most.
    pub(crate) idle: Duration,
    /// Requests on one connection at most.
    pub(crate) requests_most: u32,
    /// The last answer on a connection says that it is the last.
    pub(crate) announces: bool,
    /// Answers tell how long a connection may idle.
    pub(crate) tells_idle: bool,
    /// `Expect: 100-continue` gets its answer.
    pub(crate) continues: bool,
    /// Bytes of an answer's body at most.
    pub(crate) body_most: usize,
    /// Between two pieces of an answer, at most.
    pub(crate) pause: Duration,
    /// Some answers have an interim one before them, which can't be taken back.
    pub(crate) hints: bool,
    /// Some requests are rightly answered by a 500.
    pub(crate) may_err: bool,
    /// It is in no trouble all along and has good manners: claims lean on it.
    pub(crate) is_anchor: bool,
}

/// What is done about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Answer,
    Garbage(End),
    HalfHead(End),
    HalfBody(End),
    NoAnswer(End),
    UnaskedSwitch,
    EndlessInterims,
    TwoLengths,
    BytesBehind,
    WrongAnswer,
    Early { stays: bool },
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    Send(Vec<u8>),
    /// The second behind the first, if both arrive as one.
    SendJoined(Vec<u8>, Vec<u8>),
    Note(u64, Service),
    /// From now on only a reset can tell that the answer isn't whole.
    UntilClose,
    /// FIN; what still comes is read and thrown away.
    Drain,
    Finish,
    Reset,
    /// Nothing more is read or sent.
    Stall,
    /// The answer is out; the next request may come.
    Next,
}

impl Character {
    /// The right status for a request. The same from everybody: who says something else is wrong.
    fn right_status(&self, id: u64) -> &'static str {
        match Random::new(id).below(20) {
            0 => "204 No Content",
            1 => "304 Not Modified",
            2 => "404 Not Found",
            3 if self.may_err => "500 Internal Error",
            _ => "200 OK",
        }
    }

    /// Draws what is done about a request.
    pub(super) fn draw(&self, random: &mut Random, head: &Head) -> Deed {
        let end = match random.below(3) {
            0 => End::Finish,
            1 => End::Reset,
            _ => End::Stall,
        };
        let over = if end == End::Stall { End::Reset } else { end };
        let manners = &self.manners;
        let ways = [
            (manners.garbage, Deed::Garbage(over)),
            (manners.half_heads, Deed::HalfHead(end)),
            (manners.half_bodies, Deed::HalfBody(end)),
            (manners.no_answers, Deed::NoAnswer(over)),
            (manners.silences, Deed::NoAnswer(End::Stall)),
            (manners.unasked_switches, Deed::UnaskedSwitch),
            (manners.endless_interims, Deed::EndlessInterims),
            (manners.two_lengths, Deed::TwoLengths),
            (manners.bytes_behind, Deed::BytesBehind),
            (manners.wrong_answers, Deed::WrongAnswer),
            (manners.early_answers, Deed::Early { stays: self.is_anchor || random.below(2) == 0 }),
        ];
        let mut drawn = random.below(1000);
        for (often, deed) in ways {
            if drawn < often {
                let early = matches!(deed, Deed::Early { .. });
                let fits = !early || head.request_framing() != Framing::Length(0);
                return if fits { deed } else { Deed::Answer };
            }
            drawn -= often;
        }
        Deed::Answer
    }
}

/// A good answer, ready to be sent.
struct Answer {
    number: u64,
    head: Vec<u8>,
    body: Vec<u8>,
    closes: bool,
    until_close: bool,
    /// Its head has an interim one before it.
    hints: bool,
}

/// The acts of a deed, each with the pause before it.
pub(super) fn acts(
    character: &Character,
    network: &mut Network,
    id: u64,
    head: &Head,
    deed: Deed,
    last: bool,
) -> Vec<(Duration, Act)> {
    let early = matches!(deed, Deed::Early { .. });
    let wrong = deed == Deed::WrongAnswer;
    let status = if wrong { "500 Internal Error" } else { character.right_status(id) };
    let answer = Answer::draw(character, network, id, status, head, last || early);
    let whole = |network: &mut Network| answer.whole(character, network, id);
    match deed {
        Deed::Answer | Deed::WrongAnswer => whole(network),
        Deed::BytesBehind if answer.until_close => whole(network),
        Deed::BytesBehind => answer.with_bytes_behind(id),
        Deed::HalfHead(end) => answer.half_head(network, id, end),
        Deed::HalfBody(end) => answer.half_body(network, id, end),
        Deed::NoAnswer(end) => vec![(Duration::ZERO, end.act())],
        Deed::Garbage(end) => broken(b"\x16\x03\x01 this is no HTTP\r\n\r\n", end),
        Deed::UnaskedSwitch => broken(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            End::Stall,
        ),
        Deed::TwoLengths => broken(
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
            End::Finish,
        ),
        Deed::EndlessInterims => {
            let interim = b"HTTP/1.1 102 Processing\r\n\r\n";
            let again = (0..40).map(|_| (Duration::from_millis(1), Act::Send(interim.to_vec())));
            [note(id, Service::Hinted)].into_iter().chain(again).collect()
        }
        Deed::Early { stays } => {
            let mut acts = whole(network);
            acts.pop();
            // The kernel resets a connection that is closed while something comes, and drops what
            // was not sent yet. Who reads on is spared that.
            acts.push((Duration::ZERO, if stays { Act::Drain } else { Act::Finish }));
            acts
        }
    }
}

fn note(id: u64, service: Service) -> (Duration, Act) {
    (Duration::ZERO, Act::Note(id, service))
}

fn send(bytes: &[u8]) -> (Duration, Act) {
    (Duration::ZERO, Act::Send(bytes.to_vec()))
}

/// These bytes, and then the end.
fn broken(bytes: &[u8], end: End) -> Vec<(Duration, Act)> {
    vec![send(bytes), (Duration::from_millis(1), end.act())]
}

impl End {
    fn act(self) -> Act {
        match self {
            End::Finish => Act::Finish,
            End::Reset => Act::Reset,
            End::Stall => Act::Stall,
        }
    }
}

impl Answer {
    fn draw(
        character: &Character,
        network: &mut Network,
        id: u64,
        status: &str,
        request: &Head,
        last: bool,
    ) -> Answer {
        let number = network.random.next() >> 8;
        let random = &mut network.random;
        let bodyless =
            request.method() == "HEAD" || status.starts_with("204") || status.starts_with("304");
        let length = if bodyless { 0 } else { draw_length(random, character.body_most) };
        let chunk =
            (random.below(3) == 0).then(|| 1 + random.below(length.max(1)).max(length / 64));
        let until_close = !bodyless && random.below(10) == 0;
        let mut text = format!("HTTP/1.1 {status}\r\n{}", wire::answer_lines(id, number, length));
        if until_close {
            // The framing is the connection's end.
        } else if bodyless {
            if request.method() == "HEAD" {
                text.push_str("Content-Length: 1000\r\n");
            }
        } else if chunk.is_some() {
            text.push_str("Transfer-Encoding: chunked\r\n");
        } else {
            text.push_str(&wire::length_line(length));
        }
        let closes = last || until_close;
        if closes {
            text.push_str("Connection: close\r\n");
        } else if character.tells_idle {
            let seconds = character.idle.as_secs();
            let _ = write!(text, "Keep-Alive: timeout={seconds}\r\n");
        }
        text.push_str("\r\n");
        let mut head = Vec::new();
        let hints = random.below(12) == 0 && character.hints;
        if hints {
            head.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
        }
        head.extend_from_slice(text.as_bytes());
        let body = if bodyless {
            Vec::new()
        } else {
            wire::write_body(Pattern::of(number), length, chunk.filter(|_| !until_close))
        };
        Answer { number, head, body, closes, until_close, hints }
    }

    fn end(&self) -> Act {
        if self.closes {
            Act::Finish
        } else {
            Act::Next
        }
    }

    /// As much of its head as a failure leaves.
    fn half_head(&self, network: &mut Network, id: u64, end: End) -> Vec<(Duration, Act)> {
        let cut = 1 + network.random.below(self.head.len() - 1);
        let mut acts = broken(&self.head[..cut], end);
        if self.hints {
            acts.insert(0, note(id, Service::Hinted));
        }
        acts
    }

    /// Its head, and as much of its body as a failure leaves.
    fn half_body(&self, network: &mut Network, id: u64, end: End) -> Vec<(Duration, Act)> {
        let cut = network.random.below(self.body.len().max(1));
        // Without framing a FIN is the proper end, and a reset the only sign of another.
        let end = if self.closes && end == End::Finish { End::Reset } else { end };
        let mut acts = vec![note(id, Service::Answering(self.number)), send(&self.head)];
        if self.until_close {
            acts.push((Duration::ZERO, Act::UntilClose));
        }
        acts.extend(broken(&self.body[..cut], end));
        acts
    }

    /// All of it, and more than it says, in one piece: what comes later can't be told from the
    /// next answer.
    fn with_bytes_behind(&self, id: u64) -> Vec<(Duration, Act)> {
        let evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil".to_vec();
        let whole = [&self.head[..], &self.body].concat();
        vec![
            note(id, Service::Answering(self.number)),
            (Duration::ZERO, Act::SendJoined(whole, evil)),
            note(id, Service::Answered(self.number)),
            (Duration::ZERO, self.end()),
        ]
    }

    /// The whole of it, in one piece or in several.
    fn whole(&self, character: &Character, network: &mut Network, id: u64) -> Vec<(Duration, Act)> {
        let now = Duration::ZERO;
        let mut acts = vec![(now, Act::Note(id, Service::Answering(self.number)))];
        if self.hints {
            acts.push((now, Act::Note(id, Service::Hinted)));
        }
        if self.until_close {
            acts.push((now, Act::UntilClose));
        }
        let pieces = if network.random.below(3) == 0 { 1 + network.random.below(6) } else { 1 };
        if pieces == 1 {
            acts.push((now, Act::Send([&self.head[..], &self.body].concat())));
        } else {
            acts.push((now, Act::Send(self.head.clone())));
            for piece in self.body.chunks(self.body.len() / pieces + 1) {
                let pause = network.up_to(character.pause);
                acts.push((pause, Act::Send(piece.to_vec())));
            }
        }
        acts.push((now, Act::Note(id, Service::Answered(self.number))));
        acts.push((now, self.end()));
        acts
    }
}

/// Mostly short, sometimes nothing, now and then longer than any buffer.
fn draw_length(random: &mut Random, most: usize) -> usize {
    match random.below(10) {
        0 => 0,
        1 => random.below(most.max(1)),
        _ => random.below(most.clamp(1, 2000)),
    }
}
