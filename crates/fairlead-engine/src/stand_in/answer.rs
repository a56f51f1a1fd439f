//! What is answered while Python doesn't: health, numbers, and what operators want of backends.
//!
//! The same paths, forms and codes as `python/fairlead/control/api.py` has, with `python` added
//! where it is told how things are. Everything else needs Python, and is refused at once.

use std::net::IpAddr;

use fairlead_model::backend::Wish;
use serde_json::{json, Map, Value};

use super::door::Door;
use super::exchange::Request;
use super::{ring, Shared, Wished};
use crate::metrics::Dialect;

/// The highest weight that the interface knows.
const WEIGHT_MAX: u64 = 256;

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    media: &'static str,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The status line and the header lines.
    pub(super) fn head(&self) -> String {
        let Answer { status, media, body } = self;
        let (title, length) = (title(*status), body.len());
        format!(
            "HTTP/1.1 {status} {title}\r\nContent-Type: {media}\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )
    }

    /// What was sent is no request.
    pub(super) fn bad_request() -> Answer {
        Answer::problem(400, "bad_request", "this is no request of HTTP/1.1", "")
    }

    fn json(status: u16, value: &Value) -> Answer {
        Answer { status, media: JSON, body: format!("{value}\n").into_bytes() }
    }

    /// A refusal as RFC 9457 has it.
    fn problem(status: u16, code: &str, detail: &str, hint: &str) -> Answer {
        let hint = (!hint.is_empty()).then_some(hint);
        let value = json!({
            "type": "about:blank", "title": title(status), "status": status,
            "detail": detail, "code": code, "hint": hint,
        });
        Answer { media: PROBLEM, ..Answer::json(status, &value) }
    }

    fn unknown(kind: &str, name: &str) -> Answer {
        let detail = format!("there is no {kind} `{name}`");
        Answer::problem(404, &format!("unknown_{kind}"), &detail, "")
    }

    fn bad_value(detail: &str) -> Answer {
        Answer::problem(400, "bad_value", detail, "for example {\"state\": \"draining\"}")
    }
}

fn title(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        413 => "Content Too Large",
        _ => "Service Unavailable",
    }
}

impl Shared {
    /// Answers a request.
    pub(super) fn answer(&self, request: &Request<'_>) -> Answer {
        // The few that have parameters need Python anyway.
        let known = match (request.method, request.query.is_empty()) {
            (b"GET" | b"HEAD", true) => self.look(request),
            (b"PATCH", true) => backend_of(request.path).map(|of| self.change(&of, request)),
            _ => None,
        };
        known.unwrap_or_else(|| self.refused())
    }

    /// Answers at the admin address: how things are, to whoever may ask there without a token. The
    /// rules for all else are Python's.
    pub(super) fn answer_probe(
        &self,
        door: &Door,
        local: Option<IpAddr>,
        request: &Request<'_>,
    ) -> Answer {
        if !door.goes_by(request.host, local) {
            let name = String::from_utf8_lossy(request.host);
            let detail = format!("the Host `{name}` is not this address");
            let hint = "use the address itself, or list the name under `hosts` in [admin]";
            return Answer::problem(403, "forbidden_host", &detail, hint);
        }
        match (request.method, request.path, request.query) {
            (b"GET" | b"HEAD", b"/healthz", b"") => self.health(),
            _ => self.refused(),
        }
    }

    fn look(&self, request: &Request<'_>) -> Option<Answer> {
        match request.path {
            b"/healthz" => Some(self.health()),
            b"/metrics" => Some(self.metrics(request.accept)),
            b"/v1/status" => Some(Answer { status: 200, media: JSON, body: self.status() }),
            b"/v1/pools" => Some(Answer { status: 200, media: JSON, body: self.pools() }),
            path => {
                if let Some((pool, backend)) = backend_of(path) {
                    return Some(self.row(&pool, &backend).map_or_else(
                        |refusal| refusal,
                        |row| Answer::json(200, &Value::Object(row)),
                    ));
                }
                let pool = path.strip_prefix(b"/v1/pools/")?;
                let pool = decoded(pool).filter(|_| !pool.contains(&b'/'))?;
                Some(self.pool(&pool))
            }
        }
    }

    fn health(&self) -> Answer {
        let is_stopping = self.engine.has_stopped();
        let (status, word) = if is_stopping { (503, "stopping") } else { (200, "ok") };
        Answer::json(status, &json!({"status": word, "python": self.stuck()}))
    }

