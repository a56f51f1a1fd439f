//! The resolved configuration of the data plane: numbers, addresses, indices; no option open.
//!
//! Python lowers the user's configuration to this and hands it over as JSON. The engine takes
//! nothing else, and checks only what needs a socket.

mod listener;
mod pool;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use listener::{
    Bind, HostMatch, Keepalive, ListenerLimits, ListenerPlan, ListenerTimeouts, Network, PathMatch,
    Protocol, RoutePlan,
};
pub use pool::{
    BackendPlan, CheckKind, CheckPlan, GroupPlan, HashOn, HashTable, OutlierPlan, Policy, PoolPlan,
    PoolTimeouts, ProxyVersion, PythonPlan, RetryPlan,
};

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
