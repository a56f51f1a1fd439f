//! The last changes of one backend: when, from what to what, and why.
//!
//! Health and wishes share one list, since people ask "what happened to it", not "who did it". The
//! words of the two don't overlap, so a change says itself which it is.

use std::collections::VecDeque;

use fairlead_model::health::Health;
use fairlead_model::moment::Moment;

/// Changes kept of each backend: two outages with their suspicions and returns, and a little more.
pub const KEPT: usize = 8;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Moment,
    /// Before: a health, or a wish.
    pub from: &'static str,
    /// After.
    pub to: &'static str,
    /// The evidence, or `asked for`.
    pub why: String,
}

/// The last changes, and how many there were of each kind of health.
#[derive(Debug, Default)]
pub struct History {
    changes: VecDeque<Change>,
    /// How often it became what: by `Health as usize`.
    became: [u64; 4],
}

impl History {
    /// Remembers a change of health.
    pub fn health(&mut self, at: Moment, from: Health, to: Health, why: &str) {
        self.became[to as usize] += 1;
        self.add(Change { at, from: from.name(), to: to.name(), why: why.to_owned() });
    }

    /// Remembers a change.
    pub fn add(&mut self, change: Change) {
        if self.changes.len() == KEPT {
            self.changes.pop_front();
        }
        self.changes.push_back(change);
    }

    /// The changes that are kept, oldest first.
    pub fn changes(&self) -> Vec<Change> {
        self.changes.iter().cloned().collect()
    }

    /// How often it became healthy, suspect, down.
    pub fn became(&self) -> [(&'static str, u64); 3] {
        [Health::Healthy, Health::Suspect, Health::Down]
            .map(|health| (health.name(), self.became[health as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_changes_are_kept_and_all_are_counted() {
        let mut history = History::default();
        for number in 0..20 {
            let (from, to) = (Health::Healthy, Health::Suspect);
            history.health(Moment(number), from, to, "check: connect refused, 1 in a row");
        }
        let kept = history.changes();
        assert_eq!((kept.len(), kept[0].at, kept[KEPT - 1].at), (KEPT, Moment(12), Moment(19)));
        assert_eq!((kept[0].from, kept[0].to), ("healthy", "suspect"));
        assert_eq!(history.became(), [("healthy", 0), ("suspect", 20), ("down", 0)]);
    }
}
