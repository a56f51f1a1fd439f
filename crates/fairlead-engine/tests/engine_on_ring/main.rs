//! The tests of `engine` with all calls of the kernel made in batches, through an `io_uring`.

#[path = "../engine/http.rs"]
mod http;
#[path = "../engine/kit.rs"]
mod kit;
#[path = "../engine/limits.rs"]
mod limits;
#[path = "../engine/policy.rs"]
mod policy;
#[path = "../engine/reload.rs"]
mod reload;
#[path = "../engine/stop.rs"]
mod stop;
#[path = "../engine/tcp.rs"]
mod tcp;
#[path = "../engine/workers.rs"]
mod workers;
