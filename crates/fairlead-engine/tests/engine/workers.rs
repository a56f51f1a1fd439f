//! Several workers share the clients.

use std::io::{Read, Write};

use fairlead_model::plan::Protocol;

use crate::kit::{address, connect, echo, start, status, until};

#[test]
fn long_lived_clients_are_spread_over_the_workers() {
    let backend = echo();
    let engine = start(2, Protocol::Tcp, &[backend.address]);
    let mut clients = Vec::new();
    for _ in 0..40 {
        let mut client = connect(address(&engine));
        client.write_all(b"x").expect("write");
        client.read_exact(&mut [0]).expect("read");
        clients.push(client);
    }
    until("all are counted", || {
        let status = status(&engine);
        assert_eq!(status["listeners"][0]["connections_active"], 40);
        let spread = status["connections_per_worker"].as_array().expect("a list").clone();
        let spread: Vec<_> = spread.iter().filter_map(serde_json::Value::as_u64).collect();
        spread.iter().sum::<u64>() == 40 && spread.iter().all(|count| (17..=23).contains(count))
    });
}
