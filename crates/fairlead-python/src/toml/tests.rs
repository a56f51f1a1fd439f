//! The tree, its places and its errors.

use super::*;

/// The tree as text: tables with sorted-by-text keys, everything with its kind.
fn render(document: &Document, node: Index) -> String {
    let list = |parts: Vec<String>| parts.join(", ");
    match &document.nodes[node].value {
        Value::Table(table) => {
            let entry = |entry: &Entry| format!("{}: {}", entry.key, render(document, entry.node));
            format!("{{{}}}", list(table.entries.iter().map(entry).collect()))
        }
        Value::Array(array) => {
            let items = array.items.iter().map(|item| render(document, *item));
            format!("[{}]", list(items.collect()))
        }
        Value::Scalar(scalar) => format!("{scalar:?}"),
    }
}

/// The tree of a text without errors.
fn tree(text: &str) -> String {
    let document = parse(text);
    assert_eq!(document.errors, [], "{text}");
    render(&document, 0)
}

/// Each error as the text it is about and its message.
fn errors(text: &str) -> Vec<(&str, String)> {
    let of = |error: SyntaxError| (&text[error.start..error.end], error.message);
    parse(text).errors.into_iter().map(of).collect()
}

#[test]
fn values_of_every_kind_are_read() {
    assert_eq!(tree("a = 'x'\nb = \"y\\t\\u00e9\""), r#"{a: String("x"), b: String("y\té")}"#);
    assert_eq!(
        tree("a = 1_000\nb = 0xFF\nc = -7"),
        "{a: Integer(1000), b: Integer(255), c: Integer(-7)}"
    );
    assert_eq!(tree("a = 1.5e3\nb = -inf"), "{a: Float(1500.0), b: Float(-inf)}");
    assert_eq!(tree("a = true\nb = false"), "{a: Boolean(true), b: Boolean(false)}");
    assert_eq!(tree("a = 1979-05-27"), r#"{a: Datetime("1979-05-27")}"#);
    assert_eq!(tree("a = \"\"\"\none\n  two\"\"\""), r#"{a: String("one\n  two")}"#);
    assert_eq!(
        tree("a = [1, [2, 3],\n # why\n 4,]"),
        "{a: [Integer(1), [Integer(2), Integer(3)], Integer(4)]}"
    );
    assert_eq!(tree("a = { b = 1, c.d = 2 }"), "{a: {b: Integer(1), c: {d: Integer(2)}}}");
    assert_eq!(tree(""), "{}");
}

#[test]
fn tables_are_put_together_from_all_their_parts() {
    let text =
        "top = 1\n[a]\nx = 1\n[a.b.c]\ny = 2\n[a.b]\nz = 3\n[d]\ne.f = 4\ne.g = 5\n[d.e.h]\n";
    let expected = "{top: Integer(1), a: {x: Integer(1), b: {c: {y: Integer(2)}, z: Integer(3)}}, \
                    d: {e: {f: Integer(4), g: Integer(5), h: {}}}}";
    assert_eq!(tree(text), expected);
    let text = "[[l.routes]]\npath = '/a'\n[l.routes.sub]\nk = 1\n[[l.routes]]\n'quoted key' = 2\n";
    let expected = "{l: {routes: [{path: String(\"/a\"), sub: {k: Integer(1)}}, \
                    {quoted key: Integer(2)}]}}";
    assert_eq!(tree(text), expected);
}

#[test]
fn every_key_and_value_knows_its_place() {
    let text = "# é\n[pools.app]\n\"ré\".x = [ 1, 'två' ]\n";
    let document = parse(text);
    let mut places = Vec::new();
    for node in &document.nodes {
        if let Value::Table(table) = &node.value {
            places.extend(table.entries.iter().map(|entry| &text[entry.start..entry.end]));
        }
        places.push(&text[node.start..node.end]);
    }
    for expected in ["pools", "app", "[pools.app]", "\"ré\"", "x", "[ 1, 'två' ]", "1", "'två'"]
    {
        assert!(places.contains(&expected), "{expected} is not among {places:?}");
    }
}

#[test]
fn what_is_defined_twice_is_an_error_at_the_second() {
    let twice = |key: &str, line| format!("`{key}` is defined twice, first in line {line}");
    assert_eq!(errors("a = 1\nb = 2\na = 3"), [("a", twice("a", 1))]);
    assert_eq!(errors("[a]\n[b]\n[a]"), [("a", twice("a", 1))]);
    assert_eq!(errors("a.b = 1\n[a]"), [("a", twice("a", 1))]);
    assert_eq!(errors("a = []\n[[a]]"), [("a", twice("a", 1))]);
    assert_eq!(errors("[[a]]\n[a]"), [("a", twice("a", 1))]);
    assert_eq!(errors("x = { a = 1, a = 2 }"), [("a", twice("a", 1))]);
    // The first stays.
    assert_eq!(render(&parse("a = 1\na = 2"), 0), "{a: Integer(1)}");
}

#[test]
fn what_is_complete_cannot_be_added_to() {
    let inline = "`a`: an inline table is complete and can't be added to".to_owned();
    assert_eq!(errors("a = { b = 1 }\na.c = 2"), [("a", inline.clone())]);
    assert_eq!(errors("a = { b = 1 }\n[a.c]"), [("a", inline)]);
    let value = "`a`: it has a value already and is not a table".to_owned();
    assert_eq!(errors("a = 1\n[a.b]"), [("a", value)]);
    assert_eq!(errors("a = [1]\n[a.b]"), [("a", "`a`: an array is not a table".to_owned())]);
    let header = "`b`: a table with a header of its own can't be added to by a dotted key";
    assert_eq!(errors("[a.b]\n[a]\nb.c = 1"), [("b", header.to_owned())]);
}

#[test]
fn all_errors_are_found_and_the_rest_is_read() {
    let text = "a = hello\nb = \nc = 1\n[broken\nd = 2\n[good]\ne = 08\nf = 'x'\n= 3\ng = 9999999999999999999\nh = 10:99x\n";
    let document = parse(text);
    let found: Vec<_> =
        errors(text).into_iter().map(|(at, message)| format!("{at}|{message}")).collect();
    assert_eq!(
        found,
        [
            "hello|text must stand in quotes",
            "|a value is missing",
            "|unclosed table, expected `]`",
            "0|unexpected leading zero",
            "|a key is missing",
            "9999999999999999999|the number doesn't fit into 64 bits",
            "10:99x|this is no date or time, and other text needs quotes",
        ]
    );
    let read = render(&document, 0);
    assert!(
        read.contains("a: Broken")
            && read.contains("c: Integer(1)")
            && read.contains("f: String(\"x\")"),
        "{read}"
    );
    assert!(!read.contains("d: Integer(2)"), "{read}");
}

#[test]
fn nesting_is_bounded_in_every_form() {
    let deep = |count: usize| {
        [
            format!("a = {}{}", "[".repeat(count), "]".repeat(count)),
            format!("a = {}{}", "{a=".repeat(count), "}".repeat(count)),
            format!("{}a = 1", "a.".repeat(count)),
            format!("[{}a]", "a.".repeat(count)),
            format!("[[{}a]]", "a.".repeat(count)),
            format!(
                "[{}a]\na = {}{}",
                "a.".repeat(count / 2),
                "[".repeat(count / 2),
                "]".repeat(count / 2)
            ),
        ]
    };
    for text in deep(100_000) {
        assert!(!parse(&text).errors.is_empty());
    }
    for text in deep(20).iter().filter(|text| !text.contains('{')) {
        assert_eq!(parse(text).errors, [], "{text}");
    }
    for document in deep(1000).iter().map(|text| parse(text)) {
        let reachable = |node: &Node| match &node.value {
            Value::Table(table) => table.entries.iter().map(|entry| entry.node).collect(),
            Value::Array(array) => array.items.clone(),
            Value::Scalar(_) => Vec::new(),
        };
        let (mut level, mut depth) = (vec![0], 0);
        while !level.is_empty() {
            level = level.iter().flat_map(|node| reachable(&document.nodes[*node])).collect();
            depth += 1;
        }
        assert!(depth <= DEPTH + 1, "{depth}");
    }
}

#[test]
fn no_text_panics() {
    let pieces = [
        "[", "]", "[[", "]]", "{", "}", "a", ".", "=", ",", "\n", "'", "\"", "\"\"\"", "#", " ",
        "1", "é", "\u{0}", "-",
    ];
    // A small generator: the texts are the same in every run.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
        }
        let document = parse(&text);
        render(&document, 0);
        for error in &document.errors {
            assert!(
                text.is_char_boundary(error.start) && text.is_char_boundary(error.end),
                "{text:?}"
            );
        }
    }
}
