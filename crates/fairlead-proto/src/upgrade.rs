//! Which protocol switches are passed on: `websocket`, and nothing else.
//!
//! Any other offer is left out, and the request goes on as plain HTTP/1.1 (RFC 9110 §7.8 lets a
//! recipient ignore an offer). Above all `h2c`: once through, a client speaks to a backend behind
//! the balancer's back. Java's default client offers it with every request, so refusing it would
//! refuse those.

use crate::http1::grammar;

/// A protocol that a connection can switch to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Upgrade {
    /// RFC 6455.
    WebSocket,
}

impl Upgrade {
    /// The token that stands for it in `Upgrade`.
    pub const fn token(self) -> &'static str {
        match self {
            Upgrade::WebSocket => "websocket",
        }
    }

    /// What an offer (of one protocol or several) offers that is passed on.
    pub(crate) fn offered(value: &[u8]) -> Option<Upgrade> {
        let mut tokens = grammar::list(value);
        tokens.any(|token| token.eq_ignore_ascii_case(b"websocket")).then_some(Upgrade::WebSocket)
    }

    /// What an acceptance accepts: exactly one protocol.
    pub(crate) fn accepted(value: &[u8]) -> Option<Upgrade> {
        value.eq_ignore_ascii_case(b"websocket").then_some(Upgrade::WebSocket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_offers_only_websocket_counts() {
        assert_eq!(Upgrade::offered(b"h2c, WebSocket"), Some(Upgrade::WebSocket));
        assert_eq!(Upgrade::offered(b"h2c"), None);
        assert_eq!(Upgrade::offered(b"websocket/13"), None);
        assert_eq!(Upgrade::accepted(b"websocket, h2c"), None);
        assert_eq!(Upgrade::accepted(b"WebSocket"), Some(Upgrade::WebSocket));
    }
}
