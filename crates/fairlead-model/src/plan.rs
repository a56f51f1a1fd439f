//! The resolved configuration of the data plane: numbers, addresses, indices; no option open.
//!
//! Python lowers the user's configuration to this and hands it over as JSON. The engine takes
//! nothing else, and checks only what needs a socket.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backend::{Endpoint, Wish};

/// A duration in milliseconds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// As the standard library's type.
    #[inline]
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

/// Everything the engine is to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// In the configuration's order. Names are unique.
    pub listeners: Vec<ListenerPlan>,
    /// In the configuration's order. Names are unique.
    pub pools: Vec<PoolPlan>,
    /// How long connections under way may take after a stop was asked for.
    pub shutdown_timeout: Millis,
    /// Where a line about each request and each connection goes; `None`: nowhere.
    pub access_log: Option<AccessLogPlan>,
    /// How much is too much, over all listeners.
    #[serde(default)]
    pub limits: PlanLimits,
}

/// Limits of the whole instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanLimits {
    /// Client connections at once, over all listeners and workers.
    pub connections: u32,
    /// Bytes of memory that the process may have; `None` for no limit.
    #[serde(default)]
    pub memory: Option<u64>,
}

impl Default for PlanLimits {
    fn default() -> Self {
        PlanLimits { connections: u32::MAX, memory: None }
    }
}

/// Where the access log goes, and how its lines look.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessLogPlan {
    /// A file, or `-` for standard output.
    pub to: String,
    /// How its lines look.
    pub format: LogFormat,
}

/// How a line of the access log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// A JSON object.
    Json,
    /// The Combined Log Format of the Apache web server, as many tools read it.
    Combined,
    /// No lines about connections, but all bytes that tcp listeners relay, as readable text.
    Dump,
}

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

/// A set of interchangeable backends.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolPlan {
    /// The configuration's name for it.
    pub name: String,
    /// How a backend is picked.
    pub policy: Policy,
    /// A policy in Python beside it, if there is one: then `policy` picks where it does not.
    pub python: Option<PythonPlan>,
    /// What `Policy::Hash` looks at.
    pub hash_on: HashOn,
    /// How `Policy::Hash` makes a backend of a key.
    #[serde(default)]
    pub hash_table: HashTable,
    /// Groups with a policy of their own, each once.
    #[serde(default)]
    pub groups: Vec<GroupPlan>,
    /// In the configuration's order; addresses are unique.
    pub backends: Vec<BackendPlan>,
    /// How backends are probed.
    pub check: CheckPlan,
    /// How long to wait for what.
    pub timeouts: PoolTimeouts,
    /// What is sent again, and how often.
    pub retry: RetryPlan,
    /// Who is taken out because others answer better.
    pub outlier: OutlierPlan,
    /// How long a backend that came back takes to get its whole share; 0: no time.
    pub slow_start: Millis,
    /// Source address of connections to backends.
    pub source: Option<IpAddr>,
    /// How silent backends are probed by the kernel; `None`: as the engine thinks right.
    #[serde(default)]
    pub keepalive: Option<Keepalive>,
    /// Whether backends are told at the beginning of each connection who the client is, and how.
    #[serde(default)]
    pub proxy_protocol: Option<ProxyVersion>,
}

impl PoolPlan {
    /// How a backend of this group is picked.
    pub fn policy_of(&self, group: u16) -> Policy {
        let own = self.groups.iter().find(|plan| plan.group == group);
        own.map_or(self.policy, |plan| plan.policy)
    }

    /// Whether any group is picked from by this policy.
    pub fn has_policy(&self, policy: Policy) -> bool {
        self.policy == policy || self.groups.iter().any(|plan| plan.policy == policy)
    }
}

/// A version of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// What one group has of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupPlan {
    /// Which group.
    pub group: u16,
    /// How a backend is picked there.
    pub policy: Policy,
}

/// How a pool picks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// In turn, smoothly by weight.
    RoundRobin,
    /// By chance, by weight.
    Random,
    /// Fewest in flight per weight.
    LeastConnections,
    /// The better of two by chance.
    P2c,
    /// The better of two by expected latency.
    PeakEwma,
    /// By a property of the request.
    Hash,
    /// The first available in order.
    First,
}

