//! Ports that the kernel chooses for those who connect.

use std::ops::RangeInclusive;
use std::time::Duration;

use fairlead_model::moment::Moment;

/// They are read again after so long: an administrator may widen them at any time.
const FRESH: Duration = Duration::from_secs(10);

/// The ports that a connection from this machine may have on this side.
#[derive(Debug)]
pub(crate) struct ChosenPorts {
    range: RangeInclusive<u16>,
    until: Moment,
}

impl ChosenPorts {
    /// All, until they are first asked for.
    pub(crate) fn new() -> Self {
        ChosenPorts { range: 0..=u16::MAX, until: Moment::ZERO }
    }

    /// Whether this is one of them.
    pub(crate) fn include(&mut self, port: u16, now: Moment) -> bool {
        if now >= self.until {
            self.until = now + FRESH;
            let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
            self.range = text.ok().and_then(|text| range(&text)).unwrap_or(0..=u16::MAX);
        }
        self.range.contains(&port)
    }
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.trim().split_once(char::is_whitespace)?;
    Some(first.parse().ok()?..=last.trim().parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_words_are_understood_or_all_ports_are_meant() {
        assert_eq!(range("32768\t60999\n"), Some(32_768..=60_999));
        assert_eq!(range("1 65535"), Some(1..=65_535));
        for text in ["", "\n", "32768", "a b", "1 65536", "32768 60999 3"] {
            assert_eq!(range(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_port_that_the_kernel_has_chosen_is_one_of_them() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = socket.local_addr().expect("address").port();
        assert!(ChosenPorts::new().include(port, Moment::ZERO));
    }

    #[test]
    fn they_are_read_again_after_a_while() {
        let mut ports = ChosenPorts::new();
        ports.include(80, Moment::ZERO);
        ports.range = 1..=2;
        assert!(ports.include(1, Moment::ZERO) && !ports.include(3, Moment::ZERO));
        let later = Moment::ZERO + FRESH;
        let read = ChosenPorts::new().include(1, later);
        assert_eq!(ports.include(1, later), read);
        assert_ne!(ports.range, 1..=2);
    }
}
