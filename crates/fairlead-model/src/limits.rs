//! Every limit that is not the user's to set, with its reason. (The user's stand in the plan.)

/// Bytes of a worker's receive buffer, and so the most that is read at once. A relay with 64 KiB
/// reads moves a GiB for 0.65 s of CPU where one with 16 KiB needs about twice that (measured).
pub const RECEIVE_BYTES: usize = 64 * 1024;

/// The most that is moved from one socket to another at once, without being looked at. A few
/// receive buffers: others get their turn as often as with those.
pub const FORWARD_BYTES: u64 = 256 * 1024;

/// Less than this at once, [`FORWARD_SMALL`] times in a row, is copied from then on: moving costs
/// two calls and a pipe whatever the size, and small messages are looked at for less.
pub const FORWARD_LEAST: usize = 4 * 1024;

/// See [`FORWARD_LEAST`]. A single one is nothing: the last segment of a sender's write of 256 KiB
/// has some hundred bytes, and often comes by itself.
pub const FORWARD_SMALL: u8 = 4;

/// Reads of one connection in a row before others get their turn.
pub const READS_PER_TURN: usize = 4;

/// Connections accepted in a row before those that are open get their turn.
pub const ACCEPTS_PER_TURN: usize = 64;

/// Bytes of request body kept so that the request can be sent again. One receive buffer: a body
/// that came with its head is replayed, a large upload is not held in memory.
pub const REPLAY_BYTES: usize = 64 * 1024;

/// Bytes of a response head. 4–8 KiB by default in nginx, 16 in `HAProxy`, 60 in Envoy; a page with many
/// cookies passes 16.
pub const RESPONSE_HEAD_BYTES: usize = 64 * 1024;

/// Header lines of a response.
pub const RESPONSE_HEADERS: usize = 256;

/// Interim (1xx) responses before the final one. There is no use for more than a few; without a
/// bound a backend could hold a client for ever.
pub const INTERIM_RESPONSES: u32 = 16;

/// Empty lines before a request line that are passed over (RFC 9112 §2.2 wants at least one).
pub const EMPTY_LINES: usize = 2;

/// Bytes that are read and thrown away behind the last request that is answered, so that the answer
/// isn't lost to a reset. A client that sends more is held back until [`DRAIN_MS`] are over.
pub const DRAIN_BYTES: usize = 256 * 1024;

/// How long such draining may take, in milliseconds.
pub const DRAIN_MS: u64 = 2_000;

/// So many http clients that found no place are waited for at a time, per worker, until they have
/// read so; each may take [`DRAIN_MS`] to go. Others are told and closed at once, which may cost
/// them the text: a flood of them must not hold more than those served.
pub const TURNED_AWAY: usize = 256;

/// Where there are few places they are fewer: one for so many places, over all workers, and
/// [`TURNED_AWAY_LEAST`] at least, in each. Their descriptors come out of those kept for backends,
/// checks and the API; where a backend's connection needs one they are let go at once.
pub const PLACES_PER_TURNED_AWAY: u32 = 16;

/// See [`PLACES_PER_TURNED_AWAY`].
pub const TURNED_AWAY_LEAST: usize = 4;

/// A connection that has been without a request for so long, in milliseconds, may be closed to make
/// room for another. Shorter pauses are those between two requests of a client that is at work.
pub const ROOM_AFTER_MS: u64 = 1_000;

/// Places that are looked at to find whoever has been idle for longest: with some idle ones among
/// them it is found, and a flood of new clients costs each some microseconds. As many connections
/// to backends are looked at for one that is only kept, where descriptors have run out.
pub const ROOM_LOOKS: usize = 256;

/// Idle ones among which the longest is chosen. The best of sixteen by chance belongs to the
/// longest tenth in four cases of five.
pub const ROOM_CHOICE: usize = 16;

/// Idle clients' connections, and as many kept for backends, that are closed for each newcomer or
/// request that is refused for want of memory. More than come in, so that what idles goes before
/// those who ask do; few, so that a flood of newcomers costs each some microseconds.
pub const SHED_AT_ONCE: usize = 4;

/// How far a client may fall behind `limits.min_rate` with a request's body, in milliseconds: a
/// mobile phone in a tunnel, and a while for its connection to become fast again.
pub const BEHIND_MS: u64 = 30_000;

/// Bytes that the kernel takes for a connection beyond what the other end's window allows it to
/// send (`TCP_NOTSENT_LOWAT`). Its own bound is 4 MiB, for whoever takes nothing as for others. As
/// much as is moved at once, so that a fast one never waits for the next.
pub const UNSENT_BYTES: u32 = 256 * 1024;

/// The same for a connection that has just been given [`FAST_BYTES`] without being looked at: who is
/// given a quarter of it at a time wakes us four times as often (a GiB through a tcp relay costs
/// half as much again, measured). Whoever still has something waiting at the next look for dead
/// ends (each 10 s) goes back to [`UNSENT_BYTES`].
pub const UNSENT_FAST_BYTES: u32 = 1024 * 1024;

/// So many bytes of one message, moved without being looked at, show that it goes fast.
pub const FAST_BYTES: u64 = 1024 * 1024;

/// [`FORWARD_BYTES`] for whoever has just been given [`FASTEST_BYTES`] within [`FASTEST_MS`]: an
/// upload of 64 MiB costs three quarters with it and [`UNSENT_FASTEST_BYTES`], measured. Whoever
/// moves so much at once has had its turn.
pub const FORWARD_FASTEST_BYTES: u64 = 1024 * 1024;

/// [`UNSENT_BYTES`] for those: as much as the kernel takes by itself, so long as it is gone within
/// a sixteenth of a second.
pub const UNSENT_FASTEST_BYTES: u32 = 4 * 1024 * 1024;

/// See [`FORWARD_FASTEST_BYTES`].
pub const FASTEST_BYTES: u64 = 4 * 1024 * 1024;

/// See [`FORWARD_FASTEST_BYTES`], in milliseconds. 64 MiB a second are more than a connection of
/// half a gigabit takes.
pub const FASTEST_MS: u64 = 62;

/// How long the bytes for whoever has just been given [`FASTEST_BYTES`] within [`FASTEST_MS`] gather
/// before they are moved on, in milliseconds: fewer, larger pieces are cheaper. At most twice as long,
/// where fewer come than have come so far.
pub const GATHER_MS: u64 = 1;

/// Kept idle connections per backend and worker. nginx's examples keep 16 to 64; a worker seldom
/// has more than this in flight to one backend, and each costs the backend a descriptor.
pub const IDLE_PER_BACKEND: usize = 128;

/// Requests and connections of one pool that wait for a backend in one worker (`retry.hold`). With
/// the largest bodies that are kept it is 64 MiB; at 100 requests/s it is the traffic of ten
/// seconds.
pub const HELD: usize = 1024;

/// Bytes of access log that a worker keeps while nobody takes them; further lines are lost, and
/// counted. At 300 bytes a line it is the work of a tenth of a second under full load.
pub const LOG_BYTES: usize = 1024 * 1024;
