//! Reads bodies of JSON.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ServiceError;

/// Below it a double that is whole says its number exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads a body; what is wrong with it is told with the field that it is about.
pub(super) fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, ServiceError> {
    read_as_written(text).or_else(|error| read_whole_numbers(text).ok_or(error))
}

/// JSON Schema takes `2.0` for an integer, and some clients write it; `serde` does not.
fn read_whole_numbers<T: DeserializeOwned>(text: &[u8]) -> Option<T> {
    let mut value = serde_json::from_slice(text).ok()?;
    write_whole_numbers(&mut value);
    T::deserialize(value).ok()
}

fn read_as_written<T: DeserializeOwned>(text: &[u8]) -> Result<T, ServiceError> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        // The whole of it.
        let field = if path == "." { "" } else { &path };
        ServiceError::invalid(field, error.inner())
    })?;
    let ended = reader.end();
    ended.map_err(|error| ServiceError::invalid("", error))?;
    Ok(value)
}

/// Writes `2.0` and `2e0` as `2`.
fn write_whole_numbers(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(write_whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(write_whole_numbers),
        Value::Number(number) if number.is_f64() => {
            let is_whole = |float: &f64| float.fract() == 0.0 && float.abs() < EXACT;
            if let Some(float) = number.as_f64().filter(is_whole) {
                #[expect(clippy::cast_possible_truncation, reason = "it is whole and exact")]
                let whole = float as i64;
                *value = whole.into();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        counts: Vec<u32>,
        share: f64,
    }

    fn asked(counts: &str) -> Result<Asked, ServiceError> {
        read(format!(r#"{{"counts": {counts}, "share": 2.0}}"#).as_bytes())
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        let expected = Asked {
            counts: vec![2, 2, 20],
            share: 2.0,
        };
        assert_eq!(asked("[2, 2.0, 2e1]").unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_told_as_it_was_written() {
        for (counts, told) in [
            ("[2.5]", "counts[0]"),
            ("[2.0, -1.0]", "counts[0]"),
            ("[2, 1e300]", "counts[1]"),
            ("[2.0, \"2\"]", "counts[0]"),
        ] {
            let error = format!("{:?}", asked(counts).unwrap_err());
            assert!(error.contains(told), "{counts}: {error}");
        }
        for text in ["", "{", r#"{"counts": [2.0], "share": 1} x"#] {
            assert!(read::<Asked>(text.as_bytes()).is_err(), "{text}");
        }
    }
}
