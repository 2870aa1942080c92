//! How new media are pushed: the body of a feed's answer, which ends when the feed does.
//!
//! A feed is a row of objects. Each has the path that it could be asked for under, the head
//! that the answer would have, and its bytes, or how many of the objects before it make it:
//! a segment is the concatenation of its parts, and those have been sent. A feed of which there
//! is nothing to send is shown to live by an empty object ([`ALIVE`]).
//!
//! ```text
//! object    kind (1) path-length (2) head-length (2) size (4) path head [bytes]
//! kind      1: `size` bytes follow; 2: it is made of the `size` objects before it;
//!           3: a sign of life, and all else of the object is 0 or missing
//! head      status (2) field*
//! field     name-length (1) value-length (2) name value
//! ```
//!
//! Lengths are bytes, and numbers are in network order. No IO: bytes in, events out, and every
//! length has a limit.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The `Content-Type` of a feed. Another format has another.
pub const CONTENT_TYPE: &str = "application/vnd.nova.feed";

/// Bytes of the longest path.
pub const MAX_PATH_BYTES: usize = 1_024;
/// Bytes of the longest head.
pub const MAX_HEAD_BYTES: usize = 16 << 10;
/// Fields of a head.
pub const MAX_FIELDS: usize = 64;
/// Bytes of the largest object.
pub const MAX_BODY_BYTES: u32 = 64 << 20;
/// Objects that one can be made of.
pub const MAX_JOINED: u32 = 1_024;

/// After so long without an object, whoever serves a feed sends [`ALIVE`].
pub const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// A feed of which nothing has come for so long has died, whatever its connection says.
pub const SILENCE: Duration = KEEP_ALIVE.saturating_mul(3);

/// Kind, and three lengths.
const PREFIX_BYTES: usize = 9;
const KIND_BYTES: u8 = 1;
const KIND_JOINED: u8 = 2;
const KIND_ALIVE: u8 = 3;

/// The empty object that shows that a feed lives. It may stand between objects.
pub const ALIVE: [u8; PREFIX_BYTES] = [KIND_ALIVE, 0, 0, 0, 0, 0, 0, 0, 0];

/// What an object is, but for its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectHead {
    /// What it would be asked for under.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// Its fields. Names are in lower case.
    pub fields: Vec<(String, Bytes)>,
}

/// Where an object's bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// So many follow.
    Bytes(u32),
    /// They are those of so many objects of the feed, the last ones before it.
    Joined(u32),
}

/// What comes of a feed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// An object begins.
    Object(ObjectHead, Content),
    /// The next of its bytes.
    Data(Bytes),
    /// All of it has come.
    End,
    /// Between objects: nothing is published, and the feed lives.
    Alive,
}

/// Why bytes are no feed, or something cannot be an object of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FeedError {
    /// Neither bytes, nor a number of objects, nor a sign of life.
    #[error("an object of kind {0}: expected 1, 2 or 3")]
    Kind(u8),
    /// A sign of life that is more than that.
    #[error("a sign of life with a length: expected none")]
    Alive,
    /// The path.
    #[error("a path of {0} bytes: expected 1 to {MAX_PATH_BYTES}")]
    PathLength(usize),
    /// A path with something else than visible ASCII, or that does not begin with a slash.
    #[error("a path that is none")]
    Path,
    /// The head.
    #[error("a head of {0} bytes: expected 2 to {MAX_HEAD_BYTES}")]
    HeadLength(usize),
    /// A status that no answer has.
    #[error("a status of {0}: expected 200 to 599")]
    Status(u16),
    /// The fields.
    #[error("more than {MAX_FIELDS} fields")]
    TooManyFields,
    /// A field that reaches past the head, or has no name, or one that is no token in lower case.
    #[error("a field that is none")]
    Field,
    /// The bytes.
    #[error("an object of {0} bytes: expected {MAX_BODY_BYTES} at most")]
    BodyLength(u64),
    /// The objects before it.
    #[error("an object made of {0} others: expected 1 to {MAX_JOINED}")]
    Joined(u32),
    /// It ends before its bytes do.
    #[error("the feed broke off in the middle of an object")]
    BrokenOff,
}

