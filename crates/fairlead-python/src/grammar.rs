//! What the configuration needs of native code: TOML with places, and regular expressions.

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use pyo3::IntoPyObject;

use crate::toml::{self, Document, Index, Scalar, Value};

/// Start, end and message.
type Problem = (usize, usize, String);

/// The tree of a TOML text and its syntax errors.
#[pyfunction]
pub(crate) fn parse_toml<'py>(
    py: Python<'py>,
    text: &str,
) -> PyResult<(Bound<'py, PyTuple>, Vec<Problem>)> {
    let document = py.detach(|| toml::parse(text));
    let tree = node(py, &document, 0)?;
    let errors = document.errors.into_iter();
    Ok((tree, errors.map(|error| (error.start, error.end, error.message)).collect()))
}

/// What is wrong with a regular expression of the data plane, if anything is.
#[pyfunction]
pub(crate) fn check_regex(py: Python<'_>, pattern: &str) -> Option<String> {
    py.detach(|| regex::bytes::Regex::new(pattern).err().map(|error| error.to_string()))
}

/// `(kind, start, end, value)`. The depth is bounded by the parser.
fn node<'py>(py: Python<'py>, document: &Document, index: Index) -> PyResult<Bound<'py, PyTuple>> {
    let node = &document.nodes[index];
    let (kind, value) = match &node.value {
        Value::Table(_) => ("table", children(py, document, &node.value)?.into_any()),
        Value::Array(_) => ("array", children(py, document, &node.value)?.into_any()),
        Value::Scalar(scalar) => plain(py, scalar)?,
    };
    (kind, node.start, node.end, value).into_pyobject(py)
}

fn children<'py>(
    py: Python<'py>,
    document: &Document,
    value: &Value,
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    match value {
        Value::Table(table) => {
            for entry in &table.entries {
                let child = self::node(py, document, entry.node)?;
                list.append((entry.key.as_str(), entry.start, entry.end, child))?;
            }
        }
        Value::Array(array) => {
            for item in &array.items {
                list.append(self::node(py, document, *item)?)?;
            }
        }
        Value::Scalar(_) => {}
    }
    Ok(list)
}

fn plain<'py>(py: Python<'py>, scalar: &Scalar) -> PyResult<(&'static str, Bound<'py, PyAny>)> {
    Ok(match scalar {
        Scalar::String(text) => ("string", text.into_pyobject(py)?.into_any()),
        Scalar::Integer(number) => ("integer", number.into_pyobject(py)?.into_any()),
        Scalar::Float(number) => ("float", number.into_pyobject(py)?.into_any()),
        Scalar::Boolean(value) => ("boolean", value.into_pyobject(py)?.to_owned().into_any()),
        Scalar::Datetime(text) => ("datetime", text.into_pyobject(py)?.into_any()),
        Scalar::Broken => ("broken", py.None().into_bound(py)),
    })
}
