//! Reads what clients write as JSON.

use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_json::Number;

use crate::ServiceError;

/// Below it a double that is whole says its number exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads a body; what is wrong with it is told with the field that it is about.
pub(crate) fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, ServiceError> {
    read_by(read_as_written, text)
}

/// Reads it by `read`, which is shown whole numbers once more if it refuses it: JSON Schema takes
/// `2.0` for an integer (draft 2020-12, 4.2.3), and some clients write it; `serde` does not.
pub(crate) fn read_by<T, E>(read: impl Fn(&[u8]) -> Result<T, E>, text: &[u8]) -> Result<T, E> {
    read(text).or_else(|error| {
        let otherwise = with_whole_numbers(text);
        otherwise.and_then(|text| read(&text).ok()).ok_or(error)
    })
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

/// The same text with `2.0` and `2e0` written as `2`; `None`: it has no such number. All else stays
/// as it is, so that what is wrong with it still is.
fn with_whole_numbers(text: &[u8]) -> Option<Vec<u8>> {
    let mut written = Vec::with_capacity(text.len());
    let mut copied = 0;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => at = end_of_string(text, at),
            b'-' | b'0'..=b'9' => {
                let number = number_at(text, at);
                at = number.end;
                if let Some(whole) = whole(&text[number.clone()]) {
                    written.extend_from_slice(&text[copied..number.start]);
                    written.extend_from_slice(whole.to_string().as_bytes());
                    copied = number.end;
                }
            }
            _ => at += 1,
        }
    }
    (copied > 0).then(|| {
        written.extend_from_slice(&text[copied..]);
        written
    })
}

/// Behind the quote that ends the string which begins at `start`.
fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < text.len() {
        match text[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn number_at(text: &[u8], start: usize) -> Range<usize> {
    let is_other = |byte: &u8| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let length = text[start..].iter().position(is_other);
    start..length.map_or(text.len(), |length| start + length)
}

/// The number that is written otherwise here, if it is whole.
fn whole(token: &[u8]) -> Option<i64> {
    if token.iter().all(|byte| !matches!(byte, b'.' | b'e' | b'E')) {
        return None;
    }
    let number: Number = serde_json::from_slice(token).ok()?;
    let is_whole = |float: &f64| float.fract() == 0.0 && float.abs() < EXACT;
    let float = number.as_f64().filter(is_whole)?;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and exact")]
    let whole = float as i64;
    Some(whole)
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
        for text in [
            "",
            "{",
            r#"{"counts": [2.0], "share": 1} x"#,
            r#"{"counts": [02.0], "share": 1}"#,
            r#"{"counts": [2.], "share": 1}"#,
            r#"{"counts": [2.0-1.0], "share": 1}"#,
            r#"{"counts": [2.0], "share": 1, "share": 1}"#,
            r#"{"counts": [2.0], "share": "\\"#,
        ] {
            assert!(read::<Asked>(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn text_stays_as_it_was_written() {
        let written = |text: &str| {
            let written = with_whole_numbers(text.as_bytes());
            written.map(|written| String::from_utf8(written).unwrap())
        };
        let text = r#"{"a 2.0": "\" 2.0", "b":[-3.0,2.5,1e300,4],"c":2E1}"#;
        let expected = r#"{"a 2.0": "\" 2.0", "b":[-3,2.5,1e300,4],"c":20}"#;
        assert_eq!(written(text).as_deref(), Some(expected));
        assert_eq!(written(r#"{"a": "2.0 \\", "b": [2, "3.0"]}"#), None);
    }
}