impl Content {
    /// Of an object with so many bytes.
    pub fn bytes(length: usize) -> Result<Self, FeedError> {
        match u32::try_from(length) {
            Ok(length) if length <= MAX_BODY_BYTES => Ok(Self::Bytes(length)),
            _ => Err(FeedError::BodyLength(length as u64)),
        }
    }
}

/// An object as it is sent, without its bytes, which follow.
pub fn encode(head: &ObjectHead, content: Content) -> Result<Bytes, FeedError> {
    check_path(head.path.as_bytes())?;
    if !(200..600).contains(&head.status) {
        return Err(FeedError::Status(head.status));
    }
    if head.fields.len() > MAX_FIELDS {
        return Err(FeedError::TooManyFields);
    }
    let fields = head.fields.iter();
    let head_length = 2 + fields
        .map(|(name, value)| 3 + name.len() + value.len())
        .sum::<usize>();
    if head_length > MAX_HEAD_BYTES {
        return Err(FeedError::HeadLength(head_length));
    }
    let (kind, size) = match content {
        Content::Bytes(length) if length > MAX_BODY_BYTES => {
            return Err(FeedError::BodyLength(length.into()));
        }
        Content::Bytes(length) => (KIND_BYTES, length),
        Content::Joined(count) => {
            check_joined(count)?;
            (KIND_JOINED, count)
        }
    };
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + head.path.len() + head_length);
    out.put_u8(kind);
    // Both are below their limits, which fit.
    out.put_u16(head.path.len() as u16);
    out.put_u16(head_length as u16);
    out.put_u32(size);
    out.put_slice(head.path.as_bytes());
    out.put_u16(head.status);
    for (name, value) in &head.fields {
        let length = u8::try_from(name.len()).map_err(|_| FeedError::Field)?;
        if !is_name(name.as_bytes()) {
            return Err(FeedError::Field);
        }
        out.put_u8(length);
        // It is shorter than the head.
        out.put_u16(value.len() as u16);
        out.put_slice(name.as_bytes());
        out.put_slice(value);
    }
    Ok(out.freeze())
}

/// Reads a feed. After an error nothing more can be read of it.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    /// What came of a prefix, or of a path and a head. Never more than the longest of those.
    buffer: BytesMut,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Between objects, or within a prefix.
    #[default]
    Prefix,
    /// Within path and head.
    Head(Prefix),
    /// So many bytes are still to come.
    Body(u32),
}

#[derive(Clone, Copy, Debug)]
struct Prefix {
    content: Content,
    path: usize,
    head: usize,
}

impl Decoder {
    /// At the beginning of a feed.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next event, out of `input`, from which what is read is taken. `None`: all of it is,
    /// and more is needed.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Event>, FeedError> {
        loop {
            match self.state {
                State::Prefix => {
                    let Some(mut prefix) = self.take(PREFIX_BYTES, input) else {
                        return Ok(None);
                    };
                    if prefix[0] == KIND_ALIVE {
                        return match *prefix == ALIVE {
                            true => Ok(Some(Event::Alive)),
                            false => Err(FeedError::Alive),
                        };
                    }
                    self.state = State::Head(Prefix::read(&mut prefix)?);
                }
                State::Head(prefix) => {
                    let Some(mut head) = self.take(prefix.path + prefix.head, input) else {
                        return Ok(None);
                    };
                    let path = head.split_to(prefix.path);
                    let object = read_head(&path, head)?;
                    self.state = State::Body(match prefix.content {
                        Content::Bytes(length) => length,
                        Content::Joined(_) => 0,
                    });
                    return Ok(Some(Event::Object(object, prefix.content)));
                }
                State::Body(0) => {
                    self.state = State::Prefix;
                    return Ok(Some(Event::End));
                }
                State::Body(_) if input.is_empty() => return Ok(None),
                State::Body(left) => {
                    let length = input.len().min(left as usize);
                    // It is `left` at most, so it fits.
                    self.state = State::Body(left - length as u32);
                    return Ok(Some(Event::Data(input.split_to(length))));
                }
            }
        }
    }

    /// May the feed end here?
    pub fn finish(&self) -> Result<(), FeedError> {
        match self.state {
            State::Prefix if self.buffer.is_empty() => Ok(()),
            _ => Err(FeedError::BrokenOff),
        }
    }

    /// So many bytes, once they are all there.
    fn take(&mut self, length: usize, input: &mut Bytes) -> Option<Bytes> {
        if self.buffer.is_empty() && input.len() >= length {
            return Some(input.split_to(length));
        }
        let missing = length - self.buffer.len();
        let there = missing.min(input.len());
        self.buffer.extend_from_slice(&input.split_to(there));
        (there == missing).then(|| self.buffer.split().freeze())
    }
}

