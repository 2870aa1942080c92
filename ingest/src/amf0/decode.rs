//! From bytes to values.

use super::{Value, marker};

/// What bounds a decoder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Amf0Limits {
    /// Bytes to decode.
    pub bytes: usize,
    /// Objects and arrays inside one another.
    pub depth: usize,
    /// Values, counted through all levels: a value takes more memory than its byte on
    /// the wire.
    pub values: usize,
}

impl Default for Amf0Limits {
    fn default() -> Self {
        Self {
            bytes: 64 << 10,
            depth: 16,
            values: 4_096,
        }
    }
}

/// Why bytes are not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Amf0Error {
    /// [`Amf0Limits::bytes`].
    #[error("{length} bytes of AMF0, the limit is {limit}")]
    TooLong {
        /// Bytes given.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// [`Amf0Limits::depth`].
    #[error("objects nested more than {0} deep")]
    TooDeep(usize),
    /// [`Amf0Limits::values`].
    #[error("more than {0} values")]
    TooManyValues(usize),
    /// The bytes end inside a value.
    #[error("ends inside a value")]
    Truncated,
    /// A marker that no value begins with.
    #[error("marker {0:#04x} is not an AMF0 value")]
    Marker(u8),
    /// A switch to AMF3 (3.1), which no encoder that was told `objectEncoding` 0 makes.
    #[error("AMF3 values are not taken")]
    Amf3,
}

/// Reads all values of `bytes`.
pub fn decode(bytes: &[u8], limits: Amf0Limits) -> Result<Vec<Value>, Amf0Error> {
    if bytes.len() > limits.bytes {
        return Err(Amf0Error::TooLong {
            length: bytes.len(),
            limit: limits.bytes,
        });
    }
    let mut decoder = Decoder {
        rest: bytes,
        limits,
        values: 0,
    };
    let mut values = Vec::new();
    while !decoder.rest.is_empty() {
        values.push(decoder.value(0)?);
    }
    Ok(values)
}

struct Decoder<'a> {
    rest: &'a [u8],
    limits: Amf0Limits,
    values: usize,
}