/// How a key becomes a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum HashTable {
    /// A table of those who are available now; few keys move when that changes.
    #[default]
    Maglev,
    /// The key modulo the number of backends in the group; while that one can't be used, the
    /// next in order.
    Modulo,
    /// As `Modulo`, but nobody else of the group stands in: the next group is asked.
    Fixed,
}

impl Policy {
    /// The interface's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Policy::RoundRobin => "round-robin",
            Policy::Random => "random",
            Policy::LeastConnections => "least-connections",
            Policy::P2c => "p2c",
            Policy::PeakEwma => "peak-ewma",
            Policy::Hash => "hash",
            Policy::First => "first",
        }
    }
}

/// A policy in Python: what is asked of it, and for how long it is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PythonPlan {
    /// What the configuration calls it: `module:attribute`.
    pub name: String,
    /// So long a request waits for its answers, in all.
    pub timeout: Millis,
    /// So many bytes of a request's body are waited for and shown to it.
    pub body_prefix: u64,
}

/// What a hash looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashOn {
    /// The client's address without its port.
    SourceIp,
    /// The request's path.
    Path,
    /// This header (lower case).
    Header(String),
    /// This cookie.
    Cookie(String),
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendPlan {
    /// As configured: its identity within the pool, over reloads too.
    pub address: String,
    /// Where it is now: what its name resolved to. Never empty.
    pub endpoints: Vec<Endpoint>,
    /// 0 to 256; 0 means no new traffic.
    pub weight: u16,
    /// 0 first; a higher group takes traffic while lower ones have nobody available.
    pub group: u16,
    /// Most requests or connections in flight to it.
    pub max_connections: Option<u32>,
    /// The operator's wish that the configuration starts with.
    pub state: Wish,
}

/// How backends are probed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckPlan {
    /// What a probe does.
    pub kind: CheckKind,
    /// Between two probes of a backend that is not in doubt.
    pub interval: Millis,
    /// Between two probes of a backend in doubt (suspect, or down within the last minute).
    pub fast_interval: Millis,
    /// For a whole probe.
    pub timeout: Millis,
    /// Passes in a row before a down backend is used again.
    pub rise: u32,
    /// Failures in a row before a healthy one is down.
    pub fall: u32,
}

/// What a probe does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// No probe.
    None,
    /// Connects.
    Tcp,
    /// Sends a request and looks at the status.
    Http {
        /// `GET` unless the user said otherwise.
        method: String,
        /// Path and query.
        path: String,
        /// The `Host` header; `None`: the backend's address.
        host: Option<String>,
        /// Ranges of good statuses, both ends included.
        expect_status: Vec<(u16, u16)>,
    },
    /// Python probes (a command or a function) and reports.
    External,
}

/// Time-outs on the backends' side.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolTimeouts {
    /// Per attempt to connect.
    pub connect: Millis,
    /// From the last byte of the request until the response head.
    pub response: Millis,
    /// Between two pieces of a response.
    pub idle: Millis,
    /// How long an idle kept connection may be used again.
    pub keepalive: Millis,
}

/// What is sent again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryPlan {
    /// Backends tried for one request or connection, in all; 1 to 64.
    pub attempts: u32,
    /// Tries on one backend before the next; at least 1.
    pub same_backend: u32,
    /// Between tries on the same backend.
    pub delay: Millis,
    /// Whether late requests that may be repeated are sent to a second backend.
    pub hedge: bool,
    /// Hedges and retries of late requests, in hundredths of a percent of requests.
    pub budget: u32,
    /// How long a request or connection waits for a backend while there is none; 0: not at all.
    pub hold: Millis,
}

/// Who is taken out because others answer better.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutlierPlan {
    /// How much of a group may be out, for whatever reason, and traffic still takes one out; in
    /// hundredths of a percent.
    pub max_ejected: u32,
    /// Whether one that is slow, and nothing else, is taken out.
    pub latency: bool,
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
