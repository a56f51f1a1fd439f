//! TOML text to a tree in which every key and value knows its place.
//!
//! Rules of this file
//! 1. Parsing never stops at an error: all are collected, and what could be understood is in the
//!    tree beside them.
//! 2. Places are byte offsets of the text, first to one past the last.
//! 3. A key can be given once. Which tables may be opened again follows TOML 1.0; the first
//!    definition stays, the error stands at the second.
//! 4. Nesting is bounded, so that no text can exhaust a stack, neither here nor in Python.
//!
//! Not here: which keys mean something (config), values (`scalar`), Python (`lib`). The grammar
//! itself is `toml_parser`'s.

mod scalar;

use std::collections::BTreeMap;

use toml_parser::parser::{parse_document, Event, EventKind, RecursionGuard, ValidateWhitespace};
use toml_parser::{Expected, ParseError, Source, Span};

pub(crate) use scalar::Scalar;

/// Levels of tables and arrays in each other. Configurations need five.
const DEPTH: usize = 64;

/// Which node of a [`Document`].
pub(crate) type Index = usize;

/// A syntax error: where, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) message: String,
}

/// A parsed text: nodes, the first of which is the root table.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) nodes: Vec<Node>,
    pub(crate) errors: Vec<SyntaxError>,
}

/// A value and its place.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) value: Value,
    depth: usize,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Value {
    Table(Table),
    Array(Array),
    Scalar(Scalar),
}

/// A table, in the text's order.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
    known: BTreeMap<String, Index>,
    made: Made,
}

/// A key of a table.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) node: Index,
}

/// An array.
#[derive(Debug)]
pub(crate) struct Array {
    pub(crate) items: Vec<Index>,
    /// Made by `[[…]]`, so that more can be added.
    of_tables: bool,
}

/// How a table came to be; that decides what may still be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    /// On the way to another one: `a` by `[a.b]`. Its own header may follow.
    OnTheWay,
    /// By its header.
    ByHeader,
    /// By a dotted key: `a` by `a.b = 1`.
    ByKey,
    /// Between braces: complete.
    Inline,
}

/// One part of a dotted key.
#[derive(Debug, Clone)]
struct Key {
    text: String,
    span: Span,
}

/// Parses `text`.
pub(crate) fn parse(text: &str) -> Document {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut events: Vec<Event> = Vec::new();
    let mut errors: Vec<ParseError> = Vec::new();
    let mut checked = ValidateWhitespace::new(&mut events, source);
    parse_document(&tokens, &mut RecursionGuard::new(&mut checked, DEPTH as u32), &mut errors);
    let mut builder = Builder::new(source);
    for event in events {
        builder.take(event);
    }
    let mut errors: Vec<_> = errors.iter().map(describe).chain(builder.errors).collect();
    errors.sort_by_key(|error| (error.start, error.end));
    errors.dedup();
    Document { nodes: builder.nodes, errors }
}

/// An error of the grammar in our words.
fn describe(error: &ParseError) -> SyntaxError {
    let place = error.unexpected().or(error.context()).unwrap_or_default();
    let expected: Vec<_> = error.expected().unwrap_or_default().iter().filter_map(name).collect();
    let message = match expected.as_slice() {
        [] => error.description().to_owned(),
        names => format!("{}, expected {}", error.description(), names.join(" or ")),
    };
    SyntaxError { start: place.start(), end: place.end(), message }
}

fn name(expected: &Expected) -> Option<String> {
    match expected {
        Expected::Literal("\n") => Some("a new line".to_owned()),
        Expected::Literal(text) => Some(format!("`{text}`")),
        Expected::Description(text) => Some((*text).to_owned()),
        _ => None,
    }
}

/// Puts the tree together from the grammar's events.
struct Builder<'t> {
    source: Source<'t>,
    nodes: Vec<Node>,
    errors: Vec<SyntaxError>,
    line_ends: Vec<usize>,
    /// The table that the last header opened.
    current: Index,
    /// Arrays and inline tables that are open, innermost last.
    open: Vec<Index>,
    /// The key in front of the value to come, or in the header.
    key: Vec<Key>,
    /// The next part belongs to the same key.
    joined: bool,
    /// Where the header began that is being read, and whether it is `[[`.
    header: Option<(usize, bool)>,
}

