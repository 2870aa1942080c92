//! What players tell: whatever comes is read, and what was read is as its key says.
#![no_main]

use edge::cmcd::{Key, Value, read};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

const FIELDS: [&str; 4] = ["cmcd-object", "cmcd-request", "cmcd-session", "cmcd-status"];

fuzz_target!(|input: (Option<&str>, Vec<(u8, &[u8])>)| {
    let (query, fields) = input;
    let mut headers = HeaderMap::new();
    for (which, value) in fields.iter().take(16) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            let name = FIELDS[usize::from(*which) % FIELDS.len()];
            headers.append(HeaderName::from_static(name), value);
        }
    }
    let mut entries = 0;
    let mut written = String::new();
    let faults = read(query, &headers, |entry| {
        entries += 1;
        assert_eq!(Key::named(entry.key.as_str()), Some(entry.key));
        if let Value::Text(text) = entry.value {
            assert!(text.len() <= 128 && text.is_ascii());
        }
        if let (Value::Integer(number), None) = (entry.value, entry.of) {
            written = format!("{}={number}", entry.key.as_str());
        }
    });
    assert!(entries <= Key::COUNT * 8);
    assert!(faults.dictionaries + faults.too_long <= 17);
    // What was read is read again as itself.
    if !written.is_empty() {
        let value = HeaderValue::from_str(&written).expect("it is ASCII");
        let headers = [(HeaderName::from_static(FIELDS[0]), value)];
        let mut again = String::new();
        read(None, &headers.into_iter().collect(), |entry| {
            if let Value::Integer(number) = entry.value {
                again = format!("{}={number}", entry.key.as_str());
            }
        });
        assert_eq!(again, written);
    }
});
