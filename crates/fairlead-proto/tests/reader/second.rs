//! A second reader of the same rules, for comparison: strings, copies and searches instead of
//! ranges and tables. It is slow, it wants everything at once, and it says only yes or no. That two
//! readers made so differently agree is what the tests and fuzz targets check.

use std::net::Ipv6Addr;

/// A body's framing, as in the crate, but in a type of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

pub(crate) type Field = (String, Vec<u8>);

#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) start: Vec<Vec<u8>>,
    /// Names in lower case, values trimmed.
    pub(crate) fields: Vec<Field>,
    pub(crate) body: Body,
    /// Bytes of the head.
    pub(crate) length: usize,
}

impl Message {
    pub(crate) fn values(&self, name: &str) -> Vec<&[u8]> {
        values(&self.fields, name)
    }

    /// Host and port of an absolute target.
    pub(crate) fn absolute(&self) -> Option<(String, String)> {
        absolute(&text(&self.start[1]))
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn values<'a>(fields: &'a [Field], name: &str) -> Vec<&'a [u8]> {
    let named = fields.iter().filter(|field| field.0 == name);
    named.map(|field| field.1.as_slice()).collect()
}

/// All elements of all fields of this name, in lower case.
pub(crate) fn elements(fields: &[Field], name: &str) -> Vec<String> {
    let all = values(fields, name).into_iter().map(text).collect::<Vec<_>>().join(",");
    let trimmed = all.split(',').map(|element| element.trim_matches([' ', '\t']));
    trimmed.filter(|element| !element.is_empty()).map(str::to_ascii_lowercase).collect()
}

fn token(bytes: &[u8]) -> bool {
    let mark = |byte: u8| "!#$%&'*+-.^_`|~".contains(char::from(byte));
    !bytes.is_empty() && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || mark(*byte))
}

fn field(line: &[u8]) -> Option<Field> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let fine = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7F);
    if !token(name) || !value.iter().all(fine) {
        return None;
    }
    let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    Some((text(name).to_ascii_lowercase(), value[start..end].to_vec()))
}

/// Lines without their CRLF, and the bytes of all of them with the empty one.
fn lines(bytes: &[u8]) -> Option<(Vec<&[u8]>, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let mut lines = Vec::new();
    let mut rest = &bytes[..end + 2];
    while let Some(length) = rest.windows(2).position(|two| two == b"\r\n") {
        lines.push(&rest[..length]);
        rest = &rest[length + 2..];
    }
    let whole = lines.iter().all(|line| !line.contains(&b'\r') && !line.contains(&b'\n'));
    (whole && rest.is_empty() && !lines[0].is_empty()).then_some((lines, end + 4))
}

/// A number of digits alone.
fn number(bytes: &[u8]) -> Option<u64> {
    let digits = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    digits.then(|| text(bytes).parse().ok())?
}

/// What the fields say about the body, `absent` if nothing; `None` if they say it wrongly.
fn framing(fields: &[Field], old: bool, absent: Body) -> Option<Body> {
    let lengths = values(fields, "content-length");
    let codings = values(fields, "transfer-encoding");
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Some(absent),
        ([length], []) => Some(Body::Length(number(length)?)),
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") && !old => Some(Body::Chunked),
        _ => None,
    }
}

/// Whether it is a host with an optional port.
pub(crate) fn host(authority: &str) -> bool {
    let (host_is_fine, rest) = if let Some(inner) = authority.strip_prefix('[') {
        let Some((address, rest)) = inner.split_once(']') else { return false };
        (address.parse::<Ipv6Addr>().is_ok(), rest)
    } else {
        let end = authority.find(':').unwrap_or(authority.len());
        let name = &authority[..end];
        let fine = |letter: char| letter.is_ascii_alphanumeric() || "-._~".contains(letter);
        (!name.is_empty() && name.chars().all(fine), &authority[end..])
    };
    let port_is_fine = rest.is_empty()
        || rest.strip_prefix(':').is_some_and(|port| {
            let digits = port.chars().all(|letter| letter.is_ascii_digit()) && port.len() < 6;
            digits && (port.is_empty() || port.parse::<u16>().is_ok())
        });
    host_is_fine && port_is_fine
}

/// Authority and the rest of an absolute target.
fn absolute(target: &str) -> Option<(String, String)> {
    let lower = target.to_ascii_lowercase();
    let scheme = ["http://", "https://"].into_iter().find(|scheme| lower.starts_with(scheme))?;
    let rest = &target[scheme.len()..];
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    Some((rest[..end].to_owned(), rest[end..].to_owned()))
}

fn target_is_fine(target: &str, method: &str) -> bool {
    if !target.chars().all(|letter| letter.is_ascii_graphic() && letter != '#') {
        return false;
    }
    let is_absolute = absolute(target).is_some_and(|(authority, _)| host(&authority));
    target.starts_with('/') || (target == "*" && method == "OPTIONS") || is_absolute
}