impl<'t> Builder<'t> {
    fn new(source: Source<'t>) -> Self {
        let mut builder = Builder {
            source,
            nodes: Vec::new(),
            errors: Vec::new(),
            line_ends: source.input().match_indices('\n').map(|(at, _)| at).collect(),
            current: 0,
            open: Vec::new(),
            key: Vec::new(),
            joined: false,
            header: None,
        };
        let whole = Span::new_unchecked(0, source.input().len());
        builder.add(whole, 0, table(Made::ByHeader));
        builder
    }

    fn take(&mut self, event: Event) {
        let span = event.span();
        match event.kind() {
            EventKind::StdTableOpen => self.begin_header(span, false),
            EventKind::ArrayTableOpen => self.begin_header(span, true),
            EventKind::StdTableClose | EventKind::ArrayTableClose => self.end_header(span.end()),
            EventKind::SimpleKey => self.take_key(event),
            EventKind::KeySep => self.joined = true,
            EventKind::Scalar => {
                let scalar = scalar::decode(self.source, event, &mut self.errors);
                self.put(span, Value::Scalar(scalar));
            }
            EventKind::ArrayOpen => {
                let array = Array { items: Vec::new(), of_tables: false };
                let node = self.put(span, Value::Array(array));
                self.open.push(node);
            }
            EventKind::InlineTableOpen => {
                let node = self.put(span, table(Made::Inline));
                self.open.push(node);
            }
            EventKind::ArrayClose | EventKind::InlineTableClose => {
                if let Some(node) = self.open.pop() {
                    self.nodes[node].end = span.end();
                }
            }
            _ => {}
        }
    }

    fn begin_header(&mut self, span: Span, of_tables: bool) {
        self.header = Some((span.start(), of_tables));
        self.open.clear();
        self.joined = false;
        self.key.clear();
        // Should the header turn out to be broken, what follows belongs to nobody.
        self.current = self.add(span, 1, table(Made::ByHeader));
    }

    fn end_header(&mut self, end: usize) {
        let Some((start, of_tables)) = self.header.take() else { return };
        let mut key = std::mem::take(&mut self.key);
        let Some(last) = key.pop() else { return };
        let span = Span::new_unchecked(start, end);
        let Some(parent) = self.descend(0, &key, Made::OnTheWay) else { return };
        let opened = if of_tables {
            self.append_table(parent, &last, span)
        } else {
            self.open_table(parent, &last, span)
        };
        if let Some(node) = opened {
            self.current = node;
        }
    }

    fn take_key(&mut self, event: Event) {
        if !std::mem::take(&mut self.joined) {
            self.key.clear();
        }
        let (text, span) = (scalar::decode_key(self.source, event, &mut self.errors), event.span());
        self.key.push(Key { text, span });
    }

    /// Puts a value where the text has it: into the innermost open array, or under the key just
    /// read.
    fn put(&mut self, span: Span, value: Value) -> Index {
        let within = self.open.last().copied();
        let parent = within.unwrap_or(self.current);
        if let Value::Array(_) = self.nodes[parent].value {
            let node = self.add(span, self.nodes[parent].depth + 1, value);
            if self.is_shallow(node, span) {
                self.array(parent).items.push(node);
            }
            return node;
        }
        let mut key = std::mem::take(&mut self.key);
        let last = key.pop();
        let table = last.as_ref().and_then(|_| self.descend(parent, &key, Made::ByKey));
        let depth = self.nodes[table.unwrap_or(parent)].depth + 1;
        let node = self.add(span, depth, value);
        if let (Some(table), Some(last)) = (table, last) {
            if self.is_shallow(node, last.span) {
                self.insert(table, last, node);
            }
        }
        node
    }

    /// Goes from table to table along `key`, making those that aren't there. `None` (and an
    /// error) if one can't be entered.
    fn descend(&mut self, from: Index, key: &[Key], made: Made) -> Option<Index> {
        let mut at = from;
        for part in key {
            if let Some(&node) = self.table(at).known.get(&part.text) {
                at = self.enter(node, part, made)?;
                continue;
            }
            let node = self.add(part.span, self.nodes[at].depth + 1, table(made));
            if !self.is_shallow(node, part.span) {
                return None;
            }
            self.insert(at, part.clone(), node);
            at = node;
        }
        Some(at)
    }

