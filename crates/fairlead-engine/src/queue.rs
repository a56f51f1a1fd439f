//! Bytes that a socket has not taken yet.
//!
//! Most connections never have any, so an empty queue is one null pointer and owns no memory.
//! Bytes that came through a pipe wait in it, before those that were copied.

use std::collections::VecDeque;

use crate::sys::pipe::Pipe;

/// Bytes that a socket has not taken yet, in order.
#[derive(Debug, Default)]
pub(crate) struct Queue(Option<Box<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    /// What is in here is sent first.
    pipe: Option<Pipe>,
    bytes: VecDeque<u8>,
}

impl Queue {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        let len =
            |waiting: &Waiting| waiting.pipe.as_ref().map_or(0, Pipe::held) + waiting.bytes.len();
        self.0.as_deref().map_or(0, len)
    }

    /// Appends `first` and `then`, without the `taken` bytes in front.
    pub(crate) fn push(&mut self, first: &[u8], then: &[u8], taken: usize) {
        let first_taken = taken.min(first.len());
        let (first, then) = (&first[first_taken..], &then[taken - first_taken..]);
        if first.is_empty() && then.is_empty() {
            return;
        }
        let bytes = &mut self.0.get_or_insert_default().bytes;
        bytes.reserve(first.len() + then.len());
        bytes.extend(first);
        bytes.extend(then);
    }

    /// Keeps a pipe with the bytes in it. The queue must be empty.
    pub(crate) fn keep(&mut self, pipe: Pipe) {
        debug_assert!(self.is_empty());
        self.0.get_or_insert_default().pipe = Some(pipe);
    }

    /// The pipe that is to be emptied first, if there is one.
    pub(crate) fn pipe(&mut self) -> Option<&mut Pipe> {
        self.0.as_mut()?.pipe.as_mut()
    }

    /// Gives an emptied pipe back; true if nothing else is waiting.
    pub(crate) fn end_pipe(&mut self) -> bool {
        let Some(waiting) = &mut self.0 else { return true };
        waiting.pipe = None;
        if waiting.bytes.is_empty() {
            self.0 = None;
        }
        self.is_empty()
    }

    /// What is waiting behind the pipe, as two pieces (the store is a ring).
    pub(crate) fn pieces(&self) -> (&[u8], &[u8]) {
        self.0.as_ref().map_or((&[], &[]), |waiting| waiting.bytes.as_slices())
    }

    /// Forgets the first `count` of these bytes; the last one takes the memory with it.
    pub(crate) fn advance(&mut self, count: usize) {
        let Some(waiting) = &mut self.0 else { return };
        waiting.bytes.drain(..count);
        if waiting.bytes.is_empty() && waiting.pipe.is_none() {
            self.0 = None;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(queue: &Queue) -> Vec<u8> {
        let (one, other) = queue.pieces();
        [one, other].concat()
    }

    #[test]
    fn keeps_order_and_forgets_what_was_taken() {
        let mut queue = Queue::default();
        queue.push(b"abc", b"def", 4);
        assert_eq!(content(&queue), b"ef");
        queue.push(b"gh", b"", 0);
        queue.push(b"", b"ijk", 0);
        assert_eq!((content(&queue).as_slice(), queue.len()), (b"efghijk".as_slice(), 7));
        queue.advance(3);
        assert_eq!(content(&queue), b"hijk");
        queue.advance(4);
        assert!(queue.is_empty());
    }

    #[test]
    fn nothing_to_keep_costs_nothing() {
        let mut queue = Queue::default();
        queue.push(b"abc", b"de", 5);
        assert!(queue.is_empty());
        assert!(std::mem::size_of::<Queue>() == std::mem::size_of::<usize>());
    }
}
