//! The class `Seat`: a thread of Python at the desk of a pool's policy.
//!
//! The thread waits here without the interpreter's lock, and takes it again once for all that it
//! finds.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::balancer::seconds;

/// How long a wait may last before signals are looked at.
const SLICE: Duration = Duration::from_millis(500);

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
    fn rest(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let timeout = seconds(timeout)?.min(SLICE);
        Ok(py.detach(|| self.seat.rest(timeout)))
    }

    fn backends<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.seat.backends())
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
