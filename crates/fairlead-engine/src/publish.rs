//! From a plan to open sockets: what stays, what is opened, what leaves.
//!
//! Rules of this file
//! 1. Everything new is opened before anything changes. If one address can't be had, all that
//!    were opened are closed again and all problems are told at once.
//! 2. A socket stays open as long as its address stays in the plan, even if another listener has
//!    it now: nobody who is connecting notices a reload.
//!
//! Not here: the snapshot (flow builds it), who gets it when (`engine`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use fairlead_flow::driver::ListenerId;
use fairlead_model::plan::{Bind, ListenerPlan};
use serde::Serialize;

use crate::inherited::{self, Inherited};
use crate::listen::{describe, ListenSocket};
use crate::mailbox::Open;

/// Why a plan can't be put in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The listener, or empty if it isn't about one.
    pub listener: String,
    /// The address as configured, or empty.
    pub bind: String,
    /// What is wrong.
    pub problem: String,
}

impl Problem {
    /// A problem that is not about one address.
    pub fn general(problem: impl Into<String>) -> Self {
        Problem { listener: String::new(), bind: String::new(), problem: problem.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.listener.is_empty() {
            return self.problem.fmt(formatter);
        }
        write!(formatter, "listener `{}`: {}: {}", self.listener, self.bind, self.problem)
    }
}

/// A socket in force, and the address of the plan that it was opened for.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) bind: Bind,
    pub(crate) open: Open,
}

/// Which listener has which id: the same name, the same id, over reloads.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    known: BTreeMap<String, ListenerId>,
    next: u32,
}

impl Ids {
    /// The ids of these listeners, in order, as they will be if the plan comes into force.
    pub(crate) fn of(&self, listeners: &[ListenerPlan]) -> Ids {
        let mut ids = Ids { known: BTreeMap::new(), next: self.next };
        for listener in listeners {
            let id = self.known.get(&listener.name).copied().unwrap_or_else(|| {
                ids.next += 1;
                ListenerId(ids.next - 1)
            });
            ids.known.insert(listener.name.clone(), id);
        }
        ids
    }

    pub(crate) fn get(&self, name: &str) -> ListenerId {
        self.known[name]
    }
}

/// Finds or opens a socket for each address of each listener, in order. `old` is what is in force,
/// `passed` what this process was started with.
pub(crate) fn open_all(
    listeners: &[ListenerPlan],
    ids: &Ids,
    old: &[Bound],
    passed: &[Inherited],
) -> Result<Vec<Bound>, Vec<Problem>> {
    let wanted: Vec<_> = listeners
        .iter()
        .flat_map(|listener| listener.bind.iter().map(move |bind| (listener, bind)))
        .collect();
    let kept = keep(&wanted, old);
    let stays = |old: &Bound| kept.iter().flatten().any(|kept| Arc::ptr_eq(kept, &old.open.socket));
    let leaving: Vec<&ListenSocket> =
        old.iter().filter(|old| !stays(old)).map(|old| &*old.open.socket).collect();
    let (mut bound, mut problems) = (Vec::new(), Vec::new());
    for ((listener, bind), kept) in wanted.into_iter().zip(kept) {
        let socket = match kept {
            Some(socket) => Ok(socket),
            None => inherited::open(passed, bind)
                .unwrap_or_else(|| ListenSocket::open(bind, &leaving))
                .map(Arc::new),
        };
        match socket {
            Ok(socket) => {
                let name = listener.name.as_str().into();
                let open = Open { socket, listener: ids.get(&listener.name), name };
                bound.push(Bound { bind: bind.clone(), open });
            }
            Err(problem) => problems.push(Problem {
                listener: listener.name.clone(),
                bind: describe(bind),
                problem,
            }),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let keepalives = listeners
        .iter()
        .flat_map(|listener| std::iter::repeat_n(listener.keepalive, listener.bind.len()));
    for (bound, keepalive) in bound.iter().zip(keepalives) {
        bound.open.socket.set_keepalive(keepalive);
    }
    Ok(bound)
}

/// For each wanted address the socket in force that it keeps, if any: its own listener's first,
/// then any other's that nobody else keeps.
fn keep(wanted: &[(&ListenerPlan, &Bind)], old: &[Bound]) -> Vec<Option<Arc<ListenSocket>>> {
    let mut free: Vec<&Bound> = old.iter().collect();
    let mut kept = vec![None; wanted.len()];
    for own in [true, false] {
        for ((listener, bind), kept) in wanted.iter().zip(&mut kept) {
            let fits =
                |old: &&Bound| old.bind == **bind && (!own || *old.open.name == *listener.name);
            if let (None, Some(at)) = (&*kept, free.iter().position(fits)) {
                *kept = Some(Arc::clone(&free.swap_remove(at).open.socket));
            }
        }
    }
    kept
}
