//! The access log: a line for each exchange and each connection that has ended.
//!
//! Rules of this file
//! 1. When it is off, it costs one branch.
//! 2. A line is written when all of it is known, from what is there anyway (the request's head as
//!    it went on). Nothing is allocated for it: it goes into the worker's buffer.
//! 3. Whoever drives the flow takes the buffer. What nobody takes is bounded; lines beyond that
//!    are lost, and counted. A request never waits for its line.
//!
//! Not here: files, threads, the time of day (told once, as that of the first moment).

use std::net::SocketAddr;

use fairlead_model::limits::LOG_BYTES;
use fairlead_model::moment::Moment;
use fairlead_model::plan::LogFormat;
use fairlead_model::reason::Reason;
use fairlead_model::time_of_day::TimeOfDay;
use fairlead_proto::http1::Version;

use crate::driver::Peer;
use crate::flow::Flow;
use crate::http::exchange::Exchange;
use crate::local::LocalListener;
use crate::log::line::{Line, Request, Spoken};
use crate::slab::Key;
use crate::tcp::Relay;

mod dump;
mod escape;
mod line;

/// Bytes kept of what came instead of a request.
const REFUSED_BYTES: usize = 256;

/// The lines of one worker.
#[derive(Debug, Default)]
pub(crate) struct Log {
    format: Option<LogFormat>,
    lines: Vec<u8>,
    lost: u64,
    /// Nanoseconds since 1970 at [`Moment::ZERO`].
    zero: u64,
    /// The second that `stamp` is the text of.
    second: u64,
    stamp: String,
    /// The first line of what was refused as a request.
    refused: Vec<u8>,
}

impl Log {
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.format.is_some()
    }

    pub(crate) fn set_format(&mut self, format: Option<LogFormat>) {
        self.format = format;
        self.stamp.clear();
    }

    /// Remembers the first line of bytes that are no request, for the line about them.
    pub(crate) fn note_refused(&mut self, bytes: &[u8]) {
        if !self.is_on() {
            return;
        }
        let bytes = &bytes[..bytes.len().min(REFUSED_BYTES)];
        let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        self.refused.clear();
        self.refused.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
    }

    fn write(&mut self, line: &Line<'_>, now: Moment) {
        let Some(format) = self.format.filter(|format| *format != LogFormat::Dump) else { return };
        if !self.has_room() {
            return;
        }
        let millis = self.zero.saturating_add(now.0) / 1_000_000;
        self.stamp(format, millis);
        if format == LogFormat::Combined {
            line.write_combined(&mut self.lines, &self.stamp);
        } else {
            line.write_json(&mut self.lines, &self.stamp, millis % 1000);
        }
    }

    /// Whether relayed bytes are wanted, too.
    #[inline]
    pub(crate) fn dumps(&self) -> bool {
        self.format == Some(LogFormat::Dump)
    }

    /// Takes a piece that is being relayed.
    pub(crate) fn dump(&mut self, from_client: bool, bytes: &[u8]) {
        if self.has_room() {
            dump::write_piece(&mut self.lines, if from_client { "->" } else { "-<" }, bytes);
        }
    }

    /// Whether another line may be written; counts it as lost if not.
    fn has_room(&mut self) -> bool {
        let room = self.lines.len() < LOG_BYTES;
        self.lost += u64::from(!room);
        room
    }

    /// Makes `stamp` the text of this time, down to the second.
    fn stamp(&mut self, format: LogFormat, millis: u64) {
        let second = millis / 1000;
        if second == self.second && !self.stamp.is_empty() {
            return;
        }
        self.second = second;
        self.stamp.clear();
        let time = TimeOfDay(millis);
        // A string takes whatever is written to it.
        let _ = match format {
            LogFormat::Combined => time.write_common_log(&mut self.stamp),
            _ => time.write_rfc3339_seconds(&mut self.stamp),
        };
    }
}

impl Flow {
    /// Says what the time of day is at [`Moment::ZERO`], in nanoseconds since 1970, for the lines
    /// of the access log and for the `Date` of answers. To be said before there are any, and again
    /// when the clock was set.
    pub fn set_wall_clock(&mut self, nanos_at_zero: u64) {
        self.log.zero = nanos_at_zero;
        self.date.set(nanos_at_zero);
    }

