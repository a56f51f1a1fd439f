//! The one table of reasons. Status code, `X-Fairlead-Reason`, log, metric label, text and the
//! reference page all come from it.
//!
//! Whose fault it was decides what counts as evidence: what a client does is never evidence
//! against a backend.

use serde::Serialize;

/// Whose fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The client's.
    Client,
    /// A backend's, or its host's, or the network's on the way there.
    Backend,
    /// Nobody's in particular: what the operator set up can't serve this now.
    Operator,
    /// Nobody's: it went as it should.
    Nobody,
}

/// May a request that failed so be sent again?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resend {
    /// Always: nothing of it was sent.
    Always,
    /// If its method is idempotent, its body can be replayed and nothing was relayed.
    Idempotent,
    /// No.
    Never,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The code that users and scripts see.
    pub code: &'static str,
    /// The status that fairlead answers with; 0 where it can't or needn't answer.
    pub status: u16,
    /// Whose fault.
    pub fault: Fault,
    /// Whether the request may be sent again.
    pub resend: Resend,
    /// Whether it is evidence against the backend.
    pub evidence: bool,
    /// One line for people.
    pub text: &'static str,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $fault:ident, $resend:ident, $evidence:literal, $text:literal;)*) => {
        /// Why a request or connection ended as it did.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* #[doc = $text] $name),* }

        /// All reasons, in the table's order.
        pub const ALL: &[Reason] = &[$(Reason::$name),*];

        impl Reason {
            /// The row of this reason.
            pub const fn row(self) -> Row {
                match self {
                    $(Reason::$name => Row {
                        code: $code, status: $status, fault: Fault::$fault,
                        resend: Resend::$resend, evidence: $evidence, text: $text,
                    }),*
                }
            }
        }
    };
}

reasons! {
    // name = code, status, fault, resend, evidence, text
    Ok = "ok", 0, Nobody, Never, false, "answered";
    NoBackend = "no_backend", 503, Operator, Always, false, "no backend of the pool is available";
    Saturated = "saturated", 503, Operator, Always, false, "every available backend is at its connection limit";
    ConnectRefused = "connect_refused", 503, Backend, Always, true, "the backend refused the connection";
    ConnectTimeout = "connect_timeout", 503, Backend, Always, true, "the backend did not answer the connect in time";
    ConnectFailed = "connect_failed", 503, Backend, Always, true, "the connect to the backend failed";
    StaleConnection = "stale_connection", 502, Nobody, Idempotent, false, "a kept connection turned out to be closed";
    BackendReset = "backend_reset", 502, Backend, Idempotent, true, "the backend reset or closed the connection before its answer";
    BackendDown = "backend_down", 503, Backend, Idempotent, false, "the backend was found down while the request waited";
    BackendSilent = "backend_silent", 504, Backend, Idempotent, false, "the backend answered nothing while others answered what was asked later";
    Unacknowledged = "unacknowledged", 504, Backend, Idempotent, true, "the backend's host did not acknowledge the request";
    WrongAnswer = "wrong_answer", 502, Backend, Idempotent, true, "the backend answered with an error where another one did not";
    BadResponse = "bad_response", 502, Backend, Idempotent, true, "the backend's answer was not HTTP, or broke its rules";
    ResponseTooLarge = "response_head_too_large", 502, Backend, Never, true, "the head of the backend's answer was too large";
    ResponseTimeout = "response_timeout", 504, Backend, Idempotent, true, "the backend's answer did not come in time";
    ResponseTruncated = "response_truncated", 0, Backend, Never, true, "the backend broke off in the middle of its answer";
    ResponseStalled = "response_stalled", 0, Backend, Never, true, "the backend stopped in the middle of its answer";
    BadRequest = "bad_request", 400, Client, Never, false, "the request broke the rules of HTTP";
    BadFraming = "bad_framing", 400, Client, Never, false, "the request's length could be read in more than one way";
    RequestTimeout = "request_timeout", 408, Client, Never, false, "the request did not come in time";
    BodyTooLarge = "body_too_large", 413, Client, Never, false, "the request body is larger than the listener allows";
    TargetTooLong = "target_too_long", 414, Client, Never, false, "the request line is longer than the listener allows";
    ExpectationFailed = "expectation_failed", 417, Client, Never, false, "the expectation can't be met";
    HeadTooLarge = "head_too_large", 431, Client, Never, false, "the request head is larger than the listener allows";
    NotImplemented = "not_implemented", 501, Client, Never, false, "the method or transfer coding is not supported";
    VersionNotSupported = "version_not_supported", 505, Client, Never, false, "the HTTP version is not supported";
    MaxForwards = "max_forwards", 200, Nobody, Never, false, "the request was to go no further than here";
    MethodNotAllowed = "method_not_allowed", 405, Client, Never, false, "fairlead does not answer this method itself";
    Misdirected = "misdirected", 421, Client, Never, false, "the request is for https and came without TLS";
    BadProxyHeader = "bad_proxy_header", 400, Client, Never, false, "the connection of a trusted proxy did not begin with a PROXY header";
    ProxyHeaderTimeout = "proxy_header_timeout", 408, Client, Never, false, "the PROXY header of a trusted proxy did not come in time";
    NoRoute = "no_route", 404, Operator, Never, false, "no route of the listener takes this request";
    ClientGone = "client_gone", 0, Client, Never, false, "the client went away";
    ClientIdle = "client_idle", 0, Client, Never, false, "the client sent nothing for the idle time";
    StreamIdle = "stream_idle", 0, Nobody, Never, false, "an answer without a known end was silent for the idle time";
    OutOfResources = "out_of_resources", 503, Operator, Always, false, "no descriptor, port or memory is left here for a connection to a backend";
    ListenerFull = "listener_full", 503, Operator, Never, false, "the listener is at its connection limit";
    BalancerFull = "balancer_full", 503, Operator, Never, false, "the balancer is at its connection limit";
    MemoryFull = "memory_full", 503, Operator, Never, false, "the balancer has as much memory as it may have";
    ClientFull = "client_full", 503, Client, Never, false, "the client's address is at its connection limit";
    ClientSlow = "client_slow", 408, Client, Never, false, "the client sent or took less than the listener's least rate";
    MadeRoom = "made_room", 0, Nobody, Never, false, "an idle connection was closed to make room for another";
    ShuttingDown = "shutting_down", 503, Operator, Never, false, "the balancer is stopping";
    Internal = "internal", 502, Operator, Never, false, "fairlead failed inside; it is a bug";
}

impl Reason {
    /// The code that users and scripts see.
    pub const fn code(self) -> &'static str {
        self.row().code
    }

    /// Its place in [`ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_what_clients_do_is_no_evidence() {
        for (index, reason) in ALL.iter().enumerate() {
            let row = reason.row();
            assert_eq!(index, reason.index());
            assert!(!(row.evidence && row.fault == Fault::Client), "{}", row.code);
            assert!(ALL[index + 1..].iter().all(|other| other.code() != row.code));
        }
    }
}
