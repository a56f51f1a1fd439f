//! Simulated backends: processes that answer, late or wrongly, as their character has it.
//!
//! Rules of this file
//! 1. A backend notes what it was asked and what it did about that, so that claims can be checked
//!    against both sides: `Service` is its half of a request's story.
//! 2. What is wrong with a request that arrives here is fairlead's fault and noted as such.
//! 3. Troubles happen to the whole process or host; deeds (`deed`) to one request.
//!
//! Not here: which character a backend has and when it is in trouble (`setting`).

mod deed;
mod stream;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fairlead_model::moment::Moment;

pub(crate) use deed::{Act, Character, Deed};
pub use deed::{BadManners, End};
pub use stream::StreamEnd;

use crate::network::{Network, Owner, SocketId, Wake};
use crate::report::{Notes, Service};
use crate::scenario::POLL;
use crate::wire::{Body, Framing, Head, Pattern};
use stream::Stream;

/// One connection to a backend.
#[derive(Debug)]
struct Line {
    input: Vec<u8>,
    stage: Stage,
    /// What is still to be done, and when.
    acts: VecDeque<(Moment, Act)>,
    served: u32,
    /// Its answer ends with the connection.
    until_close: bool,
    /// The last time that anything happened on it.
    last: Moment,
}

/// What is being read on a connection.
#[derive(Debug)]
enum Stage {
    /// A request's head.
    Head,
    /// A request's body.
    Body { body: Body, id: u64, deed: Option<Deed>, head: Head },
    /// Nothing until the answer is out.
    Answering,
    /// Nothing any more; what comes is thrown away.
    Ended,
    /// Bytes, as on any tcp service.
    Stream(Stream),
}

/// One backend: a process on a host of its own.
#[derive(Debug)]
pub(crate) struct Backend {
    index: usize,
    pub(crate) character: Character,
    lines: BTreeMap<SocketId, Line>,
    /// Everything takes so many times longer.
    pub(crate) slowness: u32,
    /// Its check page says that it isn't well.
    pub(crate) sick: bool,
    /// It accepts, and closes at once.
    pub(crate) closes: bool,
    /// Every other answer is a 500.
    pub(crate) errs: bool,
    /// It breaks off in the middle of every other answer.
    pub(crate) cuts: bool,
    /// The last answer was one of those.
    erred: bool,
    /// Its answers come so many milliseconds later, but for its check page's.
    pub(crate) lag: u32,
}

impl Backend {
    pub(crate) fn new(index: usize, character: Character) -> Self {
        Backend {
            index,
            character,
            lines: BTreeMap::new(),
            slowness: 1,
            sick: false,
            closes: false,
            errs: false,
            cuts: false,
            erred: false,
            lag: 0,
        }
    }

    /// Somebody has connected.
    pub(crate) fn accepted(&mut self, network: &mut Network, socket: SocketId) {
        if self.closes {
            return network.close(socket);
        }
        let now = network.now();
        let stage = if self.character.streams { Stage::Stream(Stream::new()) } else { Stage::Head };
        let line = Line {
            input: Vec::new(),
            stage,
            acts: VecDeque::new(),
            served: 0,
            until_close: false,
            last: now,
        };
        self.lines.insert(socket, line);
        // One such wake is always under way; it puts itself off while something happens.
        network.wake(now + self.character.idle, Wake::BackendIdle(self.index, socket));
        network.look(socket);
    }

    /// Something arrived on a connection.
    pub(crate) fn look(&mut self, network: &mut Network, notes: &mut Notes, socket: SocketId) {
        if network.hosts[self.index].frozen {
            return;
        }
        let Some(line) = self.lines.get_mut(&socket) else { return };
        if let Stage::Stream(stream) = &mut line.stage {
            if stream.look(network, notes, socket, self.index) {
                self.lines.remove(&socket);
            }
            return;
        }
        if network.socket(socket).failure.is_some() {
            network.close(socket);
            self.lines.remove(&socket);
            return;
        }
        let bytes = network.read(socket, usize::MAX);
        if !bytes.is_empty() {
            line.last = network.now();
            line.input.extend_from_slice(&bytes);
        }
        self.proceed(network, notes, socket);
        let Some(line) = self.lines.get(&socket) else { return };
        // A client that says no more gets what is under way and then the end.
        let quiet = line.acts.is_empty() && !matches!(line.stage, Stage::Answering);
        if network.socket(socket).is_at_end() && quiet {
            self.close(network, socket);
        }
    }

