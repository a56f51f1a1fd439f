//! Say it in Python: the native module `fairlead._engine`.
//!
//! Conversions only. Whatever takes time runs without the interpreter's lock; a panic becomes an
//! exception at the border (`PyO3` sees to that). `python/fairlead/_engine.pyi` is the documentation
//! of everything here.

mod balancer;
mod grammar;
mod policy;
mod simulate;
mod toml;

use pyo3::prelude::*;

/// `CPython`'s own allocations are not touched by it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    fairlead_engine::give_back_memory();
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    module.add("EngineError", module.py().get_type::<balancer::EngineError>())?;
    module.add_class::<balancer::Engine>()?;
    module.add_class::<policy::Seat>()?;
    module.add_function(wrap_pyfunction!(balancer::file_limit, module)?)?;
    module.add_function(wrap_pyfunction!(grammar::parse_toml, module)?)?;
    module.add_function(wrap_pyfunction!(grammar::check_regex, module)?)?;
    module.add_function(wrap_pyfunction!(simulate::simulate, module)?)?;
    Ok(())
}
