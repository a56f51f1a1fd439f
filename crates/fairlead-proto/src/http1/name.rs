//! Header names that matter, and what an intermediary does with each.
//!
//! A name is looked up by its length and first byte, then compared once, without case. Names that
//! nobody here has an interest in are [`Known::Other`].
//!
//! An underscore for a dash makes another name by the RFC, but the same one to whatever hands
//! headers over as environment variables (CGI, WSGI, PHP). So an underscore spelling of any name in
//! the table is an [`Known::Alias`], which is never passed on (Traefik's CVE-2026-88004).

/// A header name that matters to an intermediary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
#[expect(missing_docs, reason = "each variant is the name that it stands for")]
pub enum Known {
    /// A name that is of no interest here.
    #[default]
    Other,
    /// Any header that the message's own `Connection` names. It ends here.
    Nominated,
    /// A name in the table with underscores for dashes. It ends here.
    Alias,
    Authorization,
    CacheControl,
    Connection,
    ContentEncoding,
    ContentLength,
    ContentRange,
    ContentType,
    Cookie,
    Date,
    Expect,
    Forwarded,
    Host,
    Http2Settings,
    KeepAlive,
    MaxForwards,
    Proxy,
    ProxyAuthenticate,
    ProxyAuthenticationInfo,
    ProxyAuthorization,
    ProxyConnection,
    Server,
    SetCookie,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    Via,
    XForwardedFor,
    XForwardedHost,
    /// Any other name that begins with `x-forwarded-`.
    XForwardedOther,
    XForwardedProto,
    XRealIp,
    XRequestId,
}

