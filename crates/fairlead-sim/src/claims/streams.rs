//! What is promised to tcp connections: (a), (b), (d), and that an end is passed on as what it is.

use super::Promises;
use crate::backend::StreamEnd;
use crate::report::{Report, StreamStory};
use crate::setting::Trouble;

pub(super) fn check(promises: &Promises, report: &Report) -> Vec<String> {
    report.streams.iter().filter_map(|stream| judge(promises, report, stream)).collect()
}

fn judge(promises: &Promises, report: &Report, stream: &StreamStory) -> Option<String> {
    let (id, there) = (stream.id, report.streams_at_backends.get(&stream.id));
    let nobody = Vec::new();
    let sends = report.sends.get(&id).unwrap_or(&nobody);
    if sends.len() > 1 {
        return Some(format!("(b) stream {id} was sent to {sends:?}"));
    }
    if let Some(there) = there {
        if there.end == StreamEnd::Finished && there.taken < stream.wanted && !stream.closed {
            return Some(format!(
                "(d) stream {id} ended in order for its backend after {} of {} bytes",
                there.taken, stream.wanted
            ));
        }
    }
    if stream.left {
        return None;
    }
    let safe = sends.iter().all(|host| promises.is_anchor(*host));
    // A backend that dies between its connect and the first byte takes its client with it.
    let dies = promises.troubles.iter().any(|trouble| {
        sends.is_empty() && trouble.from >= stream.began && trouble.from <= stream.ended
    });
    // Who closes before it was sent anything has said all that it wants to: on tcp an end without a
    // word is an answer as well, and is passed on.
    let mute = sends.is_empty() && stream.end == StreamEnd::Finished && stream.came_back == 0;
    let closes = promises.troubles.iter().any(|trouble| {
        trouble.what == Trouble::Closes
            && trouble.from <= stream.ended
            && trouble.until >= stream.began
    });
    if !safe || dies || mute && closes || !promises.can_answer(0) {
        return None;
    }
    let whole = stream.came_back == stream.wanted && stream.sent == stream.wanted;
    (stream.end == StreamEnd::Reset || !whole).then(|| {
        format!("(a) a stream ended badly at a backend that is well: {stream:?} there {there:?}")
    })
}
