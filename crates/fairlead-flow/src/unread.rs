//! Bytes of a connection that have come and are not read yet.
//!
//! Requests that wait for their turn are read off the front, one per answer. Moving what is behind
//! to the front each time would cost a client that sends a thousand small requests at once (128 KiB
//! at most) a thousand times that; so only a place is moved, and what has been read is dropped when
//! it is the larger part. Each byte is so moved once at most, on average.
//!
//! Not here: how much may wait (`http::client`).

/// Bytes, and how many of them have been read. Owns no memory while nothing is unread.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    bytes: Vec<u8>,
    read: usize,
}

impl Unread {
    /// What is unread.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.read..]
    }

    /// How many bytes are unread.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.read
    }

    /// Whether nothing is unread.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds what has come.
    pub(crate) fn push(&mut self, more: &[u8]) {
        if self.read > self.len() {
            self.bytes.drain(..self.read);
            self.read = 0;
        }
        self.bytes.extend_from_slice(more);
    }

    /// So many bytes of [`Self::bytes`] have been read. With the last one the memory goes, too.
    pub(crate) fn advance(&mut self, count: usize) {
        debug_assert!(count <= self.len());
        self.read = (self.read + count).min(self.bytes.len());
        if self.is_empty() {
            *self = Unread::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in_whatever_the_pieces() {
        let (mut unread, mut number) = (Unread::default(), 0_u32);
        let (mut sent, mut got) = (Vec::new(), Vec::new());
        while sent.len() < 10_000 {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let piece = vec![number as u8; (number >> 8) as usize % 40];
            unread.push(&piece);
            sent.extend_from_slice(&piece);
            let taken = unread.len().min((number >> 16) as usize % 50);
            got.extend_from_slice(&unread.bytes()[..taken]);
            unread.advance(taken);
        }
        got.extend_from_slice(unread.bytes());
        assert_eq!(got, sent);
    }

    #[test]
    fn nothing_unread_owns_no_memory() {
        let mut unread = Unread::default();
        unread.push(&[0; 1_000]);
        unread.advance(999);
        assert_eq!(unread.bytes(), [0]);
        unread.advance(1);
        assert!(unread.is_empty());
        assert_eq!(unread.bytes.capacity(), 0);
    }

    #[test]
    fn what_is_read_does_not_pile_up() {
        let mut unread = Unread::default();
        unread.push(&[0; 10]);
        for _ in 0..10_000 {
            unread.push(&[0; 10]);
            unread.advance(10);
        }
        assert!(unread.bytes.capacity() < 100, "{}", unread.bytes.capacity());
    }
}
