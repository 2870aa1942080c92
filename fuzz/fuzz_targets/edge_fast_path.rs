//! The first bytes of a connection into a request that may be answered below hyper: where it
//! ends does not depend on what follows, and it is one after which another may come.
#![no_main]

use edge::server::read_any_head;
use libfuzzer_sys::fuzz_target;

/// Bytes of the longest head of which every beginning is read.
const SHORT: usize = 256;

fuzz_target!(|bytes: &[u8]| {
    let Some(length) = read_any_head(bytes) else {
        return;
    };
    let head = &bytes[..length];
    assert_eq!(read_any_head(head), Some(length));
    if length <= SHORT {
        assert!((0..length).all(|less| read_any_head(&bytes[..less]).is_none()));
    }
    let lines: Vec<&[u8]> = head
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .skip_while(|line| line.is_empty())
        .collect();
    let [first, fields @ .., empty, nothing] = &lines[..] else {
        panic!("a head has a first line, and ends with an empty one");
    };
    assert!(empty.is_empty() && nothing.is_empty());
    assert!(first.ends_with(b" HTTP/1.1"));
    let methods = [&b"GET "[..], b"HEAD ", b"OPTIONS "];
    assert!(methods.iter().any(|method| first.starts_with(method)));
    for field in fields {
        let colon = field.iter().position(|byte| *byte == b':');
        let (name, value) = field.split_at(colon.expect("a colon in a field"));
        let value = value[1..].trim_ascii().to_ascii_lowercase();
        match &name.to_ascii_lowercase()[..] {
            b"content-length" | b"transfer-encoding" | b"expect" | b"upgrade" => {
                panic!("more may follow")
            }
            b"connection" => assert_eq!(value, b"keep-alive"),
            _ => {}
        }
    }
});
