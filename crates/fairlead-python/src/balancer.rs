//! The class `Engine`.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use fairlead_engine::{
    ChaosRefused, ChaosWanted, Dialect, Heed, Io, Problem, StandIn, Unknown, Wished,
};
use fairlead_model::backend::Wish;
use fairlead_model::chaos::{Fault, WHOLE};
use fairlead_model::plan::Plan;
use pyo3::exceptions::{PyException, PyKeyError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::policy::Seat;

/// The highest weight that the interface knows.
const WEIGHT_MAX: i64 = 256;

/// How long a wait may last before signals are looked at (Ctrl-C).
const SLICE: Duration = Duration::from_millis(100);

/// Longer than any wait: seconds that certainly fit into a `Duration` and an `Instant`.
const LONGEST: f64 = 1e9;

pyo3::create_exception!(
    fairlead._engine,
    EngineError,
    PyException,
    "A plan can't be put in force; nothing has changed."
);

/// A load balancer in this process.
#[pyclass(frozen, module = "fairlead._engine")]
#[expect(clippy::struct_field_names, reason = "it is Python's name for what the field is")]
pub(crate) struct Engine {
    // First: their threads have to end before the engine that they ask.
    heed: OnceLock<Heed>,
    stand_in: OnceLock<StandIn>,
    engine: Arc<fairlead_engine::Engine>,
}

/// A wish as Python gets it: pool, backend, state, weight.
type WishedRow = (String, String, Option<&'static str>, Option<u16>);

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (workers = 0, io = "auto", batch_from = None))]
    fn new(workers: usize, io: &str, batch_from: Option<usize>) -> PyResult<Self> {
        let io = Io::parse(io)
            .ok_or_else(|| PyValueError::new_err("io: expected epoll, uring or auto"))?;
        let engine = fairlead_engine::Engine::new(workers)
            .map_err(|error| PyOSError::new_err(error.to_string()))?;
        let engine = Arc::new(engine.with_io(io, batch_from));
        Ok(Engine { heed: OnceLock::new(), stand_in: OnceLock::new(), engine })
    }

    fn apply(&self, py: Python<'_>, plan: &[u8]) -> PyResult<()> {
        let problems = py.detach(|| {
            let plan: Plan = serde_json::from_slice(plan)
                .map_err(|error| vec![Problem::general(format!("not a plan: {error}"))])?;
            self.engine.apply(plan)
        });
        problems.map_err(|problems| EngineError::new_err(describe(&problems)))
    }

    fn inherit(&self, name: String, number: i32) -> PyResult<String> {
        self.engine.inherit(name, number).map_err(PyOSError::new_err)
    }

    fn watch(&self, py: Python<'_>, to: &str, every: f64) -> PyResult<()> {
        let every = seconds(every)?;
        let started = py.detach(|| self.engine.watch(to, every));
        started.map_err(|error| PyOSError::new_err(error.to_string()))
    }

    fn heed_signals(&self, timeout: f64, manager: &str) -> PyResult<i32> {
        let started = Heed::start(Arc::clone(&self.engine), seconds(timeout)?, manager);
        let started = started.map_err(|error| PyOSError::new_err(error.to_string()))?;
        let taken = self.heed.set(started);
        taken.map_err(|_| PyValueError::new_err("they are heeded already"))?;
        Ok(self.heed.get().map_or(-1, Heed::input))
    }

    fn pass_signals_on(&self, number: i32) -> PyResult<()> {
        let passed = self.heed.get().map_or(Ok(()), |heed| heed.pass_on_to(number));
        passed.map_err(|error| PyOSError::new_err(error.to_string()))
    }

    fn heard(&self) {
        if let Some(heed) = self.heed.get() {
            heed.heard();
        }
    }

    fn prepare_end(&self, timeout: f64, files: Vec<PathBuf>) -> PyResult<()> {
        let timeout = seconds(timeout)?;
        if let Some(heed) = self.heed.get() {
            heed.prepare(timeout, files);
        }
        Ok(())
    }

    fn stand_in(&self, number: i32, about: Vec<u8>) -> PyResult<i32> {
        let started = StandIn::start(Arc::clone(&self.engine), number, about);
        let started = started.map_err(|error| PyOSError::new_err(error.to_string()))?;
        let taken = self.stand_in.set(started);
        taken.map_err(|_| PyValueError::new_err("there is one already"))?;
        Ok(self.stand_in.get().map_or(-1, StandIn::asks))
    }

    #[pyo3(signature = (number, hosts))]
    fn stand_at(&self, py: Python<'_>, number: Option<i32>, hosts: Vec<String>) -> PyResult<()> {
        let Some(stand_in) = self.stand_in.get() else { return Ok(()) };
        let stood = py.detach(|| stand_in.stand_at(number.map(|number| (number, hosts))));
        stood.map_err(|error| PyOSError::new_err(error.to_string()))
    }

    fn present(&self, py: Python<'_>, about: Vec<u8>) -> Vec<WishedRow> {
        let Some(stand_in) = self.stand_in.get() else { return Vec::new() };
        py.detach(|| stand_in.present(about)).into_iter().map(shown).collect()
    }

    fn addresses(&self) -> Vec<(String, String)> {
        self.engine.addresses()
    }

    fn wait_first_checks(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let end = Instant::now() + seconds(timeout)?;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if py.detach(|| self.engine.wait_first_checks(left.min(SLICE))) {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
            py.check_signals()?;
        }
    }

    fn start_accepting(&self, py: Python<'_>) {
        py.detach(|| self.engine.start_accepting());
    }

    fn status<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let status = py.detach(|| self.engine.status());
        PyBytes::new(py, &status)
    }

    fn pool_status<'py>(&self, py: Python<'py>, name: &str) -> Option<Bound<'py, PyBytes>> {
        let status = py.detach(|| self.engine.pool_status(name))?;
        Some(PyBytes::new(py, &status))
    }

    fn metrics<'py>(&self, py: Python<'py>, openmetrics: bool) -> Bound<'py, PyBytes> {
        let dialect = if openmetrics { Dialect::OpenMetrics } else { Dialect::Prometheus };
        let text = py.detach(|| self.engine.metrics(dialect));
        PyBytes::new(py, text.as_bytes())
    }

    fn set_state(&self, pool: &str, backend: &str, state: &str) -> PyResult<bool> {
        let known = [Wish::Enabled, Wish::Draining, Wish::Disabled];
        let wish = known.into_iter().find(|wish| wish.name() == state).ok_or_else(|| {
            PyValueError::new_err(format!("`{state}` is not enabled, draining or disabled"))
        })?;
        self.engine.set_state(pool, backend, wish).map_err(key_error)
    }

    fn set_weight(&self, pool: &str, backend: &str, weight: i64) -> PyResult<bool> {
        if !(0..=WEIGHT_MAX).contains(&weight) {
            let text = format!("a weight is a number from 0 to {WEIGHT_MAX}, not {weight}");
            return Err(PyValueError::new_err(text));
        }
        self.engine.set_weight(pool, backend, weight as u16).map_err(key_error)
    }

    fn forget_health(&self, pool: &str, backend: &str) -> PyResult<bool> {
        self.engine.forget_health(pool, backend).map_err(key_error)
    }

    fn report_check(&self, pool: &str, backend: &str, passed: bool, what: &str) -> PyResult<()> {
        self.engine.report_check(pool, backend, passed, what).map_err(key_error)
    }

    fn sit_down(&self, pool: &str, picks: bool) -> PyResult<Seat> {
        self.engine.sit_down(pool, picks).map(Seat::new).map_err(key_error)
    }

    #[expect(clippy::too_many_arguments, reason = "named, in Python")]
    #[pyo3(signature = (pool, backend, *, fault, share, seconds, delay, checks))]
    fn play_chaos(
        &self,
        py: Python<'_>,
        pool: String,
        backend: String,
        fault: &str,
        share: f64,
        seconds: f64,
        delay: f64,
        checks: bool,
    ) -> PyResult<()> {
        let known = Fault::ALL.into_iter().find(|known| known.name() == fault);
        let fault = known.ok_or_else(|| PyValueError::new_err(format!("no fault `{fault}`")))?;
        if !(0.0..=1.0).contains(&share) {
            return Err(PyValueError::new_err(format!("{share} is not a share of 0 to 1")));
        }
        let share = (share * f64::from(WHOLE)).round() as u32;
        let (long, delay) = (self::seconds(seconds)?, self::seconds(delay)?);
        let wanted = ChaosWanted { pool, backend, fault, share, long, delay, checks };
        py.detach(|| self.engine.play_chaos(wanted)).map_err(refused)
    }

    fn end_chaos(&self, py: Python<'_>) -> bool {
        py.detach(|| self.engine.end_chaos())
    }

    fn chaos<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let status = py.detach(|| self.engine.chaos())?;
        Some(PyBytes::new(py, &status))
    }

    fn reopen_log(&self) {
        self.engine.reopen_log();
    }

    fn event_fd(&self) -> i32 {
        self.engine.event_fd()
    }

    fn take_events<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.engine.take_events().iter().map(|event| PyBytes::new(py, event)).collect()
    }

    fn stop(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let timeout = seconds(timeout)?;
        let heed = self.heed.get();
        let finished = py.detach(|| {
            heed.inspect(|heed| heed.begun());
            let finished = self.engine.stop(timeout);
            if let Some(stand_in) = self.stand_in.get() {
                stand_in.end();
            }
            heed.inspect(|heed| heed.stopped(finished));
            finished
        });
        // Whoever is here has the interpreter again.
        heed.inspect(|heed| heed.back());
        Ok(finished)
    }
}

/// How many descriptors this process may have.
#[pyfunction]
pub(crate) fn file_limit() -> u64 {
    fairlead_engine::file_limit()
}

fn shown(wished: Wished) -> WishedRow {
    let Wished { pool, backend, state, weight } = wished;
    (pool, backend, state.map(Wish::name), weight)
}

/// Problems of addresses as a JSON list; one that isn't about an address in its own words.
fn describe(problems: &[Problem]) -> String {
    match problems {
        [general] if general.listener.is_empty() => general.problem.clone(),
        list => serde_json::to_string(list).expect("strings can always be written"),
    }
}

pub(crate) fn seconds(timeout: f64) -> PyResult<Duration> {
    if timeout.is_nan() || timeout < 0.0 {
        return Err(PyValueError::new_err(format!("{timeout} is not a time to wait")));
    }
    Ok(Duration::from_secs_f64(timeout.min(LONGEST)))
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err wants")]
fn refused(refused: ChaosRefused) -> PyErr {
    EngineError::new_err((refused.code(), refused.to_string()))
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err wants")]
fn key_error(unknown: Unknown) -> PyErr {
    PyKeyError::new_err(unknown.to_string())
}
