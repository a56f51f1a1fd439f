//! A tcp service: sends back what comes, finishes when the other side has finished.

use crate::network::{Network, SocketId};
use crate::report::Notes;
use crate::wire::Pattern;

/// Bytes of the id that a stream begins with.
pub(crate) const ID_BYTES: usize = 8;

/// How a stream ended for one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// The other side finished.
    Finished,
    /// It reset.
    Reset,
}

/// One connection of a tcp service.
#[derive(Debug)]
pub(super) struct Stream {
    /// The id, as far as it has come.
    begin: Vec<u8>,
    /// Bytes behind the id.
    taken: u64,
}

impl Stream {
    pub(super) fn new() -> Self {
        Stream { begin: Vec::new(), taken: 0 }
    }

    fn id(&self) -> Option<u64> {
        self.begin.as_slice().try_into().ok().map(u64::from_le_bytes)
    }

    /// Something has come. True if the connection is over.
    pub(super) fn look(
        &mut self,
        network: &mut Network,
        notes: &mut Notes,
        socket: SocketId,
        backend: usize,
    ) -> bool {
        // Nothing is read while what was sent back isn't taken: memory is bounded here, too.
        while network.socket(socket).queue.is_empty() {
            let bytes = network.read(socket, 16 * 1024);
            if bytes.is_empty() {
                break;
            }
            network.send(socket, &bytes);
            self.take(notes, backend, &bytes);
        }
        let it = network.socket(socket);
        let end = if it.failure.is_some() && it.inbox.is_empty() {
            StreamEnd::Reset
        } else if it.is_at_end() {
            StreamEnd::Finished
        } else {
            return false;
        };
        if let Some(id) = self.id() {
            notes.stream_at_backend(id, backend, self.taken, end);
        }
        network.close(socket);
        true
    }

    fn take(&mut self, notes: &mut Notes, backend: usize, bytes: &[u8]) {
        let own = (ID_BYTES - self.begin.len()).min(bytes.len());
        self.begin.extend_from_slice(&bytes[..own]);
        let rest = &bytes[own..];
        let Some(id) = self.id() else { return };
        if !Pattern::of(id).matches(self.taken, rest) {
            notes.fault(format!("backend {backend} was sent foreign bytes in stream {id}"));
        }
        self.taken += rest.len() as u64;
    }
}
