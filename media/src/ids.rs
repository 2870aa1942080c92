//! Names and numbers of things.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{NoContext, Timestamp as UuidTimestamp, Uuid};

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        uuid_id!(
            $(#[$doc])*
            $name,
            "A new id. UUIDv7 (RFC 9562 5.7): ids made later sort later.",
            Uuid::now_v7()
        );
    };
    ($(#[$doc:meta])* $name:ident, $made:literal, $new:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            #[doc = $made]
            #[allow(clippy::new_without_default, reason = "an id is made, not defaulted")]
            pub fn new() -> Self {
                Self($new)
            }

            /// The id as a UUID, as a row keeps it.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id!(
    /// A person or organisation with an account.
    UserId
);
uuid_id!(
    /// A channel that can be live many times.
    StreamId
);
uuid_id!(
    /// A secret that a stream is published with, by what is not secret of it.
    StreamKeyId
);
uuid_id!(
    /// One broadcast of a stream: from going live until the grace period has passed.
    SessionId
);
uuid_id!(
    /// A place that a server runs at: a data directory.
    NodeId
);
uuid_id!(
    /// A piece of work that outlives who asked for it.
    JobId
);

uuid_id!(
    /// A video: something to play that is not live.
    VideoId
);

uuid_id!(
    /// Somebody who watches a stream, for as long as they say so.
    ViewerId
);

uuid_id!(
    /// An order to stop serving something from caches.
    PurgeId
);

uuid_id!(
    /// An order to have something in caches before it is asked for.
    PrewarmId
);

uuid_id!(
    /// Something registered to be cached.
    AssetId
);

uuid_id!(
    /// One login on one device: the family of its refresh tokens.
    LoginSessionId
);

uuid_id!(
    /// A personal token for the API.
    ApiTokenId
);

uuid_id!(
    /// An account that waits for the link in its mail.
    RegistrationId
);

uuid_id!(
    /// What somebody says about somebody to the moderators.
    ReportId
);

uuid_id!(
    /// Something that the audit log tells of.
    AuditEntryId
);

uuid_id!(
    /// Something that somebody is told of.
    NotificationId
);

uuid_id!(
    /// What somebody wrote: a post, a comment, a share or a quote.
    PostId
);

uuid_id!(
    /// A picture for a post. Whoever has the id has the picture.
    ///
    /// Other ids of one millisecond count on from each other, so that whoever has made one of them
    /// lacks 32 bits of the next. These are random in all the 74 bits that UUIDv7 leaves, and
    /// those of one millisecond are in no order.
    ImageId,
    "A new id, which nobody guesses. UUIDv7 (RFC 9562 5.7): ids made later sort later, but for those of one millisecond.",
    Uuid::new_v7(UuidTimestamp::now(NoContext))
);

uuid_id!(
    /// What somebody says in the chat of a stream.
    ChatMessageId
);

/// Why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} name {given:?} is not valid: expected 1 to {limit} characters of a-z, 0-9, '-' and '_', the first a letter or digit"
)]
pub struct InvalidName {
    what: &'static str,
    given: String,
    limit: usize,
}

fn check_name(what: &'static str, text: &str, limit: usize) -> Result<(), InvalidName> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let valid = (1..=limit).contains(&bytes.len())
        && allowed(bytes[0])
        && bytes.iter().all(|&b| allowed(b) || b == b'-' || b == b'_');
    if valid {
        return Ok(());
    }
    Err(InvalidName {
        what,
        given: text.chars().take(limit + 1).collect(),
        limit,
    })
}

/// A stream's name as it stands in its URLs, `/live/{stream}/index.m3u8`: 1 to 64
/// characters of `a-z 0-9 - _`. Never its key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct StreamName(String);

impl FromStr for StreamName {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        check_name("stream", text, 64)?;
        Ok(Self(text.to_owned()))
    }
}

impl StreamName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A rendition's name as it stands in URLs: `source`, `720p`, `audio`. 1 to 32
/// characters of `a-z 0-9 - _`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RenditionName(Cow<'static, str>);

impl RenditionName {
    /// The source's video, at the source's resolution.
    pub const SOURCE: Self = Self(Cow::Borrowed("source"));
    /// The source's audio.
    pub const AUDIO: Self = Self(Cow::Borrowed("audio"));

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RenditionName {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for RenditionName {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        check_name("rendition", &text, 32)?;
        Ok(Self(Cow::Owned(text)))
    }
}

impl From<RenditionName> for String {
    fn from(name: RenditionName) -> Self {
        name.0.into_owned()
    }
}

impl fmt::Display for RenditionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl $name {
            /// The number after this one.
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

number!(
    /// What lies between two discontinuities of a stream. Belongs to the stream and
    /// only grows.
    EpochNumber(u32)
);
number!(
    /// A segment's number: its HLS media sequence number and its DASH `$Number$`.
    /// Belongs to the stream, the same in all renditions, and never restarts.
    SegmentNumber(u64)
);
number!(
    /// A part's place in its segment, from 0.
    PartIndex(u32)
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_pictures_do_not_count_on_from_each_other() {
        let ids: Vec<_> = (0..1_000).map(|_| ImageId::new().as_uuid()).collect();
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        // Of two that count on, the second is always the higher one.
        assert!(ids.windows(2).any(|pair| pair[0] > pair[1]));
        let ids: std::collections::HashSet<_> = ids.into_iter().collect();
        assert_eq!(ids.len(), 1_000);
    }

    #[test]
    fn names_are_url_safe() {
        for good in ["demo", "a", "my-stream_2", &"x".repeat(64)] {
            assert!(good.parse::<StreamName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a/b", "a.b", "..", "é", &"x".repeat(65)] {
            let error = bad.parse::<StreamName>().unwrap_err();
            assert!(error.to_string().contains("expected 1 to 64"), "{error}");
        }
    }
}
