//! When a worker passes on its lines of the access log: at once after a pause, otherwise a few
//! times a second or when there are many. So a person who watches sees each line at once, and
//! under load the writer isn't woken for each.

use std::sync::Arc;
use std::time::Duration;

use fairlead_flow::{Flow, Snapshot};
use fairlead_model::moment::Moment;

use crate::log::Offered;
use crate::worker::Common;

/// The shortest time between two passes, for people.
const PAUSE: Duration = Duration::from_millis(50);

/// How soon to try again when somebody else was just being served.
const AGAIN: Duration = Duration::from_millis(1);

/// So many bytes are passed on whatever the time: some two hundred lines.
const MANY_BYTES: usize = 64 * 1024;

/// How often the time of day is looked at, since somebody may set it.
const CLOCK_EVERY: Duration = Duration::from_secs(1);

/// Where a worker's lines go.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// `None`: there are none.
    to: Option<Arc<str>>,
    /// Not passed on before.
    from: Moment,
    /// The last ones were not taken: nobody is to be asked for each turn.
    refused: bool,
    clock_from: Moment,
}

impl Lines {
    /// Another configuration comes into force.
    pub(super) fn direct(&mut self, flow: &mut Flow, common: &Common, snapshot: &Snapshot) {
        let to = snapshot.access_log().map(|plan| &*plan.to);
        if self.to.as_deref() != to {
            self.pass_last_on(flow, common);
            self.to = to.map(Arc::from);
        }
        flow.set_wall_clock(common.clock.nanos_of_day_at_zero());
    }

    /// Passes on what there is, if it is time.
    #[inline]
    pub(super) fn pass_on(&mut self, flow: &mut Flow, common: &Common, now: Moment) {
        if now >= self.clock_from {
            self.clock_from = now + CLOCK_EVERY;
            flow.set_wall_clock(common.clock.nanos_of_day_at_zero());
        }
        if self.to.is_some() {
            self.pass_on_to(flow, common, now);
        }
    }

    fn pass_on_to(&mut self, flow: &mut Flow, common: &Common, now: Moment) {
        let waiting = flow.log_waiting();
        let many = waiting >= MANY_BYTES && !self.refused;
        if waiting == 0 || now < self.from && !many {
            return;
        }
        let Some(to) = &self.to else { return };
        let offered = common.log.offer(to, flow);
        self.refused = offered == Offered::Full;
        self.from = now + if offered == Offered::Busy { AGAIN } else { PAUSE };
        common.log.lose(flow.take_log_lost());
    }

    /// Passes on the last lines for where they go now.
    pub(super) fn pass_last_on(&self, flow: &mut Flow, common: &Common) {
        if let Some(to) = &self.to {
            common.log.take_last(to, flow);
            common.log.lose(flow.take_log_lost());
        }
    }

    /// When it wants to be asked again.
    pub(super) fn deadline(&self, flow: &Flow) -> Option<Moment> {
        (self.to.is_some() && flow.log_waiting() > 0).then_some(self.from)
    }
}
