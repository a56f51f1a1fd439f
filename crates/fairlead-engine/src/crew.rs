//! The workers' threads: started together, ended together.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::io::{self, Used, Wanted};
use crate::mailbox::{Command, Mailbox};
use crate::sys::poll::Poller;
use crate::sys::ring::Ring;
use crate::watchdog::Watched;
use crate::worker::{self, Common, Way};

/// How long a thread that was told to end is waited for. Only one that hangs takes longer, and
/// nobody is to hang because of it.
const ENDING: Duration = Duration::from_secs(2);

/// All workers of an engine.
#[derive(Debug)]
pub(crate) struct Crew {
    common: Common,
    threads: Vec<JoinHandle<()>>,
    io: Used,
}

impl Crew {
    /// Starts `workers` threads. `common` has no boxes yet.
    ///
    /// # Errors
    ///
    /// A text, if the system has no more descriptors or threads, or not the driver that is wanted.
    /// What was started has ended then.
    pub(crate) fn start(workers: usize, wanted: Wanted, common: Common) -> Result<Crew, String> {
        let text = |error: std::io::Error| format!("can't start the workers: {error}");
        let boxes: Result<Arc<[_]>, _> =
            (0..workers).map(|_| Mailbox::new().map(Arc::new)).collect();
        let boxes = boxes.map_err(|error| text(error.into()))?;
        let (rings, io) = io::rings(wanted.io, workers)?;
        let mut crew = Crew { common: Common { boxes, ..common }, threads: Vec::new(), io };
        for number in 0..workers {
            crew.common.board.begin(number);
        }
        for (number, ring) in rings.into_iter().enumerate() {
            let batching = ring.map(|ring| (ring, wanted.batch_from));
            match crew.spawn(number, batching) {
                Ok(thread) => crew.threads.push(thread),
                Err(error) => {
                    for missing in number..workers {
                        crew.common.board.end(missing);
                    }
                    crew.end();
                    return Err(text(error));
                }
            }
        }
        Ok(crew)
    }

    fn spawn(
        &self,
        number: usize,
        batching: Option<(Ring, usize)>,
    ) -> std::io::Result<JoinHandle<()>> {
        let common = self.common.clone();
        let poller = Poller::new()?;
        poller.add_wake(&*common.boxes[number])?;
        let way = Way { poller, batching };
        // The standard library seeds its hash maps from the system's randomness.
        let seed = RandomState::new().build_hasher().finish();
        std::thread::Builder::new()
            .name(format!("fairlead-{number}"))
            .spawn(move || worker::live(number, seed, way, common))
    }

    /// Tells all workers the same.
    pub(crate) fn tell(&self, command: impl Fn() -> Command) {
        Mailbox::put_all(&self.common.boxes, command);
    }

    /// How they call the kernel.
    pub(crate) fn io(&self) -> &Used {
        &self.io
    }

    /// What somebody needs who wants to know whether they live.
    pub(crate) fn watched(&self) -> Watched {
        let Common { boxes, board, .. } = &self.common;
        Watched { boxes: Arc::clone(boxes), board: Arc::clone(board) }
    }

    /// Makes all workers take a turn.
    pub(crate) fn wake(&self) {
        for mailbox in &*self.common.boxes {
            mailbox.wake();
        }
    }

    /// Ends all threads, whatever is still open.
    pub(crate) fn end(self) {
        self.tell(|| Command::End);
        if self.common.board.wait_ended(ENDING) {
            for thread in self.threads {
                // A panic that got through is told already, and there is nothing left to save.
                drop(thread.join());
            }
        }
    }
}
