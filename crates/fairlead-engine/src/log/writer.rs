//! The thread that writes the access log.
//!
//! Whatever becomes of its files, it goes on: a line that can't be written is lost and counted,
//! and the next is tried again.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use fairlead_model::event::Event;

use crate::guard;
use crate::log::output::Output;
use crate::log::{AccessLog, Item, Queue, SPARE, SPARE_BYTES, TOLD_EVERY};
use crate::sys::signals;

/// How often a writer that waits for a slow reader looks whether it still should.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// The whole life of the writer's thread.
pub(super) fn live(log: &AccessLog) {
    signals::block_in_this_thread();
    guard::cover_this_thread();
    let mut outputs = Vec::new();
    while let Some(item) = log.next() {
        // A panic here is a bug that may cost lines; it must not cost all that follow.
        if let Err(why) = guard::catch(|| log.deal_with(item, &mut outputs)) {
            log.events.tell(Event::AccessLog { lost: 0, why });
        }
    }
    let mut queue = log.lock();
    queue.ended = true;
    drop(queue);
    log.end.notify_all();
}

impl AccessLog {
    /// What is to be done next; waits for it. `None`: end.
    fn next(&self) -> Option<Item> {
        let mut queue = self.lock();
        loop {
            if let Some(item) = queue.items.pop_front() {
                if let Item::Lines(_, lines) = &item {
                    queue.bytes -= lines.len();
                }
                return Some(item);
            }
            if queue.end.is_some() {
                return None;
            }
            // What is not told yet will be, also if nothing else happens.
            queue = if self.has_untold() {
                self.work.wait_timeout(queue, TOLD_EVERY).unwrap_or_else(PoisonError::into_inner).0
            } else {
                self.work.wait(queue).unwrap_or_else(PoisonError::into_inner)
            };
            let mut losses = self.losses.hold();
            self.tell(&mut losses);
        }
    }

    fn has_untold(&self) -> bool {
        self.losses.hold().untold > 0
    }

    fn deal_with(&self, item: Item, outputs: &mut Vec<Output>) {
        match item {
            Item::Lines(to, lines) => {
                match outputs.iter_mut().find(|output| *output.to() == to) {
                    Some(output) => self.write(output, &lines),
                    None => self.lose(count(&lines)),
                }
                self.give_back(lines);
            }
            Item::Open(output) => {
                outputs.retain(|old| old.to() != output.to());
                outputs.push(output);
            }
            Item::Keep(to) => outputs.retain(|output| Some(output.to()) == to.as_ref()),
            Item::Reopen => {
                if let Some(output) = outputs.iter_mut().find(|one| self.is_to_reopen(one.to())) {
                    self.reopen_one(output);
                }
            }
        }
    }

    /// Whether this file is still to be opened anew; from now on that is done. Another than the
    /// one that lines go to now is about to be closed, and doesn't use the request up.
    fn is_to_reopen(&self, to: &Arc<str>) -> bool {
        let queue = &mut *self.lock();
        queue.current.as_ref() == Some(to) && std::mem::take(&mut queue.reopens)
    }

    fn reopen_one(&self, output: &mut Output) {
        if let Err(why) = output.reopen() {
            let why = format!("`{}` can't be opened again: {why}", output.to());
            self.events.tell(Event::AccessLog { lost: 0, why });
        }
    }

    fn write(&self, output: &mut Output, mut lines: &[u8]) {
        let to = Arc::clone(output.to());
        loop {
            let outcome = output.write(lines, LOOK, |why| {
                self.suffer(&to, Some(why));
                self.is_worth_waiting_for(&to)
            });
            let Err(unwritten) = outcome else {
                self.suffer(&to, None);
                self.lines.fetch_add(count(lines), Ordering::Relaxed);
                return;
            };
            self.suffer(&to, Some(&unwritten.why));
            let (written, rest) = lines.split_at(unwritten.written);
            self.lines.fetch_add(count(written), Ordering::Relaxed);
            if !self.is_to_reopen(&to) {
                self.lose(count(rest));
                return;
            }
            // Who has put a file in the place of a pipe that nobody reads wants lines there now.
            self.reopen_one(output);
            lines = rest;
            if !written.is_empty() && !written.ends_with(b"\n") {
                let torn = lines.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                lines = &lines[torn..];
                self.lose(1);
            }
        }
    }

    /// Notes what keeps lines from being written, for whoever tells of losses.
    fn suffer(&self, to: &str, why: Option<&str>) {
        let mut losses = self.losses.hold();
        losses.cause = why.map(|why| format!("`{to}`: {why}"));
        self.tell(&mut losses);
    }

    fn is_worth_waiting_for(&self, to: &Arc<str>) -> bool {
        let Queue { current, end, reopens, .. } = &*self.lock();
        !reopens && current.as_ref() == Some(to) && end.is_none_or(|end| Instant::now() < end)
    }

    fn give_back(&self, lines: Vec<u8>) {
        let mut queue = self.lock();
        if queue.spare.len() < SPARE && lines.capacity() <= SPARE_BYTES {
            queue.spare.push(lines);
        }
    }
}

#[expect(clippy::naive_bytecount, reason = "this thread has time")]
fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}
