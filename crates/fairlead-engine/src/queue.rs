//! Bytes that a socket has not taken yet.
//!
//! Most connections never have any, so an empty queue is one null pointer and owns no memory.

use std::collections::VecDeque;

/// Bytes that a socket has not taken yet, in order.
#[expect(clippy::box_collection, reason = "8 bytes instead of 32 in each connection")]
#[derive(Debug, Default)]
pub(crate) struct Queue(Option<Box<VecDeque<u8>>>);

impl Queue {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |bytes| bytes.len())
    }

    /// Appends `first` and `then`, without the `taken` bytes in front.
    pub(crate) fn push(&mut self, first: &[u8], then: &[u8], taken: usize) {
        let first_taken = taken.min(first.len());
        let (first, then) = (&first[first_taken..], &then[taken - first_taken..]);
        if first.is_empty() && then.is_empty() {
            return;
        }
        let bytes = self.0.get_or_insert_default();
        bytes.reserve(first.len() + then.len());
        bytes.extend(first);
        bytes.extend(then);
    }

    /// What is waiting, as two pieces (the store is a ring).
    pub(crate) fn pieces(&self) -> (&[u8], &[u8]) {
        self.0.as_ref().map_or((&[], &[]), |bytes| bytes.as_slices())
    }

    /// Forgets the first `count` bytes; the last one takes the memory with it.
    pub(crate) fn advance(&mut self, count: usize) {
        let Some(bytes) = &mut self.0 else { return };
        bytes.drain(..count);
        if bytes.is_empty() {
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