    fn metrics(&self, accept: &[u8]) -> Answer {
        let accept = String::from_utf8_lossy(accept).to_ascii_lowercase();
        if accept.contains("application/openmetrics-text") {
            let text = self.engine.metrics(Dialect::OpenMetrics) + "# EOF\n";
            return Answer { status: 200, media: OPENMETRICS, body: text.into_bytes() };
        }
        let text = self.engine.metrics(Dialect::Prometheus);
        Answer { status: 200, media: PROMETHEUS, body: text.into_bytes() }
    }

    /// The engine's status, with what Python last said of itself, as text from end to end.
    fn status(&self) -> Vec<u8> {
        let mut text = self.engine.status();
        let about = self.lock().about.clone();
        let python = json!({"python": self.stuck()}).to_string();
        for more in [&about[..], python.as_bytes()] {
            // Two objects become one: neither is empty.
            text.pop();
            text.push(b',');
            text.extend_from_slice(&more[1..]);
        }
        text.push(b'\n');
        text
    }

    fn pools(&self) -> Vec<u8> {
        let names = self.engine.pool_names();
        let rows: Vec<_> = names.iter().filter_map(|name| self.engine.pool_status(name)).collect();
        [&b"{\"pools\":["[..], &rows.join(&b","[..]), b"]}\n"].concat()
    }

    fn pool(&self, name: &str) -> Answer {
        let Some(mut body) = self.engine.pool_status(name) else {
            return Answer::unknown("pool", name);
        };
        body.push(b'\n');
        Answer { status: 200, media: JSON, body }
    }

    /// A backend's row.
    fn row(&self, pool: &str, backend: &str) -> Result<Map<String, Value>, Answer> {
        let text = self.engine.pool_status(pool).ok_or_else(|| Answer::unknown("pool", pool))?;
        let mut pool: Value = serde_json::from_slice(&text).unwrap_or_default();
        let rows = pool["backends"].as_array_mut().map(std::mem::take).unwrap_or_default();
        rows.into_iter()
            .filter_map(|row| if let Value::Object(row) = row { Some(row) } else { None })
            .find(|row| row["address"] == backend)
            .ok_or_else(|| Answer::unknown("backend", backend))
    }

    /// Follows an operator's wish, and keeps it for Python.
    fn change(&self, (pool, backend): &(String, String), request: &Request<'_>) -> Answer {
        let changed = || {
            if request.has_origin {
                let detail = "a page of a browser may not change anything here";
                return Err(Answer::problem(403, "forbidden_origin", detail, ""));
            }
            self.row(pool, backend)?;
            let body = request.body.ok_or_else(|| {
                Answer::problem(413, "body_too_large", "the body is longer than a wish", "")
            })?;
            let (state, weight) = wish(body)?;
            let (pool, backend) = (pool.clone(), backend.clone());
            self.follow(Wished { pool, backend, state, weight })
        };
        let row = changed().and_then(|()| self.row(pool, backend));
        row.map_or_else(|refusal| refusal, |row| Answer::json(200, &Value::Object(row)))
    }

    fn follow(&self, wished: Wished) -> Result<(), Answer> {
        let Wished { pool, backend, .. } = &wished;
        // Held over both: what Python takes over is in force, and what it wishes itself comes later.
        let mut told = self.lock();
        let state = wished.state.map(|state| self.engine.set_state(pool, backend, state));
        let weight = wished.weight.map(|weight| self.engine.set_weight(pool, backend, weight));
        if [state, weight].into_iter().flatten().any(|done| done.is_err()) {
            return Err(Answer::unknown("backend", backend));
        }
        told.wishes.push(wished);
        // It may have come back in between, and taken what was there.
        ring(&self.asks);
        Ok(())
    }

    fn refused(&self) -> Answer {
        let detail = format!("Python is {}, and this needs it", self.stuck());
        let hint = "a policy or a check of yours keeps the interpreter; at the control socket \
                    status, metrics, drain, disable, enable and weight go on meanwhile";
        Answer::problem(503, "python_stuck", &detail, hint)
    }

    fn stuck(&self) -> String {
        format!("stuck since {}", self.lock().since)
    }
}

/// What `{"state": …, "weight": …}` says; at least one of the two.
fn wish(body: &[u8]) -> Result<(Option<Wish>, Option<u16>), Answer> {
    let object: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
        let detail = format!("the body is not a JSON object: {error}");
        Answer::problem(400, "bad_json", &detail, "")
    })?;
    let (mut state, mut weight) = (None, None);
    for (name, value) in &object {
        match name.as_str() {
            "state" => state = Some(state_of(value)?),
            "weight" => weight = Some(weight_of(value)?),
            _ => {
                let detail = format!("there is no field `{name}`");
                return Err(Answer::problem(400, "unknown_field", &detail, "known: state, weight"));
            }
        }
    }
    if object.is_empty() {
        return Err(Answer::bad_value("neither `state` nor `weight` is given"));
    }
    Ok((state, weight))
}

