//! AMF0 (Adobe AMF 0 specification), as RTMP commands are written in it. The decoder
//! takes what encoders send, refuses the rest, and is bounded in depth, in size and in
//! the number of values.

mod decode;
mod encode;

pub use decode::{Amf0Error, Amf0Limits, decode};
pub use encode::encode;

/// One AMF0 value.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// 2.2, a 64-bit float.
    Number(f64),
    /// 2.3
    Boolean(bool),
    /// 2.4 and 2.14: short and long strings. Bytes that are not UTF-8 are replaced.
    String(String),
    /// 2.5: names and values in their order; a name may repeat.
    Object(Vec<(String, Value)>),
    /// 2.7
    Null,
    /// 2.8
    Undefined,
    /// 2.9: the index of an object sent before; not followed.
    Reference(u16),
    /// 2.10
    EcmaArray(Vec<(String, Value)>),
    /// 2.12
    StrictArray(Vec<Value>),
    /// 2.13: milliseconds since 1970-01-01 UTC.
    Date(f64),
    /// 2.15
    Unsupported,
    /// 2.17
    XmlDocument(String),
    /// 2.18
    TypedObject {
        /// The class's alias.
        class: String,
        /// As [`Value::Object`].
        properties: Vec<(String, Value)>,
    },
}

impl Value {
    /// A string value.
    pub fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// An object value.
    pub fn object<const N: usize>(properties: [(&str, Value); N]) -> Self {
        let own = |(name, value): (&str, Value)| (name.to_owned(), value);
        Self::Object(properties.into_iter().map(own).collect())
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a number.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A property of an object or array by its name. Encoders disagree on case
    /// (`tcUrl`, `tcurl`), so case is ignored.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let properties = match self {
            Self::Object(properties)
            | Self::EcmaArray(properties)
            | Self::TypedObject { properties, .. } => properties,
            _ => return None,
        };
        let named = |(key, _): &&(String, Value)| key.eq_ignore_ascii_case(name);
        properties.iter().find(named).map(|(_, value)| value)
    }
}

mod marker {
    pub(super) const NUMBER: u8 = 0x00;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const OBJECT: u8 = 0x03;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const UNDEFINED: u8 = 0x06;
    pub(super) const REFERENCE: u8 = 0x07;
    pub(super) const ECMA_ARRAY: u8 = 0x08;
    pub(super) const OBJECT_END: u8 = 0x09;
    pub(super) const STRICT_ARRAY: u8 = 0x0A;
    pub(super) const DATE: u8 = 0x0B;
    pub(super) const LONG_STRING: u8 = 0x0C;
    pub(super) const UNSUPPORTED: u8 = 0x0D;
    pub(super) const XML_DOCUMENT: u8 = 0x0F;
    pub(super) const TYPED_OBJECT: u8 = 0x10;
    pub(super) const AVMPLUS: u8 = 0x11;
}