/// Reads a request head.
pub(crate) fn request(input: &[u8]) -> Option<Message> {
    let mut bytes = input;
    for _ in 0..2 {
        bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    }
    let (lines, length) = lines(bytes)?;
    let start: Vec<Vec<u8>> = lines[0].split(|byte| *byte == b' ').map(<[u8]>::to_vec).collect();
    let [method, target, version] = start.as_slice() else { return None };
    let (method_name, version) = (text(method), text(version));
    let fields = lines[1..].iter().map(|line| field(line)).collect::<Option<Vec<_>>>()?;
    let is_first_major = version.len() == 8 && version.starts_with("HTTP/1.");
    let old = version == "HTTP/1.0";
    if !token(method) || method_name == "CONNECT" || !target_is_fine(&text(target), &method_name) {
        return None;
    }
    if !is_first_major || !version.ends_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let hosts = values(&fields, "host");
    if hosts.len() > 1 || (hosts.is_empty() && !old) || !hosts.iter().all(|name| host(&text(name)))
    {
        return None;
    }
    let body = framing(&fields, old, Body::None)?;
    let counted = ["TRACE", "OPTIONS"].contains(&method_name.as_str());
    let counts = values(&fields, "max-forwards");
    if counted && counts.iter().any(|count| number(count).is_none()) {
        return None;
    }
    if method_name == "TRACE" && ![Body::None, Body::Length(0)].contains(&body) {
        return None;
    }
    let expects = elements(&fields, "expect");
    if expects.iter().any(|expectation| expectation != "100-continue") {
        return None;
    }
    if elements(&fields, "connection").len() > 32 {
        return None;
    }
    Some(Message { start, fields, body, length: length + (input.len() - bytes.len()) })
}

/// Reads a response head.
pub(crate) fn response(input: &[u8], to_head: bool) -> Option<Message> {
    let (lines, length) = lines(input)?;
    let line = text(lines[0]);
    let (version, rest) = line.split_at_checked(8)?;
    let is_first_major = version.starts_with("HTTP/1.") && version.as_bytes()[7].is_ascii_digit();
    let (status, phrase) = rest.strip_prefix(' ')?.split_at_checked(3)?;
    let status_is_fine = status.chars().all(|letter| letter.is_ascii_digit())
        && ["1", "2", "3", "4", "5"].contains(&&status[..1]);
    let phrase_is_fine = phrase.is_empty() || phrase.starts_with(' ');
    let control = |letter: char| letter != '\t' && (letter < ' ' || letter == '\u{7f}');
    if !is_first_major || !status_is_fine || !phrase_is_fine || phrase.contains(control) {
        return None;
    }
    let fields = lines[1..].iter().map(|line| field(line)).collect::<Option<Vec<_>>>()?;
    let named = framing(&fields, version == "HTTP/1.0", Body::UntilClose)?;
    let bodiless = status.starts_with('1') || status == "204";
    if (bodiless && named == Body::Chunked) || elements(&fields, "connection").len() > 32 {
        return None;
    }
    let empty = bodiless || status == "304" || to_head;
    let body = if empty { Body::None } else { named };
    let phrase = phrase.strip_prefix(' ').unwrap_or_default();
    let bytes = |text: &str| text.chars().map(|letter| letter as u8).collect::<Vec<u8>>();
    let start = vec![bytes(version), bytes(status), bytes(phrase)];
    Some(Message { start, fields, body, length })
}

/// Data, trailers and bytes of a whole chunked body.
pub(crate) fn chunked(input: &[u8]) -> Option<(Vec<u8>, Vec<Field>, usize)> {
    let (mut data, mut rest) = (Vec::new(), input);
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = rest[..end].strip_suffix(b"\r")?;
        rest = &rest[end + 1..];
        let size = chunk_size(line)?;
        if size == 0 {
            break;
        }
        data.extend_from_slice(rest.get(..size)?);
        rest = rest[size..].strip_prefix(b"\r\n")?;
    }
    let (mut trailers, before) = (Vec::new(), rest.len());
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = rest[..end].strip_suffix(b"\r")?;
        rest = &rest[end + 1..];
        if line.is_empty() {
            break;
        }
        trailers.push(field(line)?);
    }
    let bounded = trailers.len() <= 32 && before - rest.len() <= 8192 + 2;
    bounded.then(|| (data, trailers, input.len() - rest.len()))
}

fn chunk_size(bytes: &[u8]) -> Option<usize> {
    let line = text(bytes);
    let (size, extension) = match line.split_once(';') {
        Some((size, extension)) => (size.trim_end_matches([' ', '\t']), extension),
        None => (line.as_str(), ""),
    };
    let digits = size.chars().all(|letter| letter.is_ascii_hexdigit());
    let control = |letter: char| letter != '\t' && (letter < ' ' || letter == '\u{7f}');
    let fine = digits && (1..=16).contains(&size.len()) && !extension.contains(control);
    (fine && bytes.len() + 2 <= 256).then(|| usize::from_str_radix(size, 16).ok())?
}