    /// Bytes of access log that wait to be taken.
    #[inline]
    pub fn log_waiting(&self) -> usize {
        self.log.lines.len()
    }

    /// Exchanges the lines that wait, each with its line feed, for an empty buffer.
    pub fn take_log(&mut self, buffer: &mut Vec<u8>) {
        buffer.clear();
        std::mem::swap(&mut self.log.lines, buffer);
    }

    /// How many lines were lost since this was last asked, because nobody took them.
    pub fn take_log_lost(&mut self) -> u64 {
        std::mem::take(&mut self.log.lost)
    }

    /// Writes the line of an exchange that ends; called while its connection to the backend is
    /// still known.
    #[inline]
    pub(crate) fn log_exchange(&mut self, key: Key, exchange: &Exchange, now: Moment) {
        if !self.log.is_on() {
            return;
        }
        let Some(client) = self.clients.get(key) else { return };
        let pool = &exchange.seek.pool;
        let link = exchange.link.and_then(|link| self.ctx.links.get(link));
        let slot = link.map(|link| link.slot).or(exchange.seek.last);
        let line = Line {
            pool: Some(&pool.plan().name),
            backend: slot.map(|slot| &*pool.backend_plan(slot).address),
            attempts: exchange.seek.attempts,
            ..line_of(&client.listener, client.peer.address, exchange, now)
        };
        self.log.write(&line, now);
    }

    /// Writes the line of an answer to what was no request.
    pub(crate) fn log_refused(&mut self, key: Key, status: u16, reason: Reason, now: Moment) {
        let Some(client) = self.clients.get(key).filter(|_| self.log.is_on()) else { return };
        let refused = std::mem::take(&mut self.log.refused);
        let line = Line {
            spoken: Spoken::Http { version: None, refused: &refused },
            status,
            sent: self.out.len() as u64,
            body_sent: body_bytes(&self.out),
            ..bare(&client.listener, client.peer.address, reason)
        };
        self.log.write(&line, now);
        self.log.refused = refused;
        self.log.refused.clear();
    }

    /// Writes the line of a tcp connection that was turned away.
    pub(crate) fn log_turned_away(
        &mut self,
        listener: &LocalListener,
        peer: Peer,
        reason: Reason,
        now: Moment,
    ) {
        if self.log.is_on() {
            self.log.write(&bare(listener, peer.address, reason), now);
        }
    }

    /// Writes the line of a tcp connection or tunnel that ends; called while its connection to
    /// the backend is still known.
    pub(crate) fn log_relay(&mut self, relay: &Relay, reason: Reason, now: Moment) {
        if !self.log.is_on() {
            return;
        }
        let listener = &relay.listener;
        let link = relay.link.and_then(|link| self.ctx.links.get(link));
        let configured = || listener.pools.get(listener.plan().pool?);
        let pool = link.map(|link| &link.pool).or_else(configured);
        let slot = link.map(|link| link.slot).or(relay.last);
        let request = relay.exchange.as_deref();
        let own = match request {
            Some(exchange) => line_of(listener, relay.address, exchange, now),
            None => bare(listener, relay.address, reason),
        };
        let began = request.map_or(relay.started, |exchange| exchange.started);
        let line = Line {
            reason,
            received: own.received + relay.received,
            sent: own.sent + relay.sent,
            body_sent: relay.sent,
            took: now.since(began),
            pool: pool.map(|pool| &*pool.plan().name),
            backend: pool.zip(slot).map(|(pool, slot)| &*pool.backend_plan(slot).address),
            attempts: request.map_or(relay.attempts, |exchange| exchange.seek.attempts),
            ..own
        };
        self.log.write(&line, now);
    }
}

/// Bytes behind the head of an answer.
pub(crate) fn body_bytes(answer: &[u8]) -> u64 {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    end.map_or(0, |end| (answer.len() - end - 4) as u64)
}

/// The line of a connection without a request.
fn bare(listener: &LocalListener, client: Option<SocketAddr>, reason: Reason) -> Line<'_> {
    Line { listener: &listener.plan().name, client, reason, ..Line::default() }
}

