//! HTTP/1.1 and HTTP/1.0 (RFC 9110, RFC 9112).
//!
//! [`RequestHead`] and [`ResponseHead`] say what a head means; [`write`] writes it anew for the
//! other side; [`BodyReader`] says where a body ends and what of it goes on; [`answer`] writes
//! responses of our own. Nothing here knows a connection: the caller hands over bytes from the
//! first one that was not consumed yet, and is told how many belong to what.

pub mod answer;
pub mod body;
pub mod chunk;
pub mod framing;
pub(crate) mod grammar;
pub mod head;
pub mod method;
pub mod name;
pub mod request;
pub mod response;
pub mod strict;
pub(crate) mod target;
pub(crate) mod trailer;
pub mod write;

pub use answer::{write_answer, Answer};
pub use body::BodyReader;
pub use chunk::{chunk_head, ChunkLimits, ChunkReader, Fed, CHUNK_END, LAST_CHUNK};
pub use framing::Framing;
pub use head::{Fields, Limits, Parsed, Progress, Version};
pub use method::Method;
pub use name::Known;
pub use request::RequestHead;
pub use response::ResponseHead;
pub use write::{
    write_interim, write_request, write_response, Delivery, ForwardRequest, ForwardResponse,
};
