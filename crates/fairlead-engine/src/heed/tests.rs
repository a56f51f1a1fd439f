use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, Ordering};

use super::*;

const TERM: u8 = libc::SIGTERM as u8;
const INT: u8 = libc::SIGINT as u8;

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(60);

const NONE: i32 = -1;

/// Waits until the process would have ended; with which code.
fn code(of: &AtomicI32) -> i32 {
    let end = Instant::now() + Duration::from_secs(10);
    while of.load(Ordering::SeqCst) == NONE && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    of.load(Ordering::SeqCst)
}

fn send(heed: &Heed, number: u8) {
    assert_eq!(rustix::io::write(&heed.shared.input, &[number]), Ok(1));
}

fn heed(patience: Duration, exit: fn(i32)) -> Heed {
    let engine = Arc::new(Engine::new(1).expect("engine"));
    Heed::start_with(engine, NEVER, "", patience, exit).expect("start")
}

/// What a test does instead of ending the process.
fn note(place: &AtomicI32, code: i32) {
    place.store(code, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(20));
}

#[test]
fn signals_are_passed_on_as_they_came() {
    let heed = heed(NEVER, |_| ());
    send(&heed, TERM);
    let (mut python, other) = UnixStream::pair().expect("pair");
    python.set_read_timeout(Some(NEVER)).expect("time-out");
    heed.pass_on_to(other.as_raw_fd()).expect("pass on");
    drop(other);
    let mut one = [0];
    python.read_exact(&mut one).expect("what came before");
    assert_eq!(one, [TERM]);
    heed.heard();
    send(&heed, INT);
    python.read_exact(&mut one).expect("and after");
    assert_eq!(one, [INT], "and not our own bell");
    assert!(heed.pass_on_to(-1).is_err());
}

#[test]
fn without_python_it_stops_the_engine_removes_files_and_leaves() {
    static CODE: AtomicI32 = AtomicI32::new(NONE);
    let heed = heed(Duration::from_millis(5), |code| note(&CODE, code));
    let path = std::env::temp_dir().join(format!("fl-heed-{}", std::process::id()));
    std::fs::write(&path, "").expect("file");
    heed.prepare(Duration::from_secs(1), vec![path.clone(), PathBuf::from("/nonexistent/x")]);
    send(&heed, TERM);
    assert_eq!(code(&CODE), 0);
    assert!(heed.shared.engine.has_stopped());
    assert!(!path.exists());
}

#[test]
fn python_that_does_all_of_it_is_left_alone() {
    static CODE: AtomicI32 = AtomicI32::new(NONE);
    let heed = heed(Duration::from_millis(5), |code| note(&CODE, code));
    heed.begun();
    heed.back();
    heed.stopped(true);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(CODE.load(Ordering::SeqCst), NONE);
    assert!(!heed.shared.engine.has_stopped());
}

#[test]
fn python_that_does_not_come_back_from_a_stop_is_left_behind() {
    static CODE: AtomicI32 = AtomicI32::new(NONE);
    let heed = heed(Duration::from_millis(5), |code| note(&CODE, code));
    heed.begun();
    heed.stopped(false);
    assert_eq!(code(&CODE), 0);
}