type Row = (&'static [u8], Known);

/// The table, by length of the name: `BY_LENGTH[n]` has the names of n bytes.
const BY_LENGTH: [&[Row]; 26] = [
    &[],
    &[],
    &[(b"te", Known::Te)],
    &[(b"via", Known::Via)],
    &[(b"host", Known::Host), (b"date", Known::Date)],
    &[(b"proxy", Known::Proxy)],
    &[(b"cookie", Known::Cookie), (b"expect", Known::Expect), (b"server", Known::Server)],
    &[(b"upgrade", Known::Upgrade), (b"trailer", Known::Trailer)],
    &[],
    &[(b"forwarded", Known::Forwarded), (b"x-real-ip", Known::XRealIp)],
    &[
        (b"connection", Known::Connection),
        (b"keep-alive", Known::KeepAlive),
        (b"set-cookie", Known::SetCookie),
    ],
    &[],
    &[
        (b"content-type", Known::ContentType),
        (b"x-request-id", Known::XRequestId),
        (b"max-forwards", Known::MaxForwards),
    ],
    &[
        (b"cache-control", Known::CacheControl),
        (b"authorization", Known::Authorization),
        (b"content-range", Known::ContentRange),
    ],
    &[(b"content-length", Known::ContentLength), (b"http2-settings", Known::Http2Settings)],
    &[(b"x-forwarded-for", Known::XForwardedFor)],
    &[
        (b"content-encoding", Known::ContentEncoding),
        (b"proxy-connection", Known::ProxyConnection),
        (b"x-forwarded-host", Known::XForwardedHost),
    ],
    &[
        (b"x-forwarded-proto", Known::XForwardedProto),
        (b"transfer-encoding", Known::TransferEncoding),
    ],
    &[(b"proxy-authenticate", Known::ProxyAuthenticate)],
    &[(b"proxy-authorization", Known::ProxyAuthorization)],
    &[],
    &[],
    &[],
    &[],
    &[],
    &[(b"proxy-authentication-info", Known::ProxyAuthenticationInfo)],
];

const FORWARDED_PREFIX: &[u8] = b"x-forwarded-";

impl Known {
    /// The tag of a name, in any case.
    ///
    /// ```
    /// # use fairlead_proto::http1::Known;
    /// assert_eq!(Known::of(b"Content-Length"), Known::ContentLength);
    /// assert_eq!(Known::of(b"Content_Length"), Known::Alias);
    /// assert_eq!(Known::of(b"Accept"), Known::Other);
    /// ```
    pub fn of(name: &[u8]) -> Known {
        let first = name.first().map_or(0, |byte| byte | 0x20);
        for (known, tag) in BY_LENGTH.get(name.len()).copied().unwrap_or_default() {
            if known[0] == first && same_spelling(name, known) {
                return or_alias(name, *tag);
            }
        }
        if first == b'x' {
            return forwarded(name);
        }
        Known::Other
    }

    /// The same of a name that is plain ([`behind_name`](super::grammar::behind_name)): the
    /// first `length` bytes of `text`, which goes on. One comparison of a word nearly always tells.
    #[inline]
    pub(crate) fn of_plain(text: &[u8], length: usize) -> Known {
        let (Some(rows), Some(eight)) = (WORDS.get(length), text.first_chunk::<8>()) else {
            // Longer than any in the table (or shorter than any that begins so).
            return forwarded(&text[..length]);
        };
        let mask = u64::MAX >> (64 - 8 * length.clamp(1, 8));
        let word = (u64::from_le_bytes(*eight) | SMALL) & mask;
        for (place, row) in rows.iter().enumerate() {
            if word == row.first {
                let name = &text[..length];
                let ends = |last: &[u8; 8]| u64::from_le_bytes(*last) | SMALL == row.last;
                if length <= 8 || length <= 16 && name.last_chunk().is_some_and(ends) {
                    return row.known;
                }
                return of_long(name, place);
            }
        }
        if word as u8 == b'x' {
            return forwarded(&text[..length]);
        }
        Known::Other
    }

    /// Whether the line ends here whatever the configuration says: it speaks about this connection,
    /// about its body's framing, or to the nearest proxy (RFC 9110 §7.6.1; `Proxy-Authorization`
    /// and its answers are for the proxy that asked, which is not us, and none of a backend's
    /// business; `Proxy` is the header of httpoxy, CVE-2016-5385). Content-Length is not among
    /// them: its line goes on if it is in plain form.
    #[inline]
    pub const fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Known::Nominated
                | Known::Alias
                | Known::Connection
                | Known::Http2Settings
                | Known::KeepAlive
                | Known::Proxy
                | Known::ProxyAuthenticate
                | Known::ProxyAuthenticationInfo
                | Known::ProxyAuthorization
                | Known::ProxyConnection
                | Known::Te
                | Known::TransferEncoding
                | Known::Upgrade
        )
    }

    /// Whether the line tells a backend who the client was. Believed only from trusted proxies.
    #[inline]
    pub const fn is_forwarding(self) -> bool {
        matches!(
            self,
            Known::Forwarded
                | Known::XForwardedFor
                | Known::XForwardedHost
                | Known::XForwardedOther
                | Known::XForwardedProto
                | Known::XRealIp
                | Known::XRequestId
        )
    }

    /// Whether `Connection` may not take it away: the framing, where the message came from, and
    /// whatever is meant for all recipients of the content (RFC 9110 §7.6.1 forbids naming those).
    pub const fn is_protected(self) -> bool {
        matches!(
            self,
            Known::CacheControl
                | Known::ContentEncoding
                | Known::ContentLength
                | Known::ContentRange
                | Known::ContentType
                | Known::Date
                | Known::Expect
                | Known::Host
                | Known::TransferEncoding
                | Known::Via
        )
    }

    /// Whether a trailer of this name is left out: what frames, routes, authenticates or describes
    /// a message has to come before it (RFC 9110 §6.5.1).
    pub const fn is_no_trailer(self) -> bool {
        self.is_hop_by_hop()
            || self.is_forwarding()
            || self.is_protected()
            || matches!(
                self,
                Known::Authorization
                    | Known::Cookie
                    | Known::MaxForwards
                    | Known::SetCookie
                    | Known::Trailer
            )
    }
}

/// Whether `name` is `known`, without case, an underscore counting as a dash.
#[inline]
fn same_spelling(name: &[u8], known: &[u8]) -> bool {
    name.iter()
        .zip(known)
        .all(|(byte, want)| byte.to_ascii_lowercase() == *want || (*byte == b'_' && *want == b'-'))
}

/// What makes letters small, eight at a time; in a dash that bit is set already.
const SMALL: u64 = 0x2020_2020_2020_2020;

/// Names of one length at most.
const ROWS: usize = 3;

/// A name of the table as its first and its last eight bytes; of shorter ones the first hold all.
#[derive(Debug, Clone, Copy)]
struct Word {
    /// 0 stands for no name.
    first: u64,
    last: u64,
    known: Known,
}

static WORDS: [[Word; ROWS]; BY_LENGTH.len()] = words();

const fn words() -> [[Word; ROWS]; BY_LENGTH.len()] {
    let mut words = [[Word { first: 0, last: 0, known: Known::Other }; ROWS]; BY_LENGTH.len()];
    let mut length = 0;
    while length < BY_LENGTH.len() {
        let mut row = 0;
        while row < BY_LENGTH[length].len() {
            let (name, known) = BY_LENGTH[length][row];
            let behind = length.saturating_sub(8);
            words[length][row] = Word { first: eight(name, 0), last: eight(name, behind), known };
            row += 1;
        }
        length += 1;
    }
    words
}

