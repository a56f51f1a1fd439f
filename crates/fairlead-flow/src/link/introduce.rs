//! Saying to a backend who the client is, before anything else is said on a connection.
//!
//! A header speaks for the whole connection. On tcp that is one client's by nature. On http, where
//! connections are kept and lent to whoever comes next, a pool with `proxy_protocol` keeps none: one
//! connection carries one request, so that no request is ever taken for another client's
//! (`Context::park` closes what would be kept, `Seek::reuse` asks for a fresh one). A table of kept
//! connections by client address would be worth having only to clients with many requests, and those
//! are served by `X-Forwarded-For` for nothing.

use fairlead_model::moment::Moment;
use fairlead_model::plan::ProxyVersion;
use fairlead_proto::proxy::{write_v1, write_v2, Origin};

use super::Link;
use crate::arrival::origin_of;
use crate::driver::{Driver, Peer};

/// The header of a connection that carries nobody's traffic: a check.
pub(crate) fn header_of_ours(version: ProxyVersion) -> Vec<u8> {
    header(version, Origin::Local)
}

fn header(version: ProxyVersion, origin: Origin) -> Vec<u8> {
    let mut header = Vec::with_capacity(64);
    match version {
        ProxyVersion::V1 => write_v1(&mut header, &origin),
        ProxyVersion::V2 => write_v2(&mut header, &origin),
    }
    header
}

impl Link {
    /// Tells the backend whose connection this is, if its pool wants that. Nothing else was sent.
    #[inline]
    pub(crate) fn introduce<D: Driver>(&mut self, d: &mut D, peer: Peer, now: Moment) {
        if let Some(version) = self.pool.proxy {
            debug_assert!(!self.was_kept, "a kept connection is somebody else's");
            // What isn't taken at once goes before what is sent next.
            let _ = self.send(d, &header(version, origin_of(peer)), &[], now);
        }
    }
}