impl<'a> Decoder<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, Amf0Error> {
        self.values += 1;
        if self.values > self.limits.values {
            return Err(Amf0Error::TooManyValues(self.limits.values));
        }
        if depth > self.limits.depth {
            return Err(Amf0Error::TooDeep(self.limits.depth));
        }
        let [marker] = self.array()?;
        Ok(match marker {
            marker::NUMBER => Value::Number(f64::from_be_bytes(self.array()?)),
            marker::BOOLEAN => Value::Boolean(self.array::<1>()? != [0]),
            marker::STRING => Value::String(self.short_string()?),
            marker::OBJECT => Value::Object(self.properties(depth, None)?),
            marker::NULL => Value::Null,
            marker::UNDEFINED => Value::Undefined,
            marker::REFERENCE => Value::Reference(u16::from_be_bytes(self.array()?)),
            marker::ECMA_ARRAY => {
                let count = u32::from_be_bytes(self.array()?);
                Value::EcmaArray(self.properties(depth, Some(count))?)
            }
            marker::STRICT_ARRAY => self.strict_array(depth)?,
            marker::DATE => {
                let milliseconds = f64::from_be_bytes(self.array()?);
                let _time_zone: [u8; 2] = self.array()?;
                Value::Date(milliseconds)
            }
            marker::LONG_STRING => Value::String(self.long_string()?),
            marker::UNSUPPORTED => Value::Unsupported,
            marker::XML_DOCUMENT => Value::XmlDocument(self.long_string()?),
            marker::TYPED_OBJECT => Value::TypedObject {
                class: self.short_string()?,
                properties: self.properties(depth, None)?,
            },
            marker::AVMPLUS => return Err(Amf0Error::Amf3),
            other => return Err(Amf0Error::Marker(other)),
        })
    }

    /// Reads properties up to the end marker. Where encoders leave that out, an object
    /// ends with the bytes, and an array of `count` also where no property follows the
    /// last one.
    fn properties(
        &mut self,
        depth: usize,
        count: Option<u32>,
    ) -> Result<Vec<(String, Value)>, Amf0Error> {
        let mut properties = Vec::new();
        loop {
            if let [0, 0, marker::OBJECT_END, rest @ ..] = self.rest {
                self.rest = rest;
                return Ok(properties);
            }
            let counted = count.is_some_and(|count| {
                count > 0 && properties.len() >= usize::try_from(count).unwrap_or(usize::MAX)
            });
            if self.rest.is_empty() || (counted && !self.property_follows()) {
                return Ok(properties);
            }
            let name = self.short_string()?;
            properties.push((name, self.value(depth + 1)?));
        }
    }

    /// Whether the next bytes look like a property's name and the marker of its value.
    /// `count` is approximate (2.10), so it alone does not end an array.
    fn property_follows(&self) -> bool {
        let Some((length, rest)) = self.rest.split_first_chunk::<2>() else {
            return false;
        };
        let length = usize::from(u16::from_be_bytes(*length));
        let printable = |name: &[u8]| name.iter().all(|byte| byte.is_ascii_graphic());
        length > 0
            && rest.get(..length).is_some_and(printable)
            && rest
                .get(length)
                .is_some_and(|&marker| marker <= marker::AVMPLUS)
    }

    fn strict_array(&mut self, depth: usize) -> Result<Value, Amf0Error> {
        let count = u32::from_be_bytes(self.array()?);
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value(depth + 1)?);
        }
        Ok(Value::StrictArray(values))
    }

    fn short_string(&mut self) -> Result<String, Amf0Error> {
        let length = u16::from_be_bytes(self.array()?);
        self.string(usize::from(length))
    }

    fn long_string(&mut self) -> Result<String, Amf0Error> {
        let length = u32::from_be_bytes(self.array()?);
        self.string(usize::try_from(length).map_err(|_| Amf0Error::Truncated)?)
    }

    fn string(&mut self, length: usize) -> Result<String, Amf0Error> {
        let (text, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(Amf0Error::Truncated)?;
        self.rest = rest;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Amf0Error> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Amf0Error::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::encode;
    use super::*;

    fn decode_all(bytes: &[u8]) -> Result<Vec<Value>, Amf0Error> {
        decode(bytes, Amf0Limits::default())
    }

    #[test]
    fn r09_reads_what_encoders_send() {
        let connect = b"\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0\
            \x03\0\x03app\x02\0\x04live\0\x05tcurl\x02\0\x04rtmp\0\x00\x09";
        let values = decode_all(connect).unwrap();
        assert_eq!(values[0], Value::string("connect"));
        assert_eq!(values[1], Value::Number(1.0));
        assert_eq!(values[2].get("app"), Some(&Value::string("live")));
        assert_eq!(values[2].get("tcUrl"), Some(&Value::string("rtmp")));
    }

    #[test]
    fn r09_an_ecma_array_needs_no_end_marker() {
        let one = Value::EcmaArray(vec![("a".into(), Value::Boolean(true))]);
        let with_end = b"\x08\0\0\0\x01\0\x01a\x01\x01\0\0\x09\x05";
        let without = b"\x08\0\0\0\x01\0\x01a\x01\x01\x05";
        let at_the_end = b"\x08\0\0\0\x01\0\x01a\x01\x01";
        let counts_zero = b"\x08\0\0\0\0\0\x01a\x01\x01\0\0\x09\x05";
        for bytes in [&with_end[..], without, counts_zero] {
            let values = decode_all(bytes).unwrap();
            assert_eq!(values, [one.clone(), Value::Null], "{bytes:?}");
        }
        assert_eq!(decode_all(at_the_end).unwrap(), [one]);
        let counts_too_few = b"\x08\0\0\0\x01\0\x01a\x01\x01\0\x01b\x05\0\0\x09";
        let values = decode_all(counts_too_few).unwrap();
        assert_eq!(values[0].get("b"), Some(&Value::Null));
    }

    #[test]
    fn r09_dates_strict_arrays_long_and_broken_strings() {
        let long = "x".repeat(70_000 - 40_000);
        let values = vec![
            Value::Date(1.5e12),
            Value::StrictArray(vec![Value::Number(1.0), Value::Undefined]),
            Value::String(long),
            Value::XmlDocument("<a/>".into()),
        ];
        assert_eq!(decode_all(&encode(&values)).unwrap(), values);
        assert_eq!(
            decode_all(b"\x0c\0\0\0\x02hi").unwrap(),
            [Value::string("hi")]
        );
        assert_eq!(
            decode_all(b"\x02\0\x02\xff\xfe").unwrap(),
            [Value::string("\u{fffd}\u{fffd}")]
        );
    }

    #[test]
    fn r09_nesting_of_10_000_is_refused() {
        let objects: Vec<u8> = b"\x03\0\x01a".repeat(10_000);
        let arrays: Vec<u8> = b"\x0a\0\0\0\x01".repeat(10_000);
        for bytes in [objects, arrays] {
            assert_eq!(decode_all(&bytes), Err(Amf0Error::TooDeep(16)));
        }
    }

    #[test]
    fn r09_announced_sizes_are_not_believed() {
        assert_eq!(
            decode_all(b"\x0a\xff\xff\xff\xff"),
            Err(Amf0Error::Truncated)
        );
        assert_eq!(
            decode_all(b"\x0c\xff\xff\xff\xff"),
            Err(Amf0Error::Truncated)
        );
        let limit = Amf0Limits::default();
        let nulls = vec![marker::NULL; limit.values + 1];
        assert_eq!(
            decode_all(&nulls),
            Err(Amf0Error::TooManyValues(limit.values))
        );
        let long = vec![marker::NULL; limit.bytes + 1];
        assert!(matches!(decode_all(&long), Err(Amf0Error::TooLong { .. })));
    }

    fn value() -> impl Strategy<Value = Value> {
        let text = "[a-zA-Z0-9 _-]{1,12}";
        let leaf = prop_oneof![
            (-1e9..1e9_f64).prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            ".{0,40}".prop_map(Value::String),
            Just(Value::Null),
            Just(Value::Undefined),
            Just(Value::Unsupported),
            any::<u16>().prop_map(Value::Reference),
            (0.0..1e15_f64).prop_map(Value::Date),
        ];
        leaf.prop_recursive(4, 64, 6, move |inner| {
            let properties = prop::collection::vec((text, inner.clone()), 0..6);
            prop_oneof![
                properties.clone().prop_map(Value::Object),
                properties.clone().prop_map(Value::EcmaArray),
                prop::collection::vec(inner, 0..6).prop_map(Value::StrictArray),
                (text, properties)
                    .prop_map(|(class, properties)| Value::TypedObject { class, properties }),
            ]
        })
    }

    proptest! {
        #[test]
        fn r09_values_survive_a_round_trip(values in prop::collection::vec(value(), 0..6)) {
            prop_assert_eq!(decode_all(&encode(&values)).unwrap(), values);
        }

        #[test]
        fn r09_random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _ = decode_all(&bytes);
        }

        #[test]
        fn r09_damaged_values_never_panic(
            values in prop::collection::vec(value(), 1..4),
            at in any::<prop::sample::Index>(),
            to in any::<u8>(),
        ) {
            let mut bytes = encode(&values).to_vec();
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(values) = decode_all(&bytes) {
                prop_assert!(values.len() <= bytes.len());
            }
        }
    }
}
