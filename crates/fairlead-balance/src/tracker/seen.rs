//! What others see of a tracker.

use fairlead_model::health::Health;
use fairlead_model::moment::Moment;

use crate::standing::Standing;
use crate::tracker::{Rules, Tracker};

impl Tracker {
    /// What is believed now.
    pub fn health(&self) -> Health {
        self.health
    }

    /// When that began; `None` if nothing has changed yet.
    pub fn since(&self) -> Option<Moment> {
        self.since
    }

    /// Why; empty if nothing has changed yet.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// Whether it was down in this outage.
    pub(crate) fn has_fallen(&self) -> bool {
        self.fell
    }

    /// Whether silence on what was sent then is an old story: it has come back from that outage
    /// since, or another trial has begun, which is to tell.
    pub(crate) fn is_old_news(&self, sent: Moment) -> bool {
        self.trust.is_back_since(sent) || self.trials.has_one_begun_after(sent)
    }

    /// Where it stands among the backends of its group.
    pub(crate) fn standing(&self) -> Standing {
        match self.health {
            Health::Unknown | Health::Healthy => Standing::Well,
            Health::Suspect if self.trust.is_lost() => Standing::Distrusted,
            Health::Suspect if self.since.is_some_and(|since| self.trust.was_just_back(since)) => {
                Standing::Relapsing
            }
            Health::Suspect => Standing::Suspect,
            Health::Down if self.ejected => Standing::Ejected,
            Health::Down => Standing::Down,
        }
    }

    /// Whether a trial request is under way.
    pub fn on_trial(&self) -> bool {
        self.trials.is_out()
    }

    /// Whether a request that went well would change anything here.
    pub fn forgivable(&self, rules: &Rules) -> bool {
        match self.health {
            Health::Unknown => true,
            Health::Healthy => self.traffic_failures > 0,
            Health::Suspect => self.traffic_failures > 0 || !self.check_objects(rules),
            Health::Down => self.trials.has_one(),
        }
    }
}
