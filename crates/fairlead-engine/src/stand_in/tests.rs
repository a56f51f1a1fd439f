use std::io::{Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use super::*;

const ABOUT: &[u8] = b"{\"pid\":7,\"stopping\":false}";

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(60);

/// A control socket with a stand-in at it.
struct World {
    path: PathBuf,
    listening: UnixListener,
    stand_in: StandIn,
}

impl World {
    fn new(name: &str, patience: Duration) -> World {
        let path = std::env::temp_dir().join(format!("fl-{name}-{}", std::process::id()));
        let listening = UnixListener::bind(&path).expect("bind");
        let engine = Arc::new(Engine::new(1).expect("engine"));
        let number = listening.as_raw_fd();
        let stand_in = StandIn::start_with(engine, number, ABOUT.to_vec(), patience);
        World { path, listening, stand_in: stand_in.expect("start") }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).expect("connect");
        stream.set_read_timeout(Some(NEVER)).expect("time-out");
        stream
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("write");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("read");
        text
    }

    fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    fn patch(&self, path: &str, body: &str, more: &str) -> String {
        let length = body.len();
        self.ask(&format!(
            "PATCH {path} HTTP/1.1\r\nHost: localhost\r\n{more}Content-Length: {length}\r\n\r\n{body}"
        ))
    }

    /// Waits until Python is asked for a sign of life.
    fn wait_asked(&self) {
        let asks: BorrowedFd<'_> = self.stand_in.shared.asks.as_fd();
        let mut one = [PollFd::from_borrowed_fd(asks, PollFlags::IN)];
        assert_eq!(poll(&mut one, None), Ok(1));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // It may be gone; another run has another number.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn body(answer: &str) -> serde_json::Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    serde_json::from_str(body).expect("JSON")
}

#[test]
fn python_has_the_first_word() {
    let world = World::new("first", NEVER);
    let mut client = world.connect();
    world.wait_asked();
    assert_eq!(world.stand_in.present(ABOUT.to_vec()), []);
    world.listening.set_nonblocking(false).expect("mode");
    let (mut accepted, _) = world.listening.accept().expect("nobody else has accepted it");
    accepted.write_all(b"python").expect("write");
    drop(accepted);
    let mut text = String::new();
    client.read_to_string(&mut text).expect("read");
    assert_eq!(text, "python");
}

#[test]
fn without_a_sign_of_life_the_engine_answers() {
    let world = World::new("answers", Duration::from_millis(5));
    let health = world.get("/healthz");
    assert!(health.starts_with("HTTP/1.1 200 OK\r\n"), "{health}");
    assert_eq!(body(&health)["status"], "ok");
    let told = body(&health)["python"].as_str().map(str::to_owned).expect("text");
    assert!(told.starts_with("stuck since 2") && told.ends_with('Z'), "{told}");

    let status = body(&world.get("/v1/status"));
    assert_eq!((&status["pid"], &status["stopping"]), (&7.into(), &false.into()));
    assert_eq!((&status["python"], &status["workers"]), (&told.into(), &1.into()));
    assert!(world.get("/metrics").contains("\n# TYPE fairlead_"), "numbers");
    assert_eq!(body(&world.get("/v1/pools"))["pools"], serde_json::json!([]));
    let bare = world.ask("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(bare.ends_with("\r\n\r\n") && bare.contains("\r\nConnection: close\r\n"), "{bare}");
}

#[test]
fn what_needs_python_is_refused_at_once() {
    let world = World::new("refused", Duration::from_millis(5));
    for request in [
        "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /v1/status?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /v1/reload HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "PUT /v1/config HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\nworkers",
        "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "DELETE /v1/pools/app/backends/a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        let answer = world.ask(request);
        assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{request}: {answer}");
        assert_eq!(body(&answer)["code"], "python_stuck", "{request}");
    }
    let nonsense = world.ask("GET  / HTTP/1.1\r\n\r\n");
    assert!(nonsense.starts_with("HTTP/1.1 400 "), "{nonsense}");
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9000));
    assert!(world.ask(&long).starts_with("HTTP/1.1 400 "), "a head over the bound");
}

#[test]
fn a_wish_has_to_name_a_backend_that_there_is() {
    let world = World::new("wish", Duration::from_millis(5));
    let path = "/v1/pools/app/backends/a:1";
    let answer = world.patch(path, "{\"state\":\"draining\"}", "");
    assert_eq!(body(&answer)["code"], "unknown_pool", "{answer}");
    let answer = world.patch(path, "{}", "Origin: http://page.example\r\n");
    assert_eq!(body(&answer)["code"], "forbidden_origin", "{answer}");
    assert_eq!(world.stand_in.present(ABOUT.to_vec()), []);
}

#[test]
fn its_end_waits_no_longer_than_a_request_may_take() {
    let world = World::new("end", Duration::from_millis(5));
    let mut client = world.connect();
    client.write_all(b"GET /heal").expect("write");
    world.wait_asked();
    let begin = std::time::Instant::now();
    world.stand_in.end();
    assert!(begin.elapsed() < Duration::from_secs(10), "bounded by the time for a request");
    assert!(world.stand_in.thread.is_joined());
}