    /// It is time for something on a connection.
    pub(crate) fn wake(&mut self, network: &mut Network, notes: &mut Notes, socket: SocketId) {
        if network.hosts[self.index].frozen {
            // The process goes on where it stopped, some time after it can.
            let later = network.now() + Duration::from_millis(50);
            return network.wake(later, Wake::Backend(self.index, socket));
        }
        let now = network.now();
        while let Some(line) = self.lines.get_mut(&socket) {
            let Some((_, act)) = pop_if(&mut line.acts, |(when, _)| *when <= now) else { break };
            line.last = now;
            self.act(network, notes, socket, act);
        }
        let Some(line) = self.lines.get(&socket) else { return };
        if let Some((when, _)) = line.acts.front() {
            network.wake(*when, Wake::Backend(self.index, socket));
        }
    }

    /// Closes a connection that has been idle for too long.
    pub(crate) fn close_if_idle(&mut self, network: &mut Network, socket: SocketId) {
        let Some(line) = self.lines.get(&socket) else { return };
        let ends = line.last + self.character.idle;
        let busy = !matches!(line.stage, Stage::Head) || network.hosts[self.index].frozen;
        if busy || network.now() < ends {
            let look_again = network.now() + Duration::from_millis(100);
            let later = if busy { ends.max(look_again) } else { ends };
            return network.wake(later, Wake::BackendIdle(self.index, socket));
        }
        self.close(network, socket);
    }

    fn close(&mut self, network: &mut Network, socket: SocketId) {
        network.close(socket);
        self.lines.remove(&socket);
    }

    fn act(&mut self, network: &mut Network, notes: &mut Notes, socket: SocketId, act: Act) {
        let Some(line) = self.lines.get_mut(&socket) else { return };
        match act {
            Act::Send(bytes) => {
                network.send(socket, &bytes);
            }
            Act::SendJoined(bytes, behind) => {
                if network.has_room(socket, bytes.len() + behind.len()) {
                    network.send_joined(socket, &[bytes, behind].concat());
                } else {
                    network.send(socket, &bytes);
                }
            }
            Act::UntilClose => line.until_close = true,
            Act::Drain => {
                network.finish(socket);
                line.stage = Stage::Ended;
            }
            Act::Note(id, note) => notes.serve(id, self.index, socket, network.now(), note),
            Act::Finish => self.close(network, socket),
            Act::Reset => {
                network.abort(socket);
                self.lines.remove(&socket);
            }
            Act::Stall => line.stage = Stage::Ended,
            Act::Next => {
                line.stage = Stage::Head;
                line.served += 1;
                let out = line.served >= self.character.requests_most;
                if out && !self.character.announces {
                    return self.close(network, socket);
                }
                self.proceed(network, notes, socket);
                network.look(socket);
            }
        }
    }

    /// Reads on in what has come.
    fn proceed(&mut self, network: &mut Network, notes: &mut Notes, socket: SocketId) {
        while let Some(line) = self.lines.get_mut(&socket) {
            match &mut line.stage {
                Stage::Head => match Head::read(&line.input) {
                    Ok(None) => return,
                    Ok(Some(head)) => {
                        line.input.drain(..head.length);
                        self.asked(network, notes, socket, head);
                    }
                    Err(problem) => {
                        notes.fault(format!("backend {} was sent {problem}", self.index));
                        return self.close(network, socket);
                    }
                },
                Stage::Body { body, id, deed, head } => {
                    match body.take(&line.input, Pattern::of(*id)) {
                        Ok(count) => line.input.drain(..count),
                        Err(problem) => {
                            notes.fault(format!("request {id} at {}: {problem}", self.index));
                            return self.close(network, socket);
                        }
                    };
                    if !body.done {
                        return;
                    }
                    let (id, head, deed) = (*id, head.clone(), deed.take());
                    notes.serve(id, self.index, socket, network.now(), Service::Executed);
                    // Whoever answered before the end of a request ends the connection, too.
                    line.stage = if deed.is_some() { Stage::Answering } else { Stage::Ended };
                    if let Some(deed) = deed {
                        self.answer(network, socket, id, &head, deed);
                    }
                }
                Stage::Ended => return line.input.clear(),
                Stage::Answering | Stage::Stream(_) => return,
            }
        }
    }

