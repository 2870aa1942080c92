//! From values to bytes.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Value, marker};

/// Writes `values` one after the other. Names and class names are cut at 65,535 bytes,
/// which is all their length field can say.
pub fn encode(values: &[Value]) -> Bytes {
    let mut out = BytesMut::new();
    for value in values {
        put_value(&mut out, value);
    }
    out.freeze()
}

fn put_value(out: &mut BytesMut, value: &Value) {
    match value {
        Value::Number(number) => {
            out.put_u8(marker::NUMBER);
            out.put_f64(*number);
        }
        Value::Boolean(boolean) => out.put_slice(&[marker::BOOLEAN, u8::from(*boolean)]),
        Value::String(text) if text.len() <= usize::from(u16::MAX) => {
            out.put_u8(marker::STRING);
            put_name(out, text);
        }
        Value::String(text) => put_long(out, marker::LONG_STRING, text),
        Value::Object(properties) => {
            out.put_u8(marker::OBJECT);
            put_properties(out, properties);
        }
        Value::Null => out.put_u8(marker::NULL),
        Value::Undefined => out.put_u8(marker::UNDEFINED),
        Value::Reference(index) => {
            out.put_u8(marker::REFERENCE);
            out.put_u16(*index);
        }
        Value::EcmaArray(properties) => {
            out.put_u8(marker::ECMA_ARRAY);
            out.put_u32(u32::try_from(properties.len()).unwrap_or(u32::MAX));
            put_properties(out, properties);
        }
        Value::StrictArray(values) => {
            out.put_u8(marker::STRICT_ARRAY);
            out.put_u32(u32::try_from(values.len()).unwrap_or(u32::MAX));
            for value in values {
                put_value(out, value);
            }
        }
        Value::Date(milliseconds) => {
            out.put_u8(marker::DATE);
            out.put_f64(*milliseconds);
            // The time zone is reserved and 0 (2.13).
            out.put_i16(0);
        }
        Value::Unsupported => out.put_u8(marker::UNSUPPORTED),
        Value::XmlDocument(text) => put_long(out, marker::XML_DOCUMENT, text),
        Value::TypedObject { class, properties } => {
            out.put_u8(marker::TYPED_OBJECT);
            put_name(out, class);
            put_properties(out, properties);
        }
    }
}

fn put_properties(out: &mut BytesMut, properties: &[(String, Value)]) {
    for (name, value) in properties {
        put_name(out, name);
        put_value(out, value);
    }
    out.put_slice(&[0, 0, marker::OBJECT_END]);
}

fn put_name(out: &mut BytesMut, text: &str) {
    let cut = text.floor_char_boundary(usize::from(u16::MAX));
    out.put_u16(cut as u16);
    out.put_slice(&text.as_bytes()[..cut]);
}

fn put_long(out: &mut BytesMut, marker: u8, text: &str) {
    out.put_u8(marker);
    out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    out.put_slice(text.as_bytes());
}