/// Eight bytes of a name, or as many as there are.
const fn eight(name: &[u8], from: usize) -> u64 {
    let (mut word, mut at) = (0, 0);
    while at < 8 && from + at < name.len() {
        word |= (name[from + at] as u64) << (8 * at);
        at += 1;
    }
    word
}

/// The tag of a name that begins with eight bytes of one in the table, in that place or behind it.
fn of_long(name: &[u8], place: usize) -> Known {
    let rows = BY_LENGTH.get(name.len()).copied().unwrap_or_default();
    let found = rows.iter().skip(place).find(|(known, _)| same_letters(name, known));
    found.map_or_else(|| forwarded(name), |(_, known)| *known)
}

/// Whether `name`, of letters and dashes, is `known`, which is as long (eight bytes or more),
/// without case. The last piece overlaps the one before.
#[inline]
fn same_letters(name: &[u8], known: &[u8]) -> bool {
    let same = |one: &[u8; 8], other: &[u8; 8]| {
        u64::from_le_bytes(*one) | SMALL == u64::from_le_bytes(*other)
    };
    let last = name.last_chunk::<8>().zip(known.last_chunk::<8>());
    if !last.is_some_and(|(one, other)| same(one, other)) {
        return false;
    }
    let (mut rest, mut known_rest) = (name, known);
    while let (Some((one, more)), Some((other, known_more))) =
        (rest.split_first_chunk::<8>(), known_rest.split_first_chunk::<8>())
    {
        if !same(one, other) {
            return false;
        }
        (rest, known_rest) = (more, known_more);
    }
    true
}

#[inline]
fn or_alias(name: &[u8], tag: Known) -> Known {
    if name.contains(&b'_') {
        Known::Alias
    } else {
        tag
    }
}

fn forwarded(name: &[u8]) -> Known {
    if name.len() <= FORWARDED_PREFIX.len() || !same_spelling(name, FORWARDED_PREFIX) {
        return Known::Other;
    }
    or_alias(name, Known::XForwardedOther)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::grammar::behind_name;

    #[test]
    fn the_table_is_sorted_by_length_and_finds_itself() {
        for (length, rows) in BY_LENGTH.iter().enumerate() {
            for (name, tag) in *rows {
                assert_eq!(name.len(), length);
                assert_eq!(Known::of(name), *tag);
                assert_eq!(Known::of(&name.to_ascii_uppercase()), *tag);
            }
        }
    }

    #[test]
    fn plain_names_are_told_as_all_names_are() {
        let mut checked = 0;
        for (name, _) in BY_LENGTH.iter().flat_map(|rows| rows.iter()) {
            for at in 0..name.len() {
                for byte in b'A'..=b'z' {
                    let mut other = name.to_ascii_uppercase();
                    other[at] = byte;
                    let line = [&other, &b": and a value"[..]].concat();
                    let (rest, plain) = behind_name(&line);
                    let end = line.len() - rest.len();
                    if plain {
                        assert_eq!(Known::of_plain(&line, end), Known::of(&line[..end]));
                        checked += 1;
                    }
                }
            }
        }
        assert!(checked > 10_000, "{checked}");
    }

    #[test]
    fn forwarding_names_of_any_length_are_told() {
        for length in 1..200 {
            let name = [FORWARDED_PREFIX, &b"n".repeat(length)].concat();
            let line = [&name, &b": and a value"[..]].concat();
            assert_eq!(Known::of(&name), Known::XForwardedOther);
            assert_eq!(Known::of_plain(&line, name.len()), Known::XForwardedOther, "{length}");
        }
    }

    #[test]
    fn an_underscore_makes_an_alias_of_every_name_with_a_dash() {
        for (name, tag) in BY_LENGTH.iter().flat_map(|rows| rows.iter()) {
            let alias: Vec<u8> =
                name.iter().map(|byte| if *byte == b'-' { b'_' } else { *byte }).collect();
            let want = if alias == *name { *tag } else { Known::Alias };
            assert_eq!(Known::of(&alias), want);
        }
        assert_eq!(Known::of(b"x-forwarded_for"), Known::Alias);
        assert_eq!(Known::of(b"X_Forwarded_Anything"), Known::Alias);
    }

    #[test]
    fn near_misses_are_other_names() {
        for name in ["", "hos", "hosts", "hest", "content-lengti", "x-forwarded-", "x-forwardedfor"]
        {
            assert_eq!(Known::of(name.as_bytes()), Known::Other, "{name}");
        }
        assert_eq!(Known::of(b"x_y"), Known::Other);
        assert_eq!(Known::of(b"X-Forwarded-Port"), Known::XForwardedOther);
    }
}
