//! What a message says about this one connection, and which of its headers end here.
//!
//! `Connection` lists options; an option that is a header's name takes that header away, and a
//! trailer of that name (RFC 9110 §7.6.1). It can't take away what frames the message or what is
//! meant for everybody ([`Known::is_protected`]): a client that nominates `Host` or `Content-Type`
//! wants the next one to read another message than we did. And since nominated lines are left out
//! before our own are added, nobody can take away a header that we add (Traefik's CVE-2024-45410),
//! nor in a request what a trusted proxy said about its client: it may hand on a `Connection` that
//! its client wrote (Apache's CVE-2022-31813). From a client that isn't trusted nothing of that
//! kind goes on anyway.

use crate::http1::grammar;
use crate::http1::head::Line;
use crate::http1::name::Known;
use crate::http1::strict;
use crate::refusal::Refusal;

/// More options than any message has; a bound on the work of looking for what they name.
const OPTIONS_MAX: u8 = 32;

/// What `Connection` says.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
    /// Whether any other option is there, which may name a header.
    nominates: bool,
    count: u8,
}

impl Options {
    /// Takes note of a `Connection` header. What is no token in it names nothing and is passed
    /// over: the line itself never goes on.
    pub(crate) fn note(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for option in grammar::list(value) {
            self.count += 1;
            if self.count > OPTIONS_MAX {
                return Err(strict::TOO_MANY_OPTIONS);
            }
            if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else {
                self.nominates = true;
            }
        }
        Ok(())
    }

    /// Tags the lines of a request that `Connection` takes away.
    pub(crate) fn mark_in_request(self, lines: &mut [Line], input: &[u8]) {
        if self.nominates {
            mark_nominated(lines, input, Known::is_forwarding);
        }
    }

    /// Tags the lines of a response that `Connection` takes away.
    pub(crate) fn mark_in_response(self, lines: &mut [Line], input: &[u8]) {
        if self.nominates {
            mark_nominated(lines, input, |_| false);
        }
    }

    /// What `Connection` may name, as a list: the trailers of such names are to be left out.
    pub(crate) fn nominated(self, lines: &[Line], input: &[u8]) -> Option<Box<[u8]>> {
        let named = lines.iter().filter(|line| line.known == Known::Connection);
        self.nominates.then(|| {
            let values: Vec<_> = named.map(|line| line.value.of(input)).collect();
            values.join(&b","[..]).into_boxed_slice()
        })
    }
}

fn mark_nominated(lines: &mut [Line], input: &[u8], stays: fn(Known) -> bool) {
    for at in 0..lines.len() {
        if lines[at].known != Known::Connection {
            continue;
        }
        for option in grammar::list(lines[at].value.of(input)) {
            mark(lines, option, input, stays);
        }
    }
}

fn mark(lines: &mut [Line], option: &[u8], input: &[u8], stays: fn(Known) -> bool) {
    for line in lines {
        let is_named = line.name(input).eq_ignore_ascii_case(option);
        let ends_here = !line.known.is_protected() && !line.known.is_hop_by_hop();
        if is_named && ends_here && !stays(line.known) {
            line.known = Known::Nominated;
        }
    }
}

/// The seconds of a `Keep-Alive: timeout=`; `None` if it has none that can be read.
pub(crate) fn keep_alive_timeout(value: &[u8]) -> Option<u32> {
    grammar::list(value).find_map(|parameter| {
        let equals = parameter.iter().position(|byte| *byte == b'=')?;
        let (name, number) = (&parameter[..equals], &parameter[equals + 1..]);
        if !grammar::trimmed(name).eq_ignore_ascii_case(b"timeout") {
            return None;
        }
        grammar::number(grammar::trimmed(number)).and_then(|number| u32::try_from(number).ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_no_case_and_any_order() {
        let mut options = Options::default();
        assert_eq!(options.note(b"Upgrade,, KEEP-alive"), Ok(()));
        assert!(options.upgrade && options.keep_alive && !options.close && !options.nominates);
        assert_eq!(options.note(b"closed, close"), Ok(()));
        assert!(options.close && options.nominates);
    }

    #[test]
    fn options_without_end_are_refused() {
        let mut options = Options::default();
        assert_eq!(options.note(&b"a,".repeat(32)), Ok(()));
        assert_eq!(options.note(b"b"), Err(strict::TOO_MANY_OPTIONS));
    }

    #[test]
    fn a_keep_alive_timeout_is_seconds() {
        assert_eq!(keep_alive_timeout(b"timeout=5, max=100"), Some(5));
        assert_eq!(keep_alive_timeout(b"max=100,Timeout = 75"), Some(75));
        for none in ["", "5", "timeout", "timeout=", "timeout=x", "timeout=99999999999"] {
            assert_eq!(keep_alive_timeout(none.as_bytes()), None, "{none}");
        }
    }
}
