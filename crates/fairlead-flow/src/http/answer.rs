//! What fairlead answers itself. Status and code come from the table of reasons.

use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;
use fairlead_proto::http1::{write_answer, Answer, Method, Version};
use fairlead_proto::{Refusal, RefusalKind};

use crate::driver::Driver;
use crate::flow::Flow;
use crate::http::exchange::{Next, Phase};
use crate::log::body_bytes;
use crate::slab::Key;

/// Seconds that a client is asked to wait when no backend is available: about the time in which a
/// check with default settings brings one back.
const RETRY_AFTER: u32 = 2;

/// What may be asked of fairlead, for whom it is the end of the way. (Any other method but CONNECT
/// is passed on as well.)
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// What fairlead says itself.
struct Said<'a> {
    reason: Reason,
    /// It says more than the table, or is empty.
    detail: &'a str,
    /// To a HEAD, whose answer has no body.
    to_head: bool,
}

impl Flow {
    /// A head that is refused: answer and close. `method` is what was asked, as far as that could
    /// be read.
    pub(crate) fn client_refuse<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        (refusal, method): (Refusal, Method),
        now: Moment,
    ) {
        let (reason, detail) = (reason_of(refusal), refusal.what);
        self.say(d, key, &Said { reason, detail, to_head: method == Method::Head }, now);
    }

    /// Ends a client's request with an answer of our own. `detail` says more than the table, or
    /// is empty.
    pub(crate) fn answer<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        reason: Reason,
        detail: &str,
        now: Moment,
    ) {
        self.say(d, key, &Said { reason, detail, to_head: false }, now);
    }

    fn say<D: Driver>(&mut self, d: &mut D, key: Key, said: &Said<'_>, now: Moment) {
        let &Said { reason, detail, .. } = said;
        let row = reason.row();
        let Some(client) = self.clients.get_mut(key) else { return };
        let mut head_request = said.to_head;
        let mut client_version = Version::Http11;
        // Without an exchange no request could be read, so nothing more can be.
        let mut keep = false;
        if let Some(exchange) = client.exchange.as_mut() {
            if exchange.phase == Phase::Relaying || row.status == 0 {
                // Too late for an answer: the client must see that this one broke off.
                self.exchange_abandon(d, key, reason, now);
                if let Some(client) = self.client_forget(key) {
                    d.abort(client.conn);
                }
                return;
            }
            head_request = exchange.facts.method == Method::Head;
            client_version = exchange.facts.version;
            keep = exchange.facts.keep_alive && exchange.request_done && !self.stopping;
            exchange.facts.keep_alive = keep;
            exchange.status = row.status;
            exchange.reason = reason;
            exchange.seek.cancel(&mut self.ctx, d, now);
            for link in [exchange.link.take(), exchange.second.take()].into_iter().flatten() {
                self.ctx.drop_attempt(d, link);
            }
        } else {
            client.listener.state.count(self.ctx.worker, row.status, reason);
        }
        let retry_after = (row.status == 503).then_some(RETRY_AFTER);
        let text = if detail.is_empty() { row.text } else { detail };
        let is_about_methods = matches!(reason, Reason::MaxForwards | Reason::MethodNotAllowed);
        self.date.turn_to(now);
        let answer = Answer {
            status: row.status,
            code: row.code,
            text,
            client_version,
            close: !keep,
            head_request,
            retry_after,
            allow: if is_about_methods { METHODS } else { "" },
            date: self.date.text(),
        };
        self.out.clear();
        write_answer(&mut self.out, &answer);
        let conn = client.conn;
        let had_exchange = client.exchange.is_some();
        let next = if keep { Next::Request } else { Next::Unknown };
        let _ = next.send(d, conn, &self.out, &[]);
        if had_exchange {
            if let Some(exchange) =
                self.clients.get_mut(key).and_then(|client| client.exchange.as_mut())
            {
                exchange.sent += self.out.len() as u64;
                exchange.head_sent = exchange.sent - body_bytes(&self.out);
            }
            self.finish(d, key, false, now);
        } else {
            self.log_refused(key, row.status, reason, now);
            self.client_drain(d, key, Next::Unknown, now);
        }
    }
}

/// The reason in our table for what the parser refused.
pub(crate) fn reason_of(refusal: Refusal) -> Reason {
    match refusal.kind {
        RefusalKind::BadFraming => Reason::BadFraming,
        RefusalKind::HeadTooLarge | RefusalKind::TooManyHeaders => Reason::HeadTooLarge,
        RefusalKind::TargetTooLong => Reason::TargetTooLong,
        RefusalKind::ExpectationFailed => Reason::ExpectationFailed,
        RefusalKind::NotImplemented => Reason::NotImplemented,
        RefusalKind::VersionNotSupported => Reason::VersionNotSupported,
        _ => Reason::BadRequest,
    }
}
