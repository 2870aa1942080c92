//! Values, the same whichever engine they come from.

use std::cmp::Ordering;
use std::fmt::Write;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::rows::RowError;
use crate::rows::catalogue::Kind;
use crate::rows::sql::{Engine, Row, Value};

/// Reads a column as what it is declared as.
pub(super) fn read(row: &Row, column: &str, kind: Kind) -> Result<Value, RowError> {
    Ok(match kind {
        Kind::BigInt => Value::BigInt(row.get(column)?),
        Kind::Boolean => Value::Boolean(row.get(column)?),
        Kind::Text => Value::Text(row.get(column)?),
        Kind::Blob => Value::Blob(row.get(column)?),
        Kind::Uuid => Value::Uuid(row.get(column)?),
    })
}

/// The value as a column of `kind` on `engine` takes it, or why it does not.
pub(super) fn fit(value: Value, kind: Kind, engine: Engine) -> Result<Value, &'static str> {
    match (value, kind) {
        (Value::Text(None), Kind::Uuid) => Ok(Value::Uuid(None)),
        (Value::Text(Some(text)), Kind::Uuid) => match text.parse::<Uuid>() {
            // Another spelling would be another value when it is read again.
            Ok(id) if id.to_string() == text => Ok(Value::Uuid(Some(id))),
            _ => Err("it is no UUID in lower case with hyphens"),
        },
        (Value::Text(Some(text)), _) if engine == Engine::Postgres && text.contains('\0') => {
            Err("it has a NUL character, which PostgreSQL does not store in text")
        }
        (value, _) => Ok(value),
    }
}

/// Bytes that the value takes, roughly.
pub(super) fn weight(value: &Value) -> usize {
    const OF_ANY: usize = size_of::<Value>();
    OF_ANY
        + match value {
            Value::Text(Some(text)) => text.len(),
            Value::Blob(Some(bytes)) => bytes.len(),
            _ => 0,
        }
}

/// Adds the value to `hash`: its type, then its length or its bytes. An id is its text.
pub(super) fn hash(value: &Value, hash: &mut Sha256) {
    let mut sized = |tag: u8, bytes: &[u8]| {
        hash.update([tag]);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    match value {
        Value::BigInt(Some(number)) => sized(1, &number.to_be_bytes()),
        Value::Boolean(Some(truth)) => sized(2, &[u8::from(*truth)]),
        Value::Text(Some(text)) => sized(3, text.as_bytes()),
        Value::Uuid(Some(id)) => sized(
            3,
            id.hyphenated()
                .encode_lower(&mut Uuid::encode_buffer())
                .as_bytes(),
        ),
        Value::Blob(Some(bytes)) => sized(4, bytes),
        _ => sized(0, &[]),
    }
}

/// A text, or an id as text.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => text.clone(),
        Value::Uuid(id) => id.map(|id| id.to_string()),
        Value::BigInt(number) => number.map(|number| number.to_string()),
        _ => None,
    }
}

/// The order that both engines give keys in, and equality of any values.
pub(super) fn compare(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::BigInt(one), Value::BigInt(other)) => one.cmp(other),
        (Value::Boolean(one), Value::Boolean(other)) => one.cmp(other),
        (Value::Blob(one), Value::Blob(other)) => one.cmp(other),
        (Value::Text(one), Value::Text(other)) => one.cmp(other),
        (Value::Uuid(one), Value::Uuid(other)) => one.cmp(other),
        (one, other) => text(one).cmp(&text(other)),
    }
}

/// A key as a message shows it: `(0198..., 7)`.
pub(super) fn shown<'a>(key: impl IntoIterator<Item = &'a Value>) -> String {
    /// Characters of one value.
    const LIMIT: usize = 80;
    let mut shown = String::from("(");
    for (place, value) in key.into_iter().enumerate() {
        if place > 0 {
            shown.push_str(", ");
        }
        match value {
            Value::Blob(Some(bytes)) => {
                for byte in bytes.iter().take(LIMIT / 2) {
                    // A String takes everything.
                    let _ = write!(shown, "{byte:02x}");
                }
            }
            value => {
                let text = text(value).unwrap_or_else(|| "NULL".to_owned());
                shown.extend(text.escape_debug().take(LIMIT));
            }
        }
    }
    shown.push(')');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(values: &[Value]) -> [u8; 32] {
        let mut all = Sha256::new();
        for value in values {
            hash(value, &mut all);
        }
        all.finalize().into()
    }

    fn text_of(text: &str) -> Value {
        Value::Text(Some(text.to_owned()))
    }

    #[test]
    fn equal_values_and_no_others_have_equal_hashes() {
        let id = Uuid::now_v7();
        let same = [Value::Uuid(Some(id)), text_of(&id.to_string())];
        assert_eq!(hashed(&same[..1]), hashed(&same[1..]));
        assert_eq!(compare(&same[0], &same[1]), Ordering::Equal);
        assert_eq!(hashed(&[Value::Uuid(None)]), hashed(&[Value::Text(None)]));
        let different = [
            vec![],
            vec![Value::Text(None)],
            vec![text_of("")],
            vec![Value::Blob(Some(Vec::new()))],
            vec![text_of("ab")],
            vec![text_of("a"), text_of("b")],
            vec![text_of("b"), text_of("a")],
            vec![Value::BigInt(Some(0))],
            vec![Value::BigInt(Some(1))],
            vec![Value::Boolean(Some(false))],
            vec![Value::Boolean(Some(true))],
            vec![Value::Text(None), Value::Text(None)],
        ];
        for (place, one) in different.iter().enumerate() {
            for other in &different[..place] {
                assert_ne!(hashed(one), hashed(other), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_says_why() {
        let upper = text_of("0198A000-0000-7000-8000-000000000000");
        assert!(fit(upper.clone(), Kind::Uuid, Engine::Postgres).is_err());
        assert!(fit(upper, Kind::Text, Engine::Postgres).is_ok());
        let nul = text_of("a\0b");
        assert!(fit(nul.clone(), Kind::Text, Engine::Postgres).is_err());
        assert!(fit(nul, Kind::Text, Engine::Sqlite).is_ok());
    }

    #[test]
    fn a_key_can_be_shown() {
        let key = [
            text_of("a\nb"),
            Value::Blob(Some(vec![1, 255])),
            Value::BigInt(Some(-7)),
        ];
        assert_eq!(shown(&key), r"(a\nb, 01ff, -7)");
        assert!(shown(&[text_of(&"x".repeat(1_000_000))]).len() < 100);
    }
}
