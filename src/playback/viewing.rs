//! Who was let in, as the session of a token: what a token is taken back by.
//!
//! 46 bytes in base64url: the viewer and the owner, of whom the nil id is nobody; half of the login
//! session or API token by which the viewer asked, which is chosen by chance; and when, in
//! milliseconds since 1970.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use edge::access::SessionName;
use media::{Timestamp, UserId};
use social::streams::Viewing;
use uuid::Uuid;

const BYTES: usize = 46;

/// Half of the id of what the viewer asked by.
pub(super) type Shown = [u8; 8];

/// What a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) viewer: Option<UserId>,
    pub(super) owner: UserId,
    pub(super) shown: Shown,
    /// When it was signed, cut to milliseconds.
    pub(super) at: Timestamp,
}

/// The half of a UUIDv7 that is no time.
pub(super) fn half(id: Uuid) -> Shown {
    let [.., a, b, c, d, e, f, g, h] = id.into_bytes();
    [a, b, c, d, e, f, g, h]
}

/// The session of a token for whoever was let in.
pub fn name(viewing: &Viewing) -> SessionName {
    let viewer = viewing.viewer.map_or(Uuid::nil(), UserId::as_uuid);
    let millis = viewing.at.as_micros().max(0) / 1_000;
    let mut bytes = Vec::with_capacity(BYTES);
    bytes.extend_from_slice(viewer.as_bytes());
    bytes.extend_from_slice(viewing.owner.as_uuid().as_bytes());
    bytes.extend_from_slice(&viewing.shown.map_or(Shown::default(), half));
    bytes.extend_from_slice(&millis.to_be_bytes()[2..]);
    let text = BASE64URL.encode(bytes);
    text.parse()
        .expect("62 characters of base64url are a session's name")
}

/// What a session of ours says; `None`: it is somebody else's.
pub(super) fn read(name: &SessionName) -> Option<Named> {
    let bytes = BASE64URL.decode(name.as_str()).ok()?;
    let bytes: [u8; BYTES] = bytes.try_into().ok()?;
    let id = |from: usize| Uuid::from_slice(&bytes[from..from + 16]).ok();
    let (viewer, owner) = (id(0)?, id(16)?);
    let mut millis = [0; 8];
    millis[2..].copy_from_slice(&bytes[40..]);
    let mut shown = Shown::default();
    shown.copy_from_slice(&bytes[32..40]);
    Some(Named {
        viewer: (!viewer.is_nil()).then(|| viewer.into()),
        owner: owner.into(),
        shown,
        at: Timestamp::from_micros(i64::from_be_bytes(millis) * 1_000),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_123_456);

    #[test]
    fn a_session_says_who_was_let_in() {
        let login = media::LoginSessionId::new().as_uuid();
        for (viewer, shown) in [(Some(UserId::new()), Some(login)), (None, None)] {
            let viewing = Viewing {
                owner: UserId::new(),
                viewer,
                shown,
                at: NOW,
            };
            let read = read(&name(&viewing)).unwrap();
            assert_eq!((read.viewer, read.owner), (viewer, viewing.owner));
            assert_eq!(read.shown, shown.map_or(Shown::default(), half));
            assert_eq!(read.at.as_micros(), 1_800_000_000_123_000);
        }
    }

    #[test]
    fn other_sessions_are_somebody_elses() {
        for text in ["viewer-17", "x", &"A".repeat(61), &"A".repeat(64)] {
            assert_eq!(read(&text.parse().unwrap()), None, "{text}");
        }
    }
}
