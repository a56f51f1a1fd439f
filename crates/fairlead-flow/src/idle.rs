//! Connections kept to one backend: which to use again, which to close.
//!
//! Rules of this file
//! 1. The one used last is used next: it is the least likely to have been closed, and the others
//!    grow old enough to be closed when load falls.
//! 2. What a backend has shown lately counts. A restart closes connections of whatever age, so a very
//!    short life is forgotten after a minute without another.
//! 3. How long a backend lets a connection idle is learned: from what it announces
//!    (`Keep-Alive: timeout=`) and from connections that it closed while they idled. A connection
//!    near that age is not used.
//! 4. A request that may not be sent twice needs more: a connection that idled much less than any
//!    that was closed on us (a quarter, and at most half a second while nothing is known) and not
//!    longer than others have done well, so that a close can't cross the request on its way.
//! 5. What a backend counts as idle we don't see: it gives an answer to its kernel, and is done with
//!    it before we have read it to its end, long before where the client or the way is slow. So for
//!    rule 4 an idle time begins with the answer before it, and nothing is learned from one of which
//!    that makes a difference.

use std::time::Duration;

use fairlead_model::limits::IDLE_PER_BACKEND;
use fairlead_model::moment::Moment;

use crate::slab::Key;

/// What is assumed of a backend that has shown nothing yet. gunicorn's default is 2 s, Node's and
/// uvicorn's 5 s, Apache's 5 s, nginx's 75 s.
const ASSUMED_LIFE: Duration = Duration::from_secs(2);

/// How long a connection may have idled that a request which must not be sent twice goes out on,
/// while nothing longer has been seen to go well.
const UNPROVED: Duration = Duration::from_millis(50);

/// Lives below this are seldom a setting (no known server's default is shorter), and are forgotten
/// after [`REMEMBERED`].
const UNUSUAL_LIFE: Duration = Duration::from_secs(1);
const REMEMBERED: Duration = Duration::from_secs(60);

/// What a request asks of a kept connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// Any that is not too old: the request can be sent again.
    Any,
    /// Only one that can't be closing right now: the request must not be sent twice.
    Sure,
    /// None: a fresh one.
    Never,
}

/// When a connection has begun to idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rest {
    /// As early as that: when the answer before began.
    pub(crate) earliest: Moment,
    /// As late as that: when we had read it to its end.
    pub(crate) latest: Moment,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    link: Key,
    rest: Rest,
}

/// The connections kept to one backend by one worker.
#[derive(Debug)]
pub(crate) struct Idle {
    kept: Vec<Kept>,
    /// The shortest idle life that the backend has shown or announced.
    life: Option<Duration>,
    /// When that was shown last.
    shown: Moment,
    /// The longest idle life that has been seen to go well.
    proved: Duration,
}

impl Idle {
    pub(crate) fn new() -> Self {
        Idle { kept: Vec::new(), life: None, shown: Moment::ZERO, proved: UNPROVED }
    }

    /// Keeps `link`. Answers with one to close instead, if there are too many.
    pub(crate) fn keep(&mut self, link: Key, rest: Rest) -> Option<Key> {
        let closed = (self.kept.len() >= IDLE_PER_BACKEND).then(|| self.kept.remove(0).link);
        self.kept.push(Kept { link, rest });
        closed
    }

    /// Takes the connection to use, if there is one that serves.
    pub(crate) fn take(&mut self, reuse: Reuse, keepalive: Duration, now: Moment) -> Option<Key> {
        if self.life.is_some_and(|life| life < UNUSUAL_LIFE) && now.since(self.shown) > REMEMBERED {
            self.life = None;
        }
        let last = self.kept.last()?.rest;
        let (since, oldest) = match reuse {
            Reuse::Never => return None,
            Reuse::Any => {
                let oldest = self.life.map_or(keepalive, |life| keepalive.min(life.mul_f64(0.9)));
                (last.latest, oldest)
            }
            Reuse::Sure => {
                let oldest = keepalive.min(self.life.unwrap_or(ASSUMED_LIFE) / 4).min(self.proved);
                (last.earliest, oldest)
            }
        };
        // The last one is the youngest: if it is too old, all are.
        if now.since(since) < oldest {
            self.kept.pop().map(|kept| kept.link)
        } else {
            None
        }
    }

    /// Forgets `link`, which is being closed for another reason.
    pub(crate) fn forget(&mut self, link: Key) {
        if let Some(index) = self.kept.iter().rposition(|kept| kept.link == link) {
            self.kept.remove(index);
        }
    }

    /// The backend closed `link`, which was kept.
    pub(crate) fn closed(&mut self, link: Key, rest: Rest, now: Moment) {
        self.forget(link);
        self.showed(rest, now, now);
    }

    /// The backend closed a connection that was idle until `end`.
    pub(crate) fn showed(&mut self, rest: Rest, end: Moment, now: Moment) {
        let (least, most) = (end.since(rest.latest), end.since(rest.earliest));
        if most <= least + least / 4 {
            self.announced(least, now);
        }
    }

    /// The backend announced, or showed, that it lets connections idle for `life`.
    pub(crate) fn announced(&mut self, life: Duration, now: Moment) {
        match self.life {
            // Shown again, more or less.
            Some(known) if life > known + known / 4 => {}
            known => {
                self.life = Some(known.map_or(life, |known| known.min(life)));
                self.shown = now;
            }
        }
    }