    /// A request's head has come.
    fn asked(&mut self, network: &mut Network, notes: &mut Notes, socket: SocketId, head: Head) {
        if head.value("user-agent") == Some("fairlead-check") {
            return self.answer_check(network, socket);
        }
        let (Some(id), Some(line)) = (head.id(), self.lines.get_mut(&socket)) else {
            notes.fault(format!("backend {} was sent a request of nobody", self.index));
            return;
        };
        notes.serve(id, self.index, socket, network.now(), Service::Began);
        let has_body = head.request_framing() != Framing::Length(0);
        self.erred = (self.errs || self.cuts) && !self.erred;
        let drawn = self.character.draw(&mut network.random, &head);
        let deed = match self.erred {
            true if self.cuts => Deed::HalfBody(End::Finish),
            true => Deed::WrongAnswer,
            false => drawn,
        };
        let body = Body::new(head.request_framing());
        if let (Deed::Early { .. }, true) = (deed, has_body) {
            line.stage = Stage::Body { body, id, deed: None, head: head.clone() };
            return self.answer(network, socket, id, &head, deed);
        }
        if has_body && head.value("expect").is_some() && self.character.continues {
            network.send(socket, b"HTTP/1.1 100 Continue\r\n\r\n");
            notes.serve(id, self.index, socket, network.now(), Service::Hinted);
        }
        line.stage = Stage::Body { body, id, deed: Some(deed), head };
    }

    fn answer_check(&mut self, network: &mut Network, socket: SocketId) {
        let status = if self.sick { "503 Service Unavailable" } else { "200 OK" };
        let text =
            format!("HTTP/1.1 {status}\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n");
        let delay = self.delay(network);
        let Some(line) = self.lines.get_mut(&socket) else { return };
        line.stage = Stage::Answering;
        line.acts.push_back((network.now() + delay, Act::Send(text.into_bytes())));
        line.acts.push_back((network.now() + delay, Act::Finish));
        network.wake(network.now() + delay, Wake::Backend(self.index, socket));
    }

    fn delay(&self, network: &mut Network) -> Duration {
        let tail = self.character.tail;
        let times = if tail > 1 && network.random.below(100) == 0 { tail } else { 1 };
        network.up_to(self.character.delay) * self.slowness * times
    }

    fn answer(
        &mut self,
        network: &mut Network,
        socket: SocketId,
        id: u64,
        head: &Head,
        deed: Deed,
    ) {
        let delay = self.delay(network);
        let Some(line) = self.lines.get_mut(&socket) else { return };
        let poll = if head.polls() { POLL } else { Duration::ZERO };
        let mut when = network.now() + delay + poll + Duration::from_millis(self.lag.into());
        let last = self.character.announces && line.served + 1 >= self.character.requests_most;
        let acts = deed::acts(&self.character, network, id, head, deed, last);
        network.wake(when, Wake::Backend(self.index, socket));
        for (pause, act) in acts {
            when = when + pause * self.slowness;
            line.acts.push_back((when, act));
        }
    }

    /// The process is killed: all its connections end, by a reset or (the kernel closing them in
    /// order) by a FIN.
    pub(crate) fn kill(&mut self, network: &mut Network, by_reset: bool) {
        let lines = std::mem::take(&mut self.lines);
        for socket in network.open_of(Owner::Backend(self.index)) {
            // A FIN in the middle of an answer without framing looks like its end to everybody.
            if by_reset || lines.get(&socket).is_some_and(|line| line.until_close) {
                network.abort(socket);
            } else {
                network.close(socket);
            }
        }
    }

    /// The host lost power: nobody hears of it, and all connections are forgotten.
    pub(crate) fn lose_power(&mut self, network: &mut Network) {
        self.lines.clear();
        for socket in network.open_of(Owner::Backend(self.index)) {
            network.vanish(socket);
        }
    }
}

/// Takes the first one out if it is so. (`VecDeque` learned that after Rust 1.85.)
fn pop_if<T>(queue: &mut VecDeque<T>, condition: impl FnOnce(&T) -> bool) -> Option<T> {
    if queue.front().is_some_and(condition) {
        queue.pop_front()
    } else {
        None
    }
}
