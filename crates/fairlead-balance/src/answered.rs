//! When what a backend has answered was asked, as one worker has seen it and all may read.
//!
//! Whether a request that waits is on a backend that has fallen silent can be told from what others
//! have answered that was asked later. A worker may have nothing to compare it with: of two, one may
//! get nearly all connections. So each writes down what it sees, in a place of its own, and whoever
//! has a request that waits reads them all.

use fairlead_model::moment::Moment;

use crate::counter::Counter;

/// What kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It may be made twice at once: GET, HEAD, OPTIONS.
    Safe,
    /// It may not. All that tcp carries is of this kind.
    Other,
}

/// What one worker has seen of one backend. Only that worker writes.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// When the latest was asked of those that it has answered, by kind.
    asked: [Counter; 2],
    /// The same of those whose answers were whole.
    whole: Counter,
    /// When its last answer began.
    began: Counter,
}

impl Answered {
    #[inline]
    pub(crate) fn note(&self, kind: Kind, asked: Moment, now: Moment) {
        raise(&self.asked[kind as usize], asked);
        self.began.set(now.0);
    }

    #[inline]
    pub(crate) fn note_whole(&self, asked: Moment) {
        raise(&self.whole, asked);
    }

    /// When the latest was asked that was answered: of this kind, or of any.
    pub(crate) fn latest(&self, kind: Option<Kind>) -> Moment {
        let of = |kind: Kind| Moment(self.asked[kind as usize].read());
        kind.map_or_else(|| of(Kind::Safe).max(of(Kind::Other)), of)
    }

    pub(crate) fn latest_whole(&self) -> Moment {
        Moment(self.whole.read())
    }

    pub(crate) fn began(&self) -> Moment {
        Moment(self.began.read())
    }
}

/// The answer to an old request may come after that to a later one.
#[inline]
fn raise(latest: &Counter, to: Moment) {
    if to.0 > latest.read() {
        latest.set(to.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_answer_says_nothing_of_what_was_asked_since() {
        let answered = Answered::default();
        answered.note(Kind::Other, Moment(100), Moment(2_000));
        assert_eq!(answered.latest(None), Moment(100));
        // Not even if it comes after one that was asked later.
        answered.note(Kind::Other, Moment(105), Moment(2_001));
        answered.note(Kind::Other, Moment(101), Moment(2_002));
        assert_eq!((answered.latest(None), answered.began()), (Moment(105), Moment(2_002)));
        answered.note_whole(Moment(105));
        answered.note_whole(Moment(101));
        assert_eq!(answered.latest_whole(), Moment(105));
    }

    #[test]
    fn only_the_like_is_compared() {
        let answered = Answered::default();
        answered.note(Kind::Safe, Moment(7), Moment(8));
        assert_eq!(answered.latest(None), Moment(7));
        assert_eq!(answered.latest(Some(Kind::Safe)), Moment(7));
        assert_eq!(answered.latest(Some(Kind::Other)), Moment::ZERO);
    }
}
