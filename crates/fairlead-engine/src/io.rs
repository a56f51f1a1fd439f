//! How workers call the kernel: each call by itself, or many at once through an `io_uring`.
//!
//! Both are the same driver (`drive`): epoll says what has happened, and the flow is told the same
//! in the same order. What a ring saves is calls where a turn has many (`drive::batch`).

use serde::Serialize;

use crate::sys::ring::Ring;

/// What the operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Io {
    /// Each call by itself.
    #[default]
    Epoll,
    /// Many at once; nothing starts where that can't be.
    Uring,
    /// Many at once where that can be.
    Auto,
}

impl Io {
    /// As it stands in a configuration.
    pub fn parse(text: &str) -> Option<Io> {
        match text {
            "epoll" => Some(Io::Epoll),
            "uring" => Some(Io::Uring),
            "auto" => Some(Io::Auto),
            _ => None,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Io::Epoll => "epoll",
            Io::Uring => "uring",
            Io::Auto => "auto",
        }
    }
}

/// What is wanted, and from when on a turn's calls are made at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) io: Io,
    /// Events of a turn.
    pub(crate) batch_from: usize,
}

impl Default for Wanted {
    /// Three calls at once cost about as much as three.
    fn default() -> Wanted {
        Wanted { io: Io::default(), batch_from: 4 }
    }
}

/// What is used, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Used {
    configured: &'static str,
    driver: &'static str,
    /// Why not what was wanted first; `None` if it is.
    why: Option<String>,
}

impl Used {
    pub(crate) fn new(wanted: Io, why_not: Option<String>) -> Used {
        let is_ring = wanted != Io::Epoll && why_not.is_none();
        let driver = if is_ring { Io::Uring } else { Io::Epoll };
        Used { configured: wanted.text(), driver: driver.text(), why: why_not }
    }
}

/// A ring for each of so many workers, or none for any of them, and why.
///
/// # Errors
///
/// Why there is none, where nothing else will do.
pub(crate) fn rings(wanted: Io, workers: usize) -> Result<(Vec<Option<Ring>>, Used), String> {
    let none = || (0..workers).map(|_| None).collect();
    if wanted == Io::Epoll {
        return Ok((none(), Used::new(wanted, None)));
    }
    let rings: Result<Vec<_>, _> = (0..workers).map(|_| Ring::new().map(Some)).collect();
    match rings {
        Ok(rings) => Ok((rings, Used::new(wanted, None))),
        Err(why) if wanted == Io::Auto => Ok((none(), Used::new(wanted, Some(why)))),
        Err(why) => Err(format!("`io = \"uring\"`: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_said_with_the_reason() {
        let said = |used: Used| serde_json::to_string(&used).expect("text");
        let used = said(Used::new(Io::Auto, Some("forbidden".to_owned())));
        assert_eq!(used, r#"{"configured":"auto","driver":"epoll","why":"forbidden"}"#);
        let used = said(Used::new(Io::Uring, None));
        assert_eq!(used, r#"{"configured":"uring","driver":"uring","why":null}"#);
    }

    #[test]
    fn every_word_of_a_configuration_has_its_meaning() {
        for io in [Io::Epoll, Io::Uring, Io::Auto] {
            assert_eq!(Io::parse(io.text()), Some(io));
        }
        assert_eq!(Io::parse("io_uring"), None);
    }

    #[test]
    fn without_a_ring_all_workers_go_without() {
        let (rings, used) = rings(Io::Epoll, 3).expect("nothing is needed");
        assert!(rings.len() == 3 && rings.iter().all(Option::is_none));
        assert_eq!(used, Used::new(Io::Epoll, None));
    }
}
