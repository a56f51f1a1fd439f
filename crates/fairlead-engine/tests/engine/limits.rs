//! Running out of descriptors costs those who come then, and nobody for long.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fairlead_model::plan::Protocol;

use crate::kit::{address, connect, start, until, web};

const BACKEND: &str = "FAIRLEAD_TEST_BACKEND";

/// The engine in a process of its own, which has few descriptors. It writes its address, then
/// all events of each line that it reads.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn few_descriptors() {
    let Ok(backend) = std::env::var(BACKEND) else { return };
    let limit = rustix::process::Rlimit { current: Some(64), maximum: Some(64) };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).expect("limit");
    let engine = start(2, Protocol::Http, &[backend.parse().expect("address")]);
    let mut out = std::io::stderr();
    writeln!(out, "address {}", address(&engine)).expect("write");
    for _ in std::io::stdin().lines() {
        for event in engine.take_events() {
            writeln!(out, "{}", String::from_utf8_lossy(&event)).expect("write");
        }
        writeln!(out, "end").expect("write");
    }
}

struct Balancer {
    child: Child,
    out: BufReader<std::process::ChildStderr>,
}

impl Balancer {
    fn start(backend: SocketAddr) -> (Self, SocketAddr) {
        let mut child = Command::new(std::env::current_exe().expect("path"))
            .args(["--exact", "limits::few_descriptors", "--ignored", "--nocapture"])
            .env(BACKEND, backend.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("child");
        let out = BufReader::new(child.stderr.take().expect("stderr"));
        let mut balancer = Balancer { child, out };
        let address = loop {
            let line = balancer.line();
            if let Some((_, address)) = line.split_once("address ") {
                break address.parse().expect("address");
            }
        };
        (balancer, address)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.out.read_line(&mut line).expect("read") > 0, "the balancer ended");
        line.trim().to_owned()
    }

    fn accepting_events(&mut self) -> Vec<bool> {
        let stdin = self.child.stdin.as_mut().expect("stdin");
        stdin.write_all(b"events\n").expect("write");
        let mut events = Vec::new();
        loop {
            let line = self.line();
            if line == "end" {
                return events;
            }
            let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            if event["event"] == "accepting" {
                events.push(event["accepting"].as_bool().expect("a boolean"));
            }
        }
    }

    /// Processor time used so far, in ticks of 10 ms.
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("stat");
        let fields: Vec<_> = stat[stat.rfind(')').expect("name")..].split(' ').collect();
        let number = |index: usize| fields[index].parse::<u64>().expect("a number");
        number(12) + number(13)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_served(address: SocketAddr) -> bool {
    let mut client = connect(address);
    client.set_read_timeout(Some(Duration::from_secs(1))).expect("timeout");
    client.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").is_ok()
        && client.read_exact(&mut [0; 12]).is_ok()
}

#[test]
fn without_descriptors_it_rests_and_recovers() {
    let backend = web("one");
    let (mut balancer, address) = Balancer::start(backend.address);
    until("it serves", || is_served(address));
    let clients: Vec<TcpStream> = (0..100).map(|_| connect(address)).collect();
    let mut told = Vec::new();
    until("it says so", || {
        told.extend(balancer.accepting_events());
        !told.is_empty()
    });
    let before = balancer.ticks();
    std::thread::sleep(Duration::from_secs(1));
    // 5 % of a processor; a loop that spins takes all of one.
    assert!(balancer.ticks() - before <= 5, "{} ticks", balancer.ticks() - before);
    told.extend(balancer.accepting_events());
    assert_eq!(told, [false]);
    drop(clients);
    until("new clients are served", || is_served(address));
    until("it says so", || {
        is_served(address);
        told.extend(balancer.accepting_events());
        told.last() == Some(&true)
    });
    assert_eq!(told, [false, true]);
}