    /// A connection that had idled for `age` carried an answer.
    #[inline]
    pub(crate) fn proved(&mut self, age: Duration) {
        if age > self.proved {
            self.proved = age;
        }
    }

    /// All of them, to be closed.
    pub(crate) fn take_all(&mut self) -> Vec<Key> {
        self.kept.drain(..).map(|kept| kept.link).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(crate) fn links(&self) -> Vec<Key> {
        self.kept.iter().map(|kept| kept.link).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const MINUTE: Duration = Duration::from_secs(60);

    fn link(index: u32) -> Key {
        Key { index, generation: 0 }
    }

    /// The answer before came in one piece.
    fn at(nanos: u64) -> Rest {
        Rest { earliest: Moment(nanos), latest: Moment(nanos) }
    }

    #[test]
    fn the_youngest_is_used_first() {
        let mut idle = Idle::new();
        assert_eq!(idle.keep(link(1), at(0)), None);
        assert_eq!(idle.keep(link(2), at(1)), None);
        assert_eq!(idle.take(Reuse::Any, MINUTE, Moment(2)), Some(link(2)));
        assert_eq!(idle.take(Reuse::Never, MINUTE, Moment(2)), None);
        assert_eq!(idle.take(Reuse::Any, MINUTE, Moment(61 * SECOND)), None);
    }

    #[test]
    fn a_request_that_must_not_be_sent_twice_gets_only_a_young_one() {
        let mut idle = Idle::new();
        let _ = idle.keep(link(1), at(0));
        assert_eq!(idle.take(Reuse::Sure, MINUTE, Moment(SECOND)), None);
        assert_eq!(idle.take(Reuse::Any, MINUTE, Moment(SECOND)), Some(link(1)));
        let _ = idle.keep(link(1), at(SECOND));
        let quarter = Moment(SECOND + SECOND / 4);
        assert_eq!(idle.take(Reuse::Sure, MINUTE, quarter), None, "nobody has shown that yet");
        idle.proved(Duration::from_secs(1));
        assert_eq!(idle.take(Reuse::Sure, MINUTE, quarter), Some(link(1)));
    }

    #[test]
    fn an_announced_or_shown_life_is_respected() {
        let mut idle = Idle::new();
        idle.announced(Duration::from_secs(5), Moment(0));
        let _ = idle.keep(link(1), at(0));
        assert_eq!(idle.take(Reuse::Any, MINUTE, Moment(5 * SECOND)), None);
        idle.closed(link(1), at(0), Moment(2 * SECOND));
        let _ = idle.keep(link(2), at(10 * SECOND));
        assert_eq!(idle.take(Reuse::Sure, MINUTE, Moment(10 * SECOND + SECOND * 6 / 10)), None);
        assert_eq!(idle.take(Reuse::Any, MINUTE, Moment(12 * SECOND)), None);
    }

    #[test]
    fn a_backend_that_closes_early_is_believed_for_as_long_as_it_does() {
        let mut idle = Idle::new();
        let tenth = SECOND / 10;
        idle.closed(link(9), at(0), Moment(tenth));
        let _ = idle.keep(link(1), at(SECOND));
        assert_eq!(idle.take(Reuse::Sure, MINUTE, Moment(SECOND + tenth / 2)), None);
        assert_eq!(idle.take(Reuse::Sure, MINUTE, Moment(SECOND + tenth / 5)), Some(link(1)));
        let later = 62 * SECOND;
        let _ = idle.keep(link(2), at(later));
        assert_eq!(idle.take(Reuse::Any, MINUTE, Moment(later + SECOND)), Some(link(2)));
    }

    #[test]
    fn an_answer_that_was_long_on_its_way_leaves_the_idle_time_open() {
        let (mut idle, tenth) = (Idle::new(), SECOND / 10);
        let rest = Rest { earliest: Moment(0), latest: Moment(SECOND) };
        // It may have idled for a second, or not at all: nothing is known of its backend now.
        idle.closed(link(1), rest, Moment(SECOND + tenth));
        let _ = idle.keep(link(2), rest);
        assert_eq!(idle.take(Reuse::Sure, MINUTE, Moment(SECOND)), None);
        assert_eq!(idle.take(Reuse::Any, MINUTE, Moment(2 * SECOND)), Some(link(2)));
        // For five seconds or six: that makes no difference.
        idle.showed(rest, Moment(6 * SECOND), Moment(6 * SECOND));
        let _ = idle.keep(link(3), at(10 * SECOND));
        assert_eq!(idle.take(Reuse::Any, MINUTE, Moment(15 * SECOND)), None);
        assert_eq!(idle.take(Reuse::Any, MINUTE, Moment(14 * SECOND)), Some(link(3)));
    }

    #[test]
    fn the_oldest_gives_way_when_there_are_too_many() {
        let mut idle = Idle::new();
        for index in 0..IDLE_PER_BACKEND as u32 {
            assert_eq!(idle.keep(link(index), at(0)), None);
        }
        assert_eq!(idle.keep(link(9999), at(0)), Some(link(0)));
    }
}
