//! Routes by what they ask of host and path: who can match at all.
//!
//! Hosts are looked up whole and, for routes about all hosts below a domain, label by label. Paths
//! are looked up whole and as prefixes: all prefixes of one path lie on one way through the sorted
//! table, from the last entry that is not behind the path up to shorter and shorter ones.
//!
//! Not here: which of them wins, and what else a route asks for (`route`).

use std::collections::BTreeMap;

use fairlead_model::plan::HostMatch;

/// What a route asks of the path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// Nothing, or nothing that a table can tell.
    Any,
    /// It is this.
    Exact(&'a [u8]),
    /// It begins so.
    Prefix(&'a [u8]),
}

/// Routes by host. Every list of indices ascends.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: BTreeMap<Box<[u8]>, Paths>,
    /// By domain, with the dot before it: `.example.com`.
    below: BTreeMap<Box<[u8]>, Paths>,
    any: Paths,
}

/// Routes of one host by path.
#[derive(Debug, Default)]
pub(super) struct Paths {
    any: Vec<u32>,
    exact: BTreeMap<Box<[u8]>, Vec<u32>>,
    /// Sorted, once all are there.
    prefixes: Vec<Prefix>,
}

#[derive(Debug)]
struct Prefix {
    text: Box<[u8]>,
    indices: Vec<u32>,
    /// The longest other one that this one begins with.
    shorter: Option<u32>,
}

impl Hosts {
    /// Where routes about these hosts belong.
    pub(super) fn paths_of(&mut self, host: Option<&HostMatch>) -> &mut Paths {
        let key = |text: String| text.to_ascii_lowercase().into_bytes().into_boxed_slice();
        match host {
            None => &mut self.any,
            Some(HostMatch::Exact(host)) => self.exact.entry(key(host.clone())).or_default(),
            Some(HostMatch::Below(host)) => self.below.entry(key(format!(".{host}"))).or_default(),
        }
    }

    /// All routes are there.
    pub(super) fn settle(&mut self) {
        self.any.settle();
        self.exact.values_mut().chain(self.below.values_mut()).for_each(Paths::settle);
    }

    /// Tells the indices of all routes that can match this host (in small letters) and path.
    pub(super) fn each(&self, host: &[u8], path: &[u8], mut tell: impl FnMut(&[u32])) {
        self.any.each(path, &mut tell);
        if let Some(paths) = self.exact.get(host) {
            paths.each(path, &mut tell);
        }
        if !self.below.is_empty() {
            // A domain isn't below itself.
            let dots = (1..host.len()).filter(|at| host[*at] == b'.');
            for paths in dots.filter_map(|dot| self.below.get(&host[dot..])) {
                paths.each(path, &mut tell);
            }
        }
    }
}

impl Paths {
    /// Adds a route; they come in order.
    pub(super) fn add(&mut self, place: Place<'_>, index: u32) {
        match place {
            Place::Any => self.any.push(index),
            Place::Exact(path) => self.exact.entry(path.into()).or_default().push(index),
            Place::Prefix(path) => {
                let (text, indices) = (path.into(), vec![index]);
                self.prefixes.push(Prefix { text, indices, shorter: None });
            }
        }
    }

    /// Sorts the prefixes, joins equal ones, and finds for each the longest that it begins with.
    fn settle(&mut self) {
        let mut all = std::mem::take(&mut self.prefixes);
        // Stable: indices of equal ones stay in order.
        all.sort_by(|one, other| one.text.cmp(&other.text));
        for mut next in all {
            if let Some(last) = self.prefixes.last_mut().filter(|last| last.text == next.text) {
                last.indices.append(&mut next.indices);
                continue;
            }
            let mut shorter = self.prefixes.len().checked_sub(1);
            while let Some(at) = shorter {
                if next.text.starts_with(&self.prefixes[at].text) {
                    break;
                }
                shorter = self.prefixes[at].shorter.map(|at| at as usize);
            }
            next.shorter = shorter.map(|at| at as u32);
            self.prefixes.push(next);
        }
    }

    fn each(&self, path: &[u8], tell: &mut impl FnMut(&[u32])) {
        if !self.any.is_empty() {
            tell(&self.any);
        }
        if let Some(indices) = self.exact.get(path) {
            tell(indices);
        }
        let behind = self.prefixes.partition_point(|prefix| &*prefix.text <= path);
        let mut next = behind.checked_sub(1);
        while let Some(prefix) = next.and_then(|at| self.prefixes.get(at)) {
            if path.starts_with(&prefix.text) {
                tell(&prefix.indices);
            }
            next = prefix.shorter.map(|at| at as usize);
        }
    }
}
