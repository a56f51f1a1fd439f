use std::io::Read;
use std::os::fd::AsRawFd;

use super::*;

fn log() -> Arc<AccessLog> {
    Arc::new(AccessLog::new(Arc::new(Events::new().expect("events"))))
}

fn put(log: &AccessLog, to: &Arc<str>, lines: &str) {
    let mut queue = log.lock();
    queue.bytes += lines.len();
    queue.items.push_back(Item::Lines(Arc::clone(to), lines.as_bytes().to_vec()));
    drop(queue);
    log.work.notify_one();
}

fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("fairlead-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    folder
}

fn begin(log: &Arc<AccessLog>, to: &Arc<str>) {
    log.start().expect("thread");
    log.begin(Some(Arc::clone(to)), Some(Output::open(to).expect("open")));
    log.settle();
}

fn path(folder: &std::path::Path, name: &str) -> Arc<str> {
    folder.join(name).to_str().expect("text").into()
}

fn content(path: &str) -> String {
    std::fs::read_to_string(path).expect("read")
}

#[test]
fn lines_go_where_they_were_meant_to_go() {
    let folder = folder("places");
    let (one, other) = (path(&folder, "one"), path(&folder, "other"));
    let log = log();
    assert_eq!(log.stats(), None);
    begin(&log, &one);
    put(&log, &one, "1\n2\n");
    log.begin(Some(Arc::clone(&other)), Some(Output::open(&other).expect("open")));
    // One worker follows the new configuration, another doesn't yet.
    put(&log, &other, "a\n");
    put(&log, &one, "3\n");
    log.settle();
    log.end(Duration::from_secs(5));
    assert_eq!((content(&one), content(&other)), ("1\n2\n3\n".to_owned(), "a\n".to_owned()));
    assert_eq!(log.stats(), Some(LogStats { lines: 4, lost: 0 }));
    std::fs::remove_dir_all(folder).expect("remove");
}

#[test]
fn a_file_that_was_moved_is_made_anew_when_asked() {
    let folder = folder("moved");
    let (log, to) = (log(), path(&folder, "log"));
    begin(&log, &to);
    put(&log, &to, "old\n");
    let written = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        log.stats().is_some_and(|stats| stats.lines == 1)
    });
    assert!(written);
    std::fs::rename(&*to, folder.join("log.1")).expect("rename");
    log.reopen();
    put(&log, &to, "new\n");
    log.end(Duration::from_secs(5));
    assert_eq!(content(&to), "new\n");
    assert_eq!(content(&path(&folder, "log.1")), "old\n");
    std::fs::remove_dir_all(folder).expect("remove");
}

#[test]
fn a_place_that_lines_no_longer_go_to_does_not_use_up_what_was_asked_of_another() {
    let folder = folder("wrong-place");
    let (log, full, to) = (log(), Arc::from("/dev/full"), path(&folder, "log"));
    begin(&log, &full);
    log.begin(Some(Arc::clone(&to)), Some(Output::open(&to).expect("open")));
    put(&log, &to, "old\n");
    std::fs::rename(&*to, folder.join("log.1")).expect("rename");
    // A worker that doesn't follow the new configuration yet, and the request behind it: at once,
    // that the writer doesn't get in between.
    let mut queue = log.lock();
    queue.bytes += 2;
    queue.items.push_back(Item::Lines(full, b"1\n".to_vec()));
    queue.reopens = true;
    queue.items.push_back(Item::Reopen);
    drop(queue);
    put(&log, &to, "new\n");
    log.end(Duration::from_secs(5));
    assert_eq!(content(&path(&folder, "log.1")), "old\n");
    assert_eq!(content(&to), "new\n");
    assert_eq!(log.stats(), Some(LogStats { lines: 2, lost: 1 }));
    std::fs::remove_dir_all(folder).expect("remove");
}

#[test]
fn a_full_disk_costs_lines_and_is_told_once_a_second() {
    let (log, to) = (log(), Arc::from("/dev/full"));
    begin(&log, &to);
    for _ in 0..50 {
        put(&log, &to, "1\n2\n");
    }
    log.end(Duration::from_secs(5));
    assert_eq!(log.stats(), Some(LogStats { lines: 0, lost: 100 }));
    let events = log.events.take();
    let text = String::from_utf8_lossy(&events[0]).into_owned();
    assert!(text.contains("\"event\":\"access_log\",\"lost\":2,"), "{text}");
    assert!(text.contains("`/dev/full`: no space left on device"), "{text}");
    assert_eq!(events.len(), 1);
}

#[test]
fn a_reader_that_reads_nothing_holds_up_an_end_no_longer_than_allowed() {
    let (reader, writer) = rustix::pipe::pipe().expect("pipe");
    let mut reader = std::fs::File::from(reader);
    let (log, to) = (log(), Arc::from(format!("/proc/self/fd/{}", writer.as_raw_fd())));
    begin(&log, &to);
    let lines = "123456789\n".repeat(20_000);
    put(&log, &to, &lines);
    let start = Instant::now();
    log.end(Duration::from_millis(300));
    assert!(start.elapsed() < Duration::from_secs(3));
    drop(writer);
    let mut seen = String::new();
    reader.read_to_string(&mut seen).expect("read");
    let stats = log.stats().expect("stats");
    assert!(stats.lost > 0 && stats.lines + stats.lost == 20_000, "{stats:?}");
    assert_eq!(seen.lines().count() as u64, stats.lines);
}
