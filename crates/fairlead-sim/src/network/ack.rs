//! What was acknowledged: a kernel's books about one direction of a connection.
//!
//! Rules of this file
//! 1. A host whose kernel runs acknowledges what arrives, [`DELAYED`] later at most, whatever its
//!    processes do; an answer acknowledges at once what came before it.
//! 2. What vanishes on its way, or whose acknowledgement does, stays unacknowledged and is sent
//!    again: after [`FIRST_AGAIN`], then after twice as long each time.

use std::collections::VecDeque;
use std::time::Duration;

use fairlead_flow::PathState;
use fairlead_model::moment::Moment;

/// How long an acknowledgement may wait for an answer to go with, as in Linux.
const DELAYED: Duration = Duration::from_millis(40);

/// When the first retransmission follows, beyond the round trip.
const FIRST_AGAIN: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy)]
struct Sending {
    at: Moment,
    /// When its acknowledgement is here, unless the way back is lost.
    acknowledged: Option<Moment>,
    /// The way back was lost when it arrived.
    unheard: bool,
}

/// What one end knows of what it has sent.
#[derive(Debug, Default)]
pub(super) struct Acks {
    sendings: VecDeque<Sending>,
    last: Moment,
    again: u32,
}

impl Acks {
    /// A segment goes out.
    pub(super) fn sent(&mut self, now: Moment) {
        self.sendings.push_back(Sending { at: now, acknowledged: None, unheard: false });
    }

    /// The next segment has arrived, `delay` away; what is said about that is heard unless the way
    /// back is lost.
    pub(super) fn arrived(&mut self, now: Moment, delay: Duration, unheard: bool) {
        let next = self.sendings.iter_mut().find(|sending| sending.acknowledged.is_none());
        if let Some(sending) = next {
            sending.acknowledged = Some(now + delay + DELAYED);
            sending.unheard = unheard;
        }
    }

    /// What had vanished was sent again.
    pub(super) fn resent(&mut self) {
        self.again += 1;
    }

    /// The other end has said something, and with it that it got all that had arrived there.
    pub(super) fn heard(&mut self, now: Moment) {
        self.last = now;
        self.sendings.retain(|sending| sending.acknowledged.is_none());
    }

    /// What a kernel would say now. `lost`: nothing comes back at the moment.
    pub(super) fn state(&mut self, now: Moment, delay: Duration, lost: bool) -> PathState {
        while let Some(first) = self.sendings.front() {
            let Some(when) = first.acknowledged.filter(|when| *when <= now) else { break };
            if first.unheard && lost {
                break;
            }
            self.last = self.last.max(when);
            self.sendings.pop_front();
        }
        let oldest = self.sendings.front().map_or(Duration::ZERO, |first| now.since(first.at));
        let timeouts = retransmissions(oldest, FIRST_AGAIN + delay * 2);
        PathState {
            unacknowledged: self.sendings.len() as u32,
            retransmitted: self.again + timeouts,
            timeouts,
            round_trip: delay * 2,
            quiet: now.since(self.last),
        }
    }
}

/// How often something this old was sent again.
fn retransmissions(age: Duration, first: Duration) -> u32 {
    let mut next = first;
    let mut count = 0;
    while age >= next {
        count += 1;
        next += first * (1 << count.min(16));
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vanishes_is_sent_again_at_growing_intervals() {
        let first = Duration::from_millis(200);
        let after = |millis| retransmissions(Duration::from_millis(millis), first);
        assert_eq!([after(199), after(200), after(599), after(600), after(1_400)], [0, 1, 1, 2, 3]);
    }
}
