//! The values that are neither tables nor arrays, and keys.

use toml_parser::decoder::ScalarKind;
use toml_parser::parser::Event;
use toml_parser::{ParseError, Raw, Source};

use super::{describe, SyntaxError};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// As written: no setting is a date.
    Datetime(String),
    /// It can't be read, which is told as an error.
    Broken,
}

/// The value of `event`.
pub(super) fn decode(source: Source<'_>, event: Event, errors: &mut Vec<SyntaxError>) -> Scalar {
    let raw = raw(source, event);
    if raw.is_empty() {
        errors.push(error(event, "a value is missing"));
        return Scalar::Broken;
    }
    let (mut text, mut found) = (String::new(), Vec::new());
    let kind = raw.decode_scalar(&mut text, &mut found);
    if !found.is_empty() {
        errors.extend(found.iter().map(shorten));
        return Scalar::Broken;
    }
    let read = match kind {
        ScalarKind::String => Ok(Scalar::String(text)),
        ScalarKind::Boolean(value) => Ok(Scalar::Boolean(value)),
        ScalarKind::DateTime if is_datetime(&text) => Ok(Scalar::Datetime(text)),
        ScalarKind::DateTime => Err("this is no date or time, and other text needs quotes"),
        ScalarKind::Float => {
            text.parse().map(Scalar::Float).map_err(|_| "this is not a floating-point number")
        }
        ScalarKind::Integer(radix) => i64::from_str_radix(&text, radix.value())
            .map(Scalar::Integer)
            .map_err(|_| "the number doesn't fit into 64 bits"),
    };
    read.unwrap_or_else(|problem| {
        errors.push(error(event, problem));
        Scalar::Broken
    })
}

/// One part of a key.
pub(super) fn decode_key(
    source: Source<'_>,
    event: Event,
    errors: &mut Vec<SyntaxError>,
) -> String {
    let raw = raw(source, event);
    if raw.is_empty() {
        errors.push(error(event, "a key is missing"));
        return String::new();
    }
    let (mut text, mut found) = (String::new(), Vec::new());
    raw.decode_key(&mut text, &mut found);
    errors.extend(found.iter().map(describe));
    text
}

fn raw(source: Source<'_>, event: Event) -> Raw<'_> {
    let text = source.input().get(event.span().start()..event.span().end()).unwrap_or_default();
    Raw::new_unchecked(text, event.encoding(), event.span())
}

fn error(event: Event, message: &str) -> SyntaxError {
    let (start, end) = (event.span().start(), event.span().end());
    SyntaxError { start, end, message: message.to_owned() }
}

/// The grammar expects a "literal string" where quotes are missing: to people, quotes.
fn shorten(error: &ParseError) -> SyntaxError {
    let described = describe(error);
    if error.description() == "string values must be quoted" {
        return SyntaxError { message: "text must stand in quotes".to_owned(), ..described };
    }
    described
}

/// Whether `text` has the form of a date, a time, or both (RFC 3339, parts of it may be missing).
fn is_datetime(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(date) = bytes.get(..10).filter(|date| fits(date, "dddd-dd-dd")) else {
        return is_time(bytes);
    };
    let rest = &bytes[date.len()..];
    match rest {
        [] => true,
        [b'T' | b't' | b' ', time @ ..] => is_time(without_offset(time)),
        _ => false,
    }
}

fn without_offset(time: &[u8]) -> &[u8] {
    let split = time.len().saturating_sub(6);
    match time {
        [time @ .., b'Z' | b'z'] => time,
        _ if fits(&time[split..], "+dd:dd") || fits(&time[split..], "-dd:dd") => &time[..split],
        _ => time,
    }
}

fn is_time(time: &[u8]) -> bool {
    if fits(time, "dd:dd") || fits(time, "dd:dd:dd") {
        return true;
    }
    let fraction = time.get(9..).unwrap_or_default();
    time.len() > 9 && fits(&time[..9], "dd:dd:dd.") && fraction.iter().all(u8::is_ascii_digit)
}

/// Whether `text` is like `form`, where `d` stands for a digit.
fn fits(text: &[u8], form: &str) -> bool {
    let like = |(byte, form): (&u8, u8)| match form {
        b'd' => byte.is_ascii_digit(),
        other => *byte == other,
    };
    text.len() == form.len() && text.iter().zip(form.bytes()).all(like)
}

#[cfg(test)]
mod tests {
    use super::is_datetime;

    #[test]
    fn dates_and_times_are_known_by_their_form() {
        for good in [
            "1979-05-27",
            "07:32:00",
            "07:32",
            "00:32:00.999999",
            "1979-05-27T07:32:00",
            "1979-05-27 07:32:00Z",
            "1979-05-27t00:32:00.5-07:00",
            "1979-05-27T00:32:00+07:00",
        ] {
            assert!(is_datetime(good), "{good}");
        }
        for bad in ["8080:80", "1979-05-27T", "1979-05-27x07:32:00", "07:32:00.", "10-20", "1:2"] {
            assert!(!is_datetime(bad), "{bad}");
        }
    }
}
