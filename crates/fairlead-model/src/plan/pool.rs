//! What a plan says of pools: their backends, how one is picked and probed, what is sent again, and
//! time-outs on their side.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Keepalive, Millis};
use crate::backend::{Endpoint, Wish};

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