/// The line of an exchange, without its backend.
fn line_of<'a>(
    listener: &'a LocalListener,
    client: Option<SocketAddr>,
    exchange: &'a Exchange,
    now: Moment,
) -> Line<'a> {
    // A request that goes no further than here was not written anew: ids and addresses in it are
    // the client's own claims.
    let is_ours = !matches!(
        exchange.reason,
        Reason::NoRoute | Reason::MaxForwards | Reason::MethodNotAllowed | Reason::Misdirected
    );
    let proxied = is_ours && !listener.plan().trusted_proxies.is_empty();
    let mut request = Request::read(&exchange.head);
    request.id = request.id.filter(|_| is_ours);
    request.forwarded_for = request.forwarded_for.filter(|_| proxied);
    let version = match exchange.facts.version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
    };
    Line {
        spoken: Spoken::Http { version: Some(version), refused: &[] },
        request,
        status: exchange.status,
        received: exchange.received,
        sent: exchange.sent,
        body_sent: exchange.sent.saturating_sub(exchange.head_sent),
        took: now.since(exchange.started),
        ..bare(listener, client, exchange.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line<'static> {
        Line { listener: "web", ..Line::default() }
    }

    #[test]
    fn lines_that_nobody_takes_are_bounded_and_then_counted() {
        let mut flow = Flow::new(0, 1, 1);
        flow.log.set_format(Some(LogFormat::Json));
        for _ in 0..LOG_BYTES {
            flow.log.write(&line(), Moment::ZERO);
        }
        let (waiting, lost) = (flow.log_waiting(), flow.take_log_lost());
        assert!((LOG_BYTES..LOG_BYTES + 1000).contains(&waiting), "{waiting}");
        let mut taken = Vec::new();
        flow.take_log(&mut taken);
        assert_eq!(
            taken.split_inclusive(|byte| *byte == b'\n').count() as u64 + lost,
            LOG_BYTES as u64
        );
        assert_eq!((flow.log_waiting(), flow.take_log_lost()), (0, 0));
        flow.log.write(&line(), Moment::ZERO);
        assert!(flow.log_waiting() > 0);
    }

    #[test]
    fn nothing_is_written_when_it_is_off() {
        let mut flow = Flow::new(0, 1, 1);
        flow.log.write(&line(), Moment::ZERO);
        flow.log.note_refused(b"rubbish");
        assert_eq!((flow.log_waiting(), flow.take_log_lost()), (0, 0));
        assert!(flow.log.refused.is_empty());
    }

    #[test]
    fn a_line_has_the_time_of_day_of_its_moment() {
        let mut flow = Flow::new(0, 1, 1);
        flow.log.set_format(Some(LogFormat::Json));
        // 2026-11-21T09:08:07.006Z, less a second and a half.
        flow.set_wall_clock(1_795_252_085_506_000_000);
        for moment in [Moment(1_500_000_000), Moment(1_500_999_999), Moment(2_494_000_000)] {
            flow.log.write(&line(), moment);
        }
        let mut taken = Vec::new();
        flow.take_log(&mut taken);
        let text = String::from_utf8(taken).expect("ASCII");
        let times: Vec<_> = text.lines().map(|line| &line[9..33]).collect();
        let expected =
            ["2026-11-21T09:08:07.006Z", "2026-11-21T09:08:07.006Z", "2026-11-21T09:08:08.000Z"];
        assert_eq!(times, expected);
    }

    #[test]
    fn what_was_refused_is_kept_up_to_its_first_line() {
        let mut log = Log { format: Some(LogFormat::Json), ..Log::default() };
        log.note_refused(b"GET / HTTP/9\r\nHost: a\r\n");
        assert_eq!(log.refused, b"GET / HTTP/9");
        log.note_refused(&[b'a'; 10_000]);
        assert_eq!(log.refused.len(), REFUSED_BYTES);
        assert_eq!(body_bytes(b"HTTP/1.1 200 OK\r\n\r\nhello\n"), 6);
        assert_eq!(body_bytes(b""), 0);
    }
}
