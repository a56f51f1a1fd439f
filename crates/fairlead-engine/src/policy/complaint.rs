//! What a policy is complained of: the first time at once, then now and then, with a count.
//!
//! A policy that raises for each request would otherwise fill the log of events within a second.

use std::time::Duration;

use fairlead_model::moment::Moment;

/// Between two complaints about one policy.
const PAUSE: Duration = Duration::from_secs(10);

/// Complaints about one policy.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    told: Option<Moment>,
    untold: u64,
    latest: String,
}

impl Complaints {
    /// Takes one; answers what is to be told now, if anything is.
    pub(super) fn add(&mut self, what: &str, now: Moment) -> Option<String> {
        self.note(what);
        if self.told.is_some_and(|told| now < told + PAUSE) {
            self.untold += 1;
            return None;
        }
        self.told = Some(now);
        let untold = std::mem::take(&mut self.untold);
        Some(if untold == 0 { what.to_owned() } else { format!("{what} ({untold} more before)") })
    }

    /// Takes one that is told anyway.
    pub(super) fn note(&mut self, what: &str) {
        what.clone_into(&mut self.latest);
    }

    /// The latest one, told or not; empty before the first.
    pub(super) fn latest(&self) -> &str {
        &self.latest
    }

    /// Somebody else is complained of from now on.
    pub(super) fn clear(&mut self) {
        *self = Complaints::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_and_then_one_in_ten_seconds_with_a_count() {
        let mut complaints = Complaints::default();
        let at = |seconds| Moment::ZERO + Duration::from_secs(seconds);
        assert_eq!(complaints.add("raised", at(1)).as_deref(), Some("raised"));
        assert_eq!(complaints.add("raised", at(2)), None);
        assert_eq!(complaints.add("late", at(10)), None);
        assert_eq!(complaints.latest(), "late");
        assert_eq!(complaints.add("raised", at(11)).as_deref(), Some("raised (2 more before)"));
        assert_eq!(complaints.add("raised", at(21)).as_deref(), Some("raised"));
        complaints.clear();
        assert_eq!(complaints.latest(), "");
    }
}
