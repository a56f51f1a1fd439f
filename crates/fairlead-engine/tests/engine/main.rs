//! The engine against real clients and backends on the loopback device.

mod http;
mod kit;
mod limits;
mod policy;
mod reload;
mod stop;
mod tcp;
mod workers;