    /// The table that a key on the way names: `node` itself, or the last one of an array.
    fn enter(&mut self, node: Index, part: &Key, made: Made) -> Option<Index> {
        let problem = match &self.nodes[node].value {
            Value::Array(Array { items, of_tables: true }) if made == Made::OnTheWay => {
                return items.last().copied();
            }
            Value::Table(table) if table.made == Made::Inline => {
                "an inline table is complete and can't be added to"
            }
            Value::Table(table) if made == Made::ByKey && table.made == Made::ByHeader => {
                "a table with a header of its own can't be added to by a dotted key"
            }
            Value::Table(_) => return Some(node),
            Value::Array(_) => "an array is not a table",
            Value::Scalar(_) => "it has a value already and is not a table",
        };
        self.error(part.span, format!("`{}`: {problem}", part.text));
        None
    }

    fn open_table(&mut self, parent: Index, last: &Key, span: Span) -> Option<Index> {
        let Some(&node) = self.table(parent).known.get(&last.text) else {
            let node = self.add(span, self.nodes[parent].depth + 1, table(Made::ByHeader));
            if !self.is_shallow(node, last.span) {
                return None;
            }
            self.insert(parent, last.clone(), node);
            return Some(node);
        };
        match &mut self.nodes[node].value {
            Value::Table(table) if table.made == Made::OnTheWay => {
                table.made = Made::ByHeader;
                self.nodes[node].start = span.start();
                self.nodes[node].end = span.end();
                Some(node)
            }
            _ => {
                self.duplicate(last, node);
                None
            }
        }
    }

    fn append_table(&mut self, parent: Index, last: &Key, span: Span) -> Option<Index> {
        let depth = self.nodes[parent].depth;
        let known = self.table(parent).known.get(&last.text).copied();
        let array = known.unwrap_or_else(|| {
            let array = Value::Array(Array { items: Vec::new(), of_tables: true });
            let node = self.add(span, depth + 1, array);
            self.insert(parent, last.clone(), node);
            node
        });
        if !matches!(self.nodes[array].value, Value::Array(Array { of_tables: true, .. })) {
            self.duplicate(last, array);
            return None;
        }
        let node = self.add(span, depth + 2, table(Made::ByHeader));
        if !self.is_shallow(node, last.span) {
            return None;
        }
        self.array(array).items.push(node);
        Some(node)
    }

    fn insert(&mut self, into: Index, key: Key, node: Index) {
        if let Some(&first) = self.table(into).known.get(&key.text) {
            return self.duplicate(&key, first);
        }
        let table = self.table(into);
        table.known.insert(key.text.clone(), node);
        let (start, end) = (key.span.start(), key.span.end());
        table.entries.push(Entry { key: key.text, start, end, node });
    }

    fn duplicate(&mut self, key: &Key, first: Index) {
        let start = self.nodes[first].start;
        let line = self.line_ends.partition_point(|end| *end < start) + 1;
        self.error(key.span, format!("`{}` is defined twice, first in line {line}", key.text));
    }

    fn is_shallow(&mut self, node: Index, place: Span) -> bool {
        let shallow = self.nodes[node].depth <= DEPTH;
        if !shallow {
            self.error(place, format!("nested more than {DEPTH} levels deep"));
        }
        shallow
    }

    fn add(&mut self, span: Span, depth: usize, value: Value) -> Index {
        self.nodes.push(Node { start: span.start(), end: span.end(), value, depth });
        self.nodes.len() - 1
    }

    fn table(&mut self, node: Index) -> &mut Table {
        match &mut self.nodes[node].value {
            Value::Table(table) => table,
            _ => unreachable!("only tables are descended into"),
        }
    }

    fn array(&mut self, node: Index) -> &mut Array {
        match &mut self.nodes[node].value {
            Value::Array(array) => array,
            _ => unreachable!("only arrays are appended to"),
        }
    }

    fn error(&mut self, place: Span, message: String) {
        self.errors.push(SyntaxError { start: place.start(), end: place.end(), message });
    }
}

fn table(made: Made) -> Value {
    Value::Table(Table { entries: Vec::new(), known: BTreeMap::new(), made })
}

#[cfg(test)]
mod tests;
