//! A policy outside of the balancer, as bad as they come: it answers soon or late, well or badly,
//! or never.
//!
//! Which pools have one is drawn apart from everything else, so that a seed's world is the same
//! but for that.

use std::time::Duration;

use fairlead_balance::{hash, Random};
use fairlead_flow::{Question, Ticket, Verdict};
use fairlead_model::backend::Slot;
use fairlead_model::plan::{Millis, Plan, PythonPlan};

use crate::setting::{between, one_in};

/// One in so many pools has a policy outside.
const RARE: usize = 4;

/// Gives some pools of a world a policy outside; the same ones in each of its plans.
pub(crate) fn draw(plan: &mut Plan, seed: u64) {
    for pool in &mut plan.pools {
        let mut random = Random::new(seed ^ hash::of(pool.name.as_bytes()));
        let python = PythonPlan {
            name: "drawn:Policy".into(),
            timeout: Millis(5 + random.next() % 60),
            body_prefix: [0, 0, 16, 4_096][random.below(4)],
        };
        pool.python = one_in(&mut random, RARE).then_some(python);
    }
}

/// The questions of one worker that are to be answered.
#[derive(Debug, Default)]
pub(crate) struct Questions(Vec<Option<(Ticket, Verdict)>>);

impl Questions {
    /// Takes a question: its number, and when it is answered. `None` if nobody takes it, and the
    /// number without a time if nobody ever answers.
    pub(crate) fn take(
        &mut self,
        ticket: Ticket,
        question: &Question<'_>,
        random: &mut Random,
    ) -> Option<(usize, Option<Duration>)> {
        if one_in(random, 10) {
            return None;
        }
        let verdict = match random.below(10) {
            0 => Verdict::Failed,
            1 => Verdict::Abstained,
            // Who was not offered, or doesn't exist.
            2 => Verdict::Chosen(Slot(random.below(9) as u32)),
            _ => Verdict::Chosen(question.candidates[random.below(question.candidates.len())]),
        };
        self.0.push(Some((ticket, verdict)));
        let time = match random.below(10) {
            0 => None,
            1 | 2 => Some(between(random, 1, 150)),
            _ => Some(Duration::from_micros(random.next() % 2_000)),
        };
        Some((self.0.len() - 1, time))
    }

    /// The answer to a question.
    pub(crate) fn answer(&mut self, number: usize) -> Option<(Ticket, Verdict)> {
        self.0.get_mut(number)?.take()
    }
}
