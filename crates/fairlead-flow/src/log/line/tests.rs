use super::*;

const HEAD: &[u8] = b"GET /a?b=c HTTP/1.1\r\nHost: Example.com:8080\r\nuser-agent: curl/8\r\n\
    Referer:  http://x/ \r\nX-Request-Id: 12ab\r\nX-Forwarded-For: 192.0.2.7, 10.0.0.9\r\n\r\n";

fn line() -> Line<'static> {
    Line {
        listener: "web",
        client: Some("[::ffff:192.0.2.1]:40000".parse().expect("address")),
        spoken: Spoken::Http { version: Some("HTTP/1.0"), refused: &[] },
        request: Request { forwarded_for: None, ..Request::read(HEAD) },
        status: 200,
        reason: Reason::Ok,
        received: 120,
        sent: 345,
        body_sent: 300,
        took: Duration::from_micros(12_034),
        pool: Some("app"),
        backend: Some("app1:8000"),
        attempts: 2,
    }
}

fn as_json(line: &Line<'_>) -> String {
    let mut out = Vec::new();
    line.write_json(&mut out, "2026-11-21T09:08:07", 6);
    String::from_utf8(out).expect("ASCII")
}

fn as_combined(line: &Line<'_>) -> String {
    let mut out = Vec::new();
    line.write_combined(&mut out, "21/Nov/2026:09:08:07 +0000");
    String::from_utf8(out).expect("ASCII")
}

#[test]
fn an_exchange_has_every_field() {
    assert_eq!(
        as_json(&line()),
        "{\"time\":\"2026-11-21T09:08:07.006Z\",\"listener\":\"web\",\"client\":\"192.0.2.1\",\
         \"client_port\":40000,\"method\":\"GET\",\"host\":\"Example.com:8080\",\
         \"path\":\"/a?b=c\",\"protocol\":\"HTTP/1.0\",\"status\":200,\"reason\":\"ok\",\
         \"bytes_in\":120,\"bytes_out\":345,\"duration_ms\":12.034,\"pool\":\"app\",\
         \"backend\":\"app1:8000\",\"attempts\":2,\"request_id\":\"12ab\",\
         \"user_agent\":\"curl/8\",\"referer\":\"http://x/\"}\n"
    );
    assert_eq!(
        as_combined(&line()),
        "192.0.2.1 - - [21/Nov/2026:09:08:07 +0000] \"GET /a?b=c HTTP/1.0\" 200 300 \
         \"http://x/\" \"curl/8\"\n"
    );
}

#[test]
fn a_proxys_client_is_named_where_the_proxy_is_trusted() {
    let json = as_json(&Line { request: Request::read(HEAD), ..line() });
    assert!(json.ends_with(",\"forwarded_for\":\"192.0.2.7, 10.0.0.9\"}\n"), "{json}");
}

#[test]
fn what_is_not_known_is_null() {
    let spoken = Spoken::Http { version: None, refused: &[] };
    let line = Line { spoken, listener: "web", status: 408, ..Line::default() };
    assert_eq!(
        as_json(&line),
        "{\"time\":\"2026-11-21T09:08:07.006Z\",\"listener\":\"web\",\"client\":null,\
         \"client_port\":null,\"method\":null,\"host\":null,\"path\":null,\"protocol\":null,\
         \"status\":408,\"reason\":\"ok\",\"bytes_in\":0,\"bytes_out\":0,\"duration_ms\":0.000,\
         \"pool\":null,\"backend\":null,\"attempts\":0,\"request_id\":null,\"user_agent\":null,\
         \"referer\":null}\n"
    );
    assert_eq!(as_combined(&line), "- - - [21/Nov/2026:09:08:07 +0000] \"-\" 408 0 \"-\" \"-\"\n");
}

#[test]
fn a_connection_has_no_request() {
    let line = Line { spoken: Spoken::Tcp, request: Request::default(), status: 0, ..line() };
    assert_eq!(
        as_json(&line),
        "{\"time\":\"2026-11-21T09:08:07.006Z\",\"listener\":\"web\",\"client\":\"192.0.2.1\",\
         \"client_port\":40000,\"protocol\":\"tcp\",\"reason\":\"ok\",\"bytes_in\":120,\
         \"bytes_out\":345,\"duration_ms\":12.034,\"pool\":\"app\",\"backend\":\"app1:8000\",\
         \"attempts\":2}\n"
    );
    assert_eq!(
        as_combined(&line),
        "192.0.2.1 - - [21/Nov/2026:09:08:07 +0000] \"-\" 000 345 \"-\" \"-\"\n"
    );
}

#[test]
fn what_was_refused_is_told_and_can_forge_nothing() {
    let refused = b"GET /\" 200 1 \"\x1b[2J HTTP/1.1";
    let spoken = Spoken::Http { version: None, refused };
    let line = Line { spoken, status: 400, reason: Reason::BadRequest, ..Line::default() };
    let json = as_json(&line);
    assert!(json.contains("\"refused\":\"GET /\\\" 200 1 \\\"\\u001b[2J HTTP/1.1\",\"status\":400"));
    assert!(as_combined(&line).contains("\"GET /\\x22 200 1 \\x22\\x1b[2J HTTP/1.1\" 400 0 "));
}

#[test]
fn hostile_values_stay_in_their_fields() {
    let head =
        b"GET /\",\"status\":200,\"x\":\" HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff\"\x80\r\n\r\n";
    let json = as_json(&Line { request: Request::read(head), status: 503, ..line() });
    assert!(json.contains(",\"path\":\"/\\\",\\\"status\\\":200,\\\"x\\\":\\\"\","), "{json}");
    assert!(json.contains(",\"user_agent\":\"\\ufffd\\\"\\ufffd\","), "{json}");
    assert_eq!((json.matches(",\"status\":").count(), json.lines().count()), (1, 1));
    let combined = as_combined(&Line { request: Request::read(head), ..line() });
    assert_eq!(combined.matches('"').count(), 6, "{combined}");
}

#[test]
fn the_first_header_of_a_name_counts_and_none_is_invented() {
    let request =
        Request::read(b"\r\nPUT * HTTP/1.1\r\nhost:a\r\nHost: b\r\nX-Req: 1\r\nH\r\nx\r\n");
    assert_eq!((request.method, request.target), (&b"PUT"[..], &b"*"[..]));
    assert_eq!((request.host, request.id), (Some(&b"a"[..]), None));
    assert_eq!(Request::read(b""), Request::default());
}
