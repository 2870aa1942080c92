//! Delivery directives: the query of a playlist request (RFC 8216bis 6.2.5).

use media::{PartIndex, SegmentNumber};

use super::route::number;
use crate::live::{MAX_PARTS, ReloadTarget};

/// `_HLS_msn`, `_HLS_part` and `_HLS_skip`; other keys are none of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Directives {
    /// What the playlist must have.
    pub(crate) target: Option<ReloadTarget>,
    /// Whether a delta update is wanted.
    pub(crate) skip: bool,
}

/// Why a query is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DirectiveError {
    /// Not a plain decimal number.
    #[error("{0} is not a decimal number")]
    NotANumber(&'static str),
    /// Given twice.
    #[error("{0} is given more than once")]
    Repeated(&'static str),
    /// RFC 8216bis 6.2.5.2.
    #[error("_HLS_part without _HLS_msn")]
    PartWithoutSegment,
    /// No segment has that many parts.
    #[error("_HLS_part is not below {MAX_PARTS}")]
    PartTooHigh,
    /// RFC 8216bis 6.2.5.1.
    #[error("_HLS_skip is neither YES nor v2")]
    UnknownSkip,
}

impl Directives {
    pub(crate) fn parse(query: &str) -> Result<Self, DirectiveError> {
        let (mut segment, mut part, mut skip) = (None, None, None);
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (slot, key) = match key {
                "_HLS_msn" => (&mut segment, "_HLS_msn"),
                "_HLS_part" => (&mut part, "_HLS_part"),
                "_HLS_skip" => (&mut skip, "_HLS_skip"),
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(DirectiveError::Repeated(key));
            }
        }
        let segment: Option<SegmentNumber> = segment
            .map(|text| number(text).ok_or(DirectiveError::NotANumber("_HLS_msn")))
            .transpose()?;
        let part: Option<PartIndex> = part
            .map(|text| number(text).ok_or(DirectiveError::NotANumber("_HLS_part")))
            .transpose()?;
        if part.is_some_and(|part| part.0 as usize >= MAX_PARTS) {
            return Err(DirectiveError::PartTooHigh);
        }
        let skip = match skip {
            None => false,
            // v2 skips date ranges, too; there are none.
            Some("YES" | "v2") => true,
            Some(_) => return Err(DirectiveError::UnknownSkip),
        };
        let target = match (segment, part) {
            (None, Some(_)) => return Err(DirectiveError::PartWithoutSegment),
            (None, None) => None,
            (Some(segment), part) => Some(ReloadTarget { segment, part }),
        };
        Ok(Self { target, skip })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p02_directives_are_read_strictly() {
        let target = |segment, part: Option<u32>| {
            Some(ReloadTarget {
                segment: SegmentNumber(segment),
                part: part.map(PartIndex),
            })
        };
        for (query, directives) in [
            ("", Ok((None, false))),
            ("token=x&a", Ok((None, false))),
            ("_HLS_msn=5", Ok((target(5, None), false))),
            (
                "_HLS_part=2&x=1&_HLS_msn=5",
                Ok((target(5, Some(2)), false)),
            ),
            (
                "_HLS_msn=0&_HLS_part=0&_HLS_skip=YES",
                Ok((target(0, Some(0)), true)),
            ),
            ("_HLS_skip=v2", Ok((None, true))),
            ("_HLS_part=2", Err(DirectiveError::PartWithoutSegment)),
            ("_HLS_msn=", Err(DirectiveError::NotANumber("_HLS_msn"))),
            ("_HLS_msn=-1", Err(DirectiveError::NotANumber("_HLS_msn"))),
            ("_HLS_msn=+1", Err(DirectiveError::NotANumber("_HLS_msn"))),
            ("_HLS_msn=1e3", Err(DirectiveError::NotANumber("_HLS_msn"))),
            (
                "_HLS_msn=99999999999999999999",
                Err(DirectiveError::NotANumber("_HLS_msn")),
            ),
            (
                "_HLS_msn=1&_HLS_part=x",
                Err(DirectiveError::NotANumber("_HLS_part")),
            ),
            (
                "_HLS_msn=1&_HLS_msn=1",
                Err(DirectiveError::Repeated("_HLS_msn")),
            ),
            (
                "_HLS_msn=1&_HLS_part=511",
                Ok((target(1, Some(511)), false)),
            ),
            ("_HLS_msn=1&_HLS_part=512", Err(DirectiveError::PartTooHigh)),
            ("_HLS_skip=NO", Err(DirectiveError::UnknownSkip)),
        ] {
            let directives = directives.map(|(target, skip)| Directives { target, skip });
            assert_eq!(Directives::parse(query), directives, "{query}");
        }
    }
}
