//! A client of a tcp service: sends a stream of its own and wants it back.

use std::collections::VecDeque;
use std::time::Duration;

use fairlead_flow::ListenerId;
use fairlead_model::moment::Moment;

use super::{Leave, BREATH};
use crate::backend::StreamEnd;
use crate::network::{Network, Owner, Place, SocketId, Wake};
use crate::report::{Notes, StreamStory};
use crate::wire::Pattern;

/// Bytes of the id that a stream begins with.
const ID_BYTES: u64 = 8;

/// What it can want to do later.
const START: u64 = 0;
const PIECE: u64 = 1;
const READ: u64 = 2;
const LEAVE: u64 = 3;
const KINDS: u64 = 8;

/// One stream.
#[derive(Debug, Clone)]
pub(crate) struct StreamJob {
    /// Bytes behind the id.
    pub(crate) length: u64,
    /// How they go out.
    pub(crate) piece: usize,
    pub(crate) pause: Duration,
    /// It reads so many bytes at a time, with a pause between.
    pub(crate) pace: Option<(usize, Duration)>,
    /// The client leaves so long after it began.
    pub(crate) leaves: Option<(Duration, Leave)>,
}

#[derive(Debug)]
struct Line {
    socket: SocketId,
    job: StreamJob,
    id: u64,
    began: Moment,
    sent: u64,
    came_back: Vec<u8>,
    taken: u64,
    read_due: bool,
}

/// The client.
#[derive(Debug)]
pub(crate) struct StreamClient {
    index: usize,
    listener: ListenerId,
    jobs: VecDeque<StreamJob>,
    line: Option<Line>,
}

impl StreamClient {
    pub(crate) fn new(index: usize, listener: ListenerId, jobs: Vec<StreamJob>) -> Self {
        StreamClient { index, listener, jobs: jobs.into(), line: None }
    }

    pub(super) fn is_done(&self) -> bool {
        self.jobs.is_empty() && self.line.is_none()
    }

    pub(super) fn give_up(&mut self) {
        self.jobs.clear();
        self.line = None;
    }

    pub(super) fn state(&self) -> String {
        let under_way = self.line.as_ref().map(|line| (line.id, line.sent, line.taken));
        format!("{} streams left, under way (id, sent, back): {under_way:?}", self.jobs.len())
    }

    fn want(&self, network: &mut Network, after: Duration, kind: u64, id: u64) {
        network.wake(network.now() + after, Wake::Client(self.index, id * KINDS + kind));
    }

    pub(super) fn wake(&mut self, network: &mut Network, notes: &mut Notes, wish: u64) {
        let (kind, id) = (wish % KINDS, wish / KINDS);
        if kind == START {
            return self.start(network, notes);
        }
        let Some(line) = self.line.as_mut().filter(|line| line.id == id) else { return };
        match kind {
            PIECE => self.send_piece(network),
            READ => {
                line.read_due = false;
                self.read(network, notes);
            }
            _ => self.leave(network, notes),
        }
    }

    fn start(&mut self, network: &mut Network, notes: &mut Notes) {
        let Some(job) = self.jobs.pop_front() else { return };
        let socket = network.connect(Owner::Client(self.index), Place::Listener(self.listener));
        let id = notes.id();
        if let Some((after, _)) = job.leaves {
            self.want(network, after, LEAVE, id);
        }
        let began = network.now();
        let came_back = Vec::new();
        let line = Line { socket, job, id, began, sent: 0, came_back, taken: 0, read_due: false };
        self.line = Some(line);
    }

    pub(super) fn connected(&mut self, network: &mut Network, notes: &mut Notes, socket: SocketId) {
        let Some(line) = self.line.as_ref().filter(|line| line.socket == socket) else {
            return network.abort(socket);
        };
        network.send(socket, &line.id.to_le_bytes());
        let _ = notes;
        self.send_piece(network);
    }

    fn send_piece(&mut self, network: &mut Network) {
        let Some(line) = &mut self.line else { return };
        // What isn't taken waits here, not in an endless queue.
        let count = if network.socket(line.socket).queue.is_empty() {
            (line.job.length - line.sent).min(line.job.piece as u64)
        } else {
            0
        };
        network.send(line.socket, &Pattern::of(line.id).bytes(line.sent, count as usize));
        line.sent += count;
        if line.sent == line.job.length {
            return network.finish(line.socket);
        }
        let (pause, id) = (line.job.pause, line.id);
        self.want(network, pause, PIECE, id);
    }

    fn leave(&mut self, network: &mut Network, notes: &mut Notes) {
        let Some(line) = &self.line else { return };
        match line.job.leaves.map(|(_, how)| how) {
            Some(Leave::Close) => network.close(line.socket),
            Some(Leave::Vanish) => network.vanish(line.socket),
            Some(Leave::Reset) | None => network.abort(line.socket),
        }
        self.over(network, notes, StreamEnd::Reset, true);
    }

    pub(super) fn look(&mut self, network: &mut Network, notes: &mut Notes, socket: SocketId) {
        let Some(line) = self.line.as_mut().filter(|line| line.socket == socket) else { return };
        match line.job.pace {
            Some((_, pause)) if !network.socket(socket).inbox.is_empty() => {
                if !std::mem::replace(&mut line.read_due, true) {
                    let id = line.id;
                    self.want(network, pause, READ, id);
                }
            }
            _ => self.read(network, notes),
        }
    }

    fn read(&mut self, network: &mut Network, notes: &mut Notes) {
        let Some(line) = &mut self.line else { return };
        let most = line.job.pace.map_or(usize::MAX, |(most, _)| most);
        let bytes = network.read(line.socket, most);
        line.take(notes, &bytes);
        let socket = line.socket;
        let it = network.socket(socket);
        if !it.inbox.is_empty() {
            return self.look(network, notes, socket);
        }
        let end = if it.failure.is_some() {
            StreamEnd::Reset
        } else if it.fin_came {
            StreamEnd::Finished
        } else {
            return;
        };
        network.close(socket);
        self.over(network, notes, end, false);
    }

    fn over(&mut self, network: &mut Network, notes: &mut Notes, end: StreamEnd, left: bool) {
        let Some(line) = self.line.take() else { return };
        notes.report.streams.push(StreamStory {
            id: line.id,
            began: line.began,
            ended: network.now(),
            sent: line.sent,
            wanted: line.job.length,
            came_back: line.taken,
            left,
            closed: left && matches!(line.job.leaves, Some((_, Leave::Close))),
            end,
        });
        self.want(network, BREATH, START, 0);
    }
}

impl Line {
    /// Checks what came back.
    fn take(&mut self, notes: &mut Notes, bytes: &[u8]) {
        let own = (ID_BYTES as usize - self.came_back.len()).min(bytes.len());
        self.came_back.extend_from_slice(&bytes[..own]);
        if !self.id.to_le_bytes().starts_with(&self.came_back) {
            notes.fault(format!("stream {} got another's beginning", self.id));
        }
        let rest = &bytes[own..];
        if !Pattern::of(self.id).matches(self.taken, rest) {
            notes.fault(format!("stream {} got foreign bytes", self.id));
        }
        self.taken += rest.len() as u64;
    }
}
