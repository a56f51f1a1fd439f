//! Bytes that go in at one end and come out at the other, whole blocks at a time.
//!
//! A `VecDeque` gives its bytes away one by one, which took half of the time of all worlds.

/// The bytes.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    bytes: Vec<u8>,
    /// So many of them are out already.
    taken: usize,
}

impl Pipe {
    /// How many are in it.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts some in.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        if self.taken * 2 > self.bytes.len() {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Puts a block in, as it is if it can be.
    pub(super) fn put_whole(&mut self, bytes: Vec<u8>) {
        if self.is_empty() {
            *self = Pipe { bytes, taken: 0 };
        } else {
            self.put(&bytes);
        }
    }

    /// Takes the first `count` out, or all there are.
    pub(super) fn take(&mut self, count: usize) -> Vec<u8> {
        if self.taken == 0 && count >= self.bytes.len() {
            return std::mem::take(&mut self.bytes);
        }
        let end = self.taken + count.min(self.len());
        let out = self.bytes[self.taken..end].to_vec();
        self.taken = end;
        if self.is_empty() {
            self.clear();
        }
        out
    }

    /// Throws away what is in it.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairlead_balance::Random;

    #[test]
    fn what_goes_in_comes_out_in_order_whatever_the_pieces() {
        let mut random = Random::new(5);
        let (mut pipe, mut put, mut got) = (Pipe::default(), Vec::new(), Vec::new());
        for _ in 0..2_000 {
            let piece: Vec<u8> = (0..random.below(9)).map(|_| random.next() as u8).collect();
            put.extend_from_slice(&piece);
            if random.below(2) == 0 {
                pipe.put(&piece);
            } else {
                pipe.put_whole(piece);
            }
            got.extend(pipe.take(random.below(9)));
            assert_eq!(pipe.len(), put.len() - got.len());
        }
        got.extend(pipe.take(usize::MAX));
        assert!(pipe.is_empty());
        assert_eq!(put, got);
    }
}
