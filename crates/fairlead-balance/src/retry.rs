//! May this be sent again? One answer for every failure, from the table of reasons.
//!
//! Rules of this file
//! 1. Once a byte of an answer went to the client, nothing is sent again.
//! 2. What no backend has seen a byte of may always go to another.
//! 3. What a backend has seen, even in part and even unacknowledged, may go again only if its
//!    method is idempotent and its body can be sent once more. With only the way back lost,
//!    POSTs that nobody had acknowledged had been executed (measured).
//! 4. Some failures are never worth another try, whatever the request: `Resend::Never`.
//!
//! Not here: how often (the plan's `retry`), to whom ([`View`](crate::View) with
//! [`Tried`](crate::Tried)), or what HTTP calls idempotent.

use fairlead_model::reason::{Reason, Resend};

/// What is known of a request or connection that failed, over all its attempts so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sendable {
    /// Doing it twice is doing it once.
    pub idempotent: bool,
    /// A byte of it was handed to some backend's connection, in this attempt or an earlier one.
    pub sent_anything: bool,
    /// A byte of an answer was handed to the client.
    pub relayed_anything: bool,
    /// All of it that was sent is still here.
    pub replayable: bool,
}

/// Tells whether it may be sent again after it failed for `reason`.
///
/// ```
/// # use fairlead_balance::{may_resend, Sendable};
/// # use fairlead_model::reason::Reason;
/// let post = Sendable {
///     idempotent: false, sent_anything: false, relayed_anything: false, replayable: true,
/// };
/// assert!(may_resend(Reason::ConnectRefused, &post));
/// assert!(!may_resend(Reason::BackendReset, &Sendable { sent_anything: true, ..post }));
/// ```
pub fn may_resend(reason: Reason, request: &Sendable) -> bool {
    if request.relayed_anything || reason.row().resend == Resend::Never {
        return false;
    }
    !request.sent_anything || (request.idempotent && request.replayable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairlead_model::reason::ALL;

    /// Every combination of the four facts.
    fn requests() -> impl Iterator<Item = Sendable> {
        (0..16_u8).map(|bits| Sendable {
            idempotent: bits & 1 != 0,
            sent_anything: bits & 2 != 0,
            relayed_anything: bits & 4 != 0,
            replayable: bits & 8 != 0,
        })
    }

    #[test]
    fn nothing_goes_again_after_a_relayed_byte_or_for_a_reason_that_forbids_it() {
        for &reason in ALL {
            for request in requests() {
                if request.relayed_anything || reason.row().resend == Resend::Never {
                    assert!(!may_resend(reason, &request), "{reason:?} {request:?}");
                }
            }
        }
    }

    #[test]
    fn what_was_sent_goes_again_only_if_idempotent_and_replayable() {
        for &reason in ALL {
            for request in requests().filter(|request| request.sent_anything) {
                if may_resend(reason, &request) {
                    assert!(request.idempotent && request.replayable, "{reason:?} {request:?}");
                }
            }
        }
    }

    #[test]
    fn what_was_not_sent_goes_again_whatever_it_is() {
        for reason in [
            Reason::ConnectRefused,
            Reason::ConnectTimeout,
            Reason::ConnectFailed,
            Reason::StaleConnection,
            Reason::BackendReset,
            Reason::BackendDown,
        ] {
            for request in requests() {
                if !request.sent_anything && !request.relayed_anything {
                    assert!(may_resend(reason, &request), "{reason:?} {request:?}");
                }
            }
        }
    }

    #[test]
    fn an_earlier_attempt_that_sent_bytes_counts_in_a_later_refusal() {
        let post = Sendable {
            idempotent: false,
            sent_anything: true,
            relayed_anything: false,
            replayable: true,
        };
        assert!(!may_resend(Reason::ConnectRefused, &post));
    }
}