impl Prefix {
    fn read(bytes: &mut Bytes) -> Result<Self, FeedError> {
        let kind = bytes.get_u8();
        let (path, head) = (bytes.get_u16() as usize, bytes.get_u16() as usize);
        let size = bytes.get_u32();
        if !(1..=MAX_PATH_BYTES).contains(&path) {
            return Err(FeedError::PathLength(path));
        }
        if !(2..=MAX_HEAD_BYTES).contains(&head) {
            return Err(FeedError::HeadLength(head));
        }
        let content = match kind {
            KIND_BYTES => Content::bytes(size as usize)?,
            KIND_JOINED => {
                check_joined(size)?;
                Content::Joined(size)
            }
            other => return Err(FeedError::Kind(other)),
        };
        Ok(Self {
            content,
            path,
            head,
        })
    }
}

fn read_head(path: &[u8], mut head: Bytes) -> Result<ObjectHead, FeedError> {
    check_path(path)?;
    let path = std::str::from_utf8(path).map_err(|_| FeedError::Path)?;
    let status = head.get_u16();
    if !(200..600).contains(&status) {
        return Err(FeedError::Status(status));
    }
    let mut fields = Vec::new();
    while !head.is_empty() {
        if fields.len() == MAX_FIELDS {
            return Err(FeedError::TooManyFields);
        }
        if head.len() < 3 {
            return Err(FeedError::Field);
        }
        let (name, value) = (head.get_u8() as usize, head.get_u16() as usize);
        if head.len() < name + value {
            return Err(FeedError::Field);
        }
        let name = head.split_to(name);
        if !is_name(&name) {
            return Err(FeedError::Field);
        }
        let name = std::str::from_utf8(&name).map_err(|_| FeedError::Field)?;
        // A copy: a slice would keep what came with it in memory.
        let value = Bytes::copy_from_slice(&head.split_to(value));
        fields.push((name.to_owned(), value));
    }
    Ok(ObjectHead {
        path: path.to_owned(),
        status,
        fields,
    })
}

fn check_path(path: &[u8]) -> Result<(), FeedError> {
    if !(1..=MAX_PATH_BYTES).contains(&path.len()) {
        return Err(FeedError::PathLength(path.len()));
    }
    match path.first() == Some(&b'/') && path.iter().all(u8::is_ascii_graphic) {
        true => Ok(()),
        false => Err(FeedError::Path),
    }
}

fn check_joined(count: u32) -> Result<(), FeedError> {
    match (1..=MAX_JOINED).contains(&count) {
        true => Ok(()),
        false => Err(FeedError::Joined(count)),
    }
}

/// RFC 9110 5.6.2, in lower case.
fn is_name(name: &[u8]) -> bool {
    let allowed = |byte: &u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(byte)
    };
    !name.is_empty() && name.iter().all(allowed)
}

#[cfg(test)]
#[path = "feed/tests.rs"]
mod tests;