fn state_of(value: &Value) -> Result<Wish, Answer> {
    let known = [Wish::Enabled, Wish::Draining, Wish::Disabled];
    known.into_iter().find(|wish| value.as_str() == Some(wish.name())).ok_or_else(|| {
        let detail = format!("`state` is {value}, expected one of enabled, draining, disabled");
        Answer::bad_value(&detail)
    })
}

fn weight_of(value: &Value) -> Result<u16, Answer> {
    value.as_u64().filter(|weight| *weight <= WEIGHT_MAX).map(|weight| weight as u16).ok_or_else(
        || {
            let detail =
                format!("`weight` is {value}, expected a whole number from 0 to {WEIGHT_MAX}");
            Answer::bad_value(&detail)
        },
    )
}

/// Pool and backend that a path names. The backend's slashes may stand there bare.
fn backend_of(path: &[u8]) -> Option<(String, String)> {
    let rest = path.strip_prefix(b"/v1/pools/")?;
    let slash = rest.iter().position(|byte| *byte == b'/').filter(|slash| *slash > 0)?;
    let backend = rest[slash..].strip_prefix(b"/backends/").filter(|name| !name.is_empty())?;
    Some((decoded(&rest[..slash])?, decoded(backend)?))
}

/// The text that a part of a path stands for; `None` if it is none, or is empty.
fn decoded(mut part: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    while let [first, rest @ ..] = part {
        let hex = |byte: &u8| char::from(*byte).to_digit(16);
        let coded = match part {
            [b'%', high, low, ..] => hex(high).zip(hex(low)),
            _ => None,
        };
        bytes.push(coded.map_or(*first, |(high, low)| (high * 16 + low) as u8));
        part = if coded.is_some() { &part[3..] } else { rest };
    }
    String::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(read: Result<(Option<Wish>, Option<u16>), Answer>) -> String {
        let refusal = read.expect_err("refused");
        let value: Value = serde_json::from_slice(&refusal.body).expect("JSON");
        value["code"].as_str().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_wish_has_a_state_or_a_weight_or_both() {
        let read = |body: &str| wish(body.as_bytes()).map_err(|_| body.to_owned());
        assert_eq!(read(r#"{"state":"draining"}"#), Ok((Some(Wish::Draining), None)));
        assert_eq!(read(r#"{"weight":256}"#), Ok((None, Some(256))));
        let both = r#"{"state":"enabled","weight":0}"#;
        assert_eq!(read(both), Ok((Some(Wish::Enabled), Some(0))));
    }

    #[test]
    fn anything_else_is_no_wish() {
        for (body, wanted) in [
            ("", "bad_json"),
            ("[]", "bad_json"),
            ("{} {}", "bad_json"),
            ("{}", "bad_value"),
            (r#"{"state":null}"#, "bad_value"),
            (r#"{"state":"gone"}"#, "bad_value"),
            (r#"{"weight":257}"#, "bad_value"),
            (r#"{"weight":-1}"#, "bad_value"),
            (r#"{"weight":true}"#, "bad_value"),
            (r#"{"state":"enabled","wieght":1}"#, "unknown_field"),
        ] {
            assert_eq!(code(wish(body.as_bytes())), wanted, "{body}");
        }
    }

    #[test]
    fn a_path_names_a_backend_encoded_or_bare() {
        let named = |path: &str| backend_of(path.as_bytes());
        let both = |pool: &str, backend: &str| Some((pool.to_owned(), backend.to_owned()));
        assert_eq!(named("/v1/pools/app/backends/a%3A1"), both("app", "a:1"));
        assert_eq!(named("/v1/pools/a%2Fb/backends/unix:/x/y"), both("a/b", "unix:/x/y"));
        assert_eq!(named("/v1/pools/app/backends/50%"), both("app", "50%"));
        assert_eq!(named("/v1/pools/app/backends/%zz"), both("app", "%zz"));
        for path in [
            "/v1/pools/app/backends/",
            "/v1/pools/app/backends",
            "/v1/pools//backends/a",
            "/v1/pools/app/backends/%ff",
            "/v1/pools/app",
            "/pools/app/backends/a",
        ] {
            assert_eq!(named(path), None, "{path}");
        }
    }
}
