//! The class `Seat`: a thread of Python at the desk of a pool's policy.
//!
//! The thread waits here without the interpreter's lock, and takes it again once for all that it
//! finds.

use std::net::SocketAddr;
use std::time::Duration;

use fairlead_engine::{Answer, Asked};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::balancer::seconds;

/// How long a wait may last before signals are looked at.
const SLICE: Duration = Duration::from_millis(500);

/// Stands for no preference among answers; all else below 0 stands for a failure.
const ABSTAINED: i64 = -1;

/// A question as Python gets it: candidates, how many are in flight to each, the listener, the
/// client's address and port, attempts before, head, beginning of the body, seconds left.
type Question<'py> = (
    Vec<u32>,
    Vec<u32>,
    String,
    Option<(String, u16)>,
    u32,
    Bound<'py, PyBytes>,
    Bound<'py, PyBytes>,
    f64,
);

fn shown(py: Python<'_>, asked: Asked) -> Question<'_> {
    let address = |client: SocketAddr| (client.ip().to_canonical().to_string(), client.port());
    (
        asked.candidates,
        asked.active,
        asked.listener,
        asked.client.map(address),
        asked.attempts,
        PyBytes::new(py, &asked.head),
        PyBytes::new(py, &asked.body),
        asked.left.as_secs_f64(),
    )
}

/// A place at the desk of one pool's policy.
#[pyclass(frozen, module = "fairlead._engine")]
pub(crate) struct Seat {
    seat: fairlead_engine::Seat,
}

impl Seat {
    pub(crate) fn new(seat: fairlead_engine::Seat) -> Self {
        Seat { seat }
    }
}

#[pymethods]
impl Seat {
    fn take<'py>(&self, py: Python<'py>, timeout: f64) -> PyResult<Option<Vec<Question<'py>>>> {
        let timeout = seconds(timeout)?.min(SLICE);
        let taken = py.detach(|| self.seat.take(timeout));
        Ok(taken.map(|taken| taken.into_iter().map(|asked| shown(py, asked)).collect()))
    }

    #[expect(clippy::needless_pass_by_value, reason = "the form that a list comes in")]
    fn answer(&self, answers: Vec<(usize, i64)>) {
        let said = |number: i64| match u32::try_from(number) {
            Ok(slot) => Answer::Chosen(slot),
            Err(_) if number == ABSTAINED => Answer::Abstained,
            Err(_) => Answer::Failed,
        };
        let answers: Vec<_> = answers.iter().map(|(at, number)| (*at, said(*number))).collect();
        self.seat.answer(&answers);
    }

    fn fail_pick(&self, why: &str) {
        self.seat.fail_pick(why);
    }

    fn backends<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.seat.backends())
    }

    fn asked_about<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.seat.asked_about())
    }

    fn configuration(&self) -> usize {
        self.seat.configuration()
    }

    #[expect(clippy::needless_pass_by_value, reason = "the form that a list comes in")]
    fn set_scores(&self, scores: Vec<u16>) {
        self.seat.set_scores(&scores);
    }

    fn fail_scores(&self, why: &str) {
        self.seat.fail_scores(why);
    }

    fn leave(&self) {
        self.seat.leave();
    }
}
