//! What a plan says of listeners: where clients connect, which requests go to which pool, limits and
//! time-outs on their side.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::Millis;

/// An address that clients connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerPlan {
    /// The configuration's name for it.
    pub name: String,
    /// Where it listens; at least one.
    pub bind: Vec<Bind>,
    /// What is spoken there.
    pub protocol: Protocol,
    /// Index of the pool that gets what no route takes. `None`: such requests are answered 404.
    pub pool: Option<usize>,
    /// In order; the first match wins. Empty on tcp.
    pub routes: Vec<RoutePlan>,
    /// How long to wait for what.
    pub timeouts: ListenerTimeouts,
    /// How much is too much.
    pub limits: ListenerLimits,
    /// Networks whose forwarding headers, and PROXY headers, are believed.
    pub trusted_proxies: Vec<Network>,
    /// How silent clients are probed by the kernel; `None`: as the engine thinks right.
    #[serde(default)]
    pub keepalive: Option<Keepalive>,
    /// Our name in `Via`, in requests and in answers that are passed on: a token. `None`: it isn't
    /// added.
    #[serde(default)]
    pub via: Option<String>,
    /// Whether connections from trusted networks, and on Unix sockets, begin with a PROXY header.
    #[serde(default)]
    pub proxy_protocol: bool,
}

/// How the kernel finds out whether a silent connection still has another end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keepalive {
    /// Silence before the first probe. The kernel counts whole seconds, 1 to 32767.
    pub idle: Millis,
    /// Between two probes. Whole seconds, 1 to 32767.
    pub interval: Millis,
    /// Unanswered probes that end the connection, 1 to 127.
    pub probes: u32,
}

/// Where to listen: `{"any": 8080}` · `{"tcp": "127.0.0.1:80"}` · `{"unix": "/path"}` ·
/// `{"inherited": "web"}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bind {
    /// This port on all addresses, IPv6 and IPv4 (IPv4 alone where the host has no IPv6).
    Any(u16),
    /// One address and port. Port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(String),
    /// The socket of this name among those that this process was started with.
    Inherited(String),
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1 and 1.0.
    Http,
    /// Bytes as they are.
    Tcp,
}

/// Which requests go to which pool. All given conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutePlan {
    /// On the `Host`, without port, lower case.
    pub host: Option<HostMatch>,
    /// On the path, without query, as it stands in the request.
    pub path: Option<PathMatch>,
    /// Methods, upper case; empty for any.
    pub methods: Vec<String>,
    /// Header name (lower case) and the value it must have, or `None` for any value.
    pub headers: Vec<(String, Option<String>)>,
    /// Index of the pool.
    pub pool: usize,
}

/// A condition on the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostMatch {
    /// This host.
    Exact(String),
    /// Any host one or more labels below: `example.com` for `*.example.com`.
    Below(String),
}

/// A condition on the path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathMatch {
    /// It begins so.
    Prefix(String),
    /// It is this.
    Exact(String),
    /// This regular expression (of the `regex` crate) finds a match in it.
    Regex(String),
}

/// Time-outs on the client's side.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerTimeouts {
    /// From the first byte of a request until its head is whole.
    pub head: Millis,
    /// Between two pieces of a request body.
    pub body: Millis,
    /// Between two requests on a kept connection; on tcp: neither side sends.
    pub idle: Millis,
    /// Upgraded connections: neither side sends.
    pub tunnel: Millis,
}

/// What is held of further requests where the plan doesn't say.
fn pipelined() -> u64 {
    64 * 1024
}

/// Limits on the client's side.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerLimits {
    /// Bytes of a request head.
    pub head: u64,
    /// Header lines of a request.
    pub headers: u32,
    /// Bytes of a request body; `None` for no limit.
    pub body: Option<u64>,
    /// Client connections at once, over all workers.
    pub connections: u32,
    /// Bytes of a request's target; `None`: as many as the head may have.
    #[serde(default)]
    pub target: Option<u64>,
    /// Bytes of further requests that are held while one is being answered.
    #[serde(default = "pipelined")]
    pub pipelined: u64,
    /// Of the connections, so many from one address (an IPv6 network of 64 bits counts as one); `None` for no limit.
    #[serde(default)]
    pub connections_per_client: Option<u32>,
    /// Requests on one connection; the last one's answer ends it. `None` for no limit.
    #[serde(default)]
    pub requests: Option<u32>,
    /// Bytes per second that a client has to send or take where there is something to send or to
    /// take; `None`: any progress will do.
    #[serde(default)]
    pub min_rate: Option<u64>,
    /// Trailer lines of a message, in either direction; so with those below.
    pub trailers: u32,
    /// Bytes of all trailer lines of a message.
    pub trailer_bytes: u32,
    /// Bytes of a chunk-size line. A size takes at most 16 digits; the rest is extension, which
    /// nobody uses and which attacks are made of (Go's CVE-2023-39326).
    pub chunk_line: u32,
    /// Bytes of chunk framing beyond what plain chunks of the same data need, with 16 allowed for
    /// each chunk. Go draws its line so, too.
    pub chunk_excess: u32,
}

/// A network: `10.0.0.0/8`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The address, with the bits beyond the prefix zero.
    pub address: IpAddr,
    /// How many bits count.
    pub prefix: u8,
}

impl Network {
    /// Whether `address` is in this network. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = |address: IpAddr| match address.to_canonical() {
            IpAddr::V4(four) => (u128::from(four.to_bits()) << 96, false),
            IpAddr::V6(six) => (six.to_bits(), true),
        };
        let ((ours, our_family), (theirs, their_family)) = (bits(self.address), bits(address));
        let keep = u32::from(self.prefix).min(128);
        let mask = if keep == 0 { 0 } else { u128::MAX << (128 - keep) };
        our_family == their_family && (ours & mask) == (theirs & mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_what_shares_their_prefix() {
        let ten = Network { address: "10.0.0.0".parse().expect("address"), prefix: 8 };
        assert!(ten.contains("10.255.0.1".parse().expect("address")));
        assert!(!ten.contains("11.0.0.1".parse().expect("address")));
        assert!(ten.contains("::ffff:10.1.2.3".parse().expect("address")));
        let all = Network { address: "::".parse().expect("address"), prefix: 0 };
        assert!(all.contains("2001:db8::1".parse().expect("address")));
        assert!(!all.contains("10.0.0.1".parse().expect("address")));
    }
}
