//! Configuration text: nothing panics, and every place is a place of the text, on a character's
//! border (Python cuts the text there to show it).

#![no_main]

// The reader is a private module of a crate that only Python can load.
#[path = "../../crates/fairlead-python/src"]
#[allow(dead_code)]
mod python {
    pub(crate) mod toml;
}

use libfuzzer_sys::fuzz_target;
use python::toml;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let document = toml::parse(text);
    let place = |start: usize, end: usize| {
        assert!(start <= end && end <= text.len(), "{start}..{end} of {}", text.len());
        assert!(text.is_char_boundary(start) && text.is_char_boundary(end), "{start}..{end}");
    };
    for error in &document.errors {
        place(error.start, error.end);
        assert!(!error.message.is_empty());
    }
    for node in &document.nodes {
        place(node.start, node.end);
        if let toml::Value::Table(table) = &node.value {
            for entry in &table.entries {
                place(entry.start, entry.end);
                assert!(entry.node < document.nodes.len());
            }
        }
        if let toml::Value::Array(array) = &node.value {
            assert!(array.items.iter().all(|item| *item < document.nodes.len()));
        }
    }
});
