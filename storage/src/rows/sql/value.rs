//! Values that are bound to placeholders.

use bytes::Bytes;
use media::{
    ApiTokenId, AssetId, AuditEntryId, ChatMessageId, EpochNumber, ImageId, JobId, LoginSessionId,
    Micros, NodeId, NotificationId, PostId, PrewarmId, PurgeId, RegistrationId, RenditionName,
    ReportId, SegmentNumber, SessionId, StreamId, StreamKeyId, StreamName, Timestamp, UserId,
    VideoId, ViewerId,
};
use uuid::Uuid;

/// A value as both engines know it. `None` is `NULL`, of that type: PostgreSQL asks.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// `BIGINT`.
    BigInt(Option<i64>),
    /// `BOOLEAN`.
    Boolean(Option<bool>),
    /// `TEXT`.
    Text(Option<String>),
    /// `BLOB` or `BYTEA`.
    Blob(Option<Vec<u8>>),
    /// `UUID`; on SQLite `TEXT`, hyphenated and in lower case, whose order is the same.
    Uuid(Option<Uuid>),
    /// A list for [`super::Engine::one_of`].
    BigInts(Vec<i64>),
    /// A list for [`super::Engine::one_of`].
    Texts(Vec<String>),
    /// A list for [`super::Engine::one_of`].
    Uuids(Vec<Uuid>),
    /// A number that no `BIGINT` holds. A query with one fails before it runs.
    OutOfRange(u64),
}

/// What can be bound to a placeholder.
pub trait Bind: Sized {
    /// `NULL` of this type.
    const NULL: Value;

    /// The value.
    fn value(self) -> Value;
}

impl<T: Bind> Bind for Option<T> {
    const NULL: Value = T::NULL;

    fn value(self) -> Value {
        self.map_or(T::NULL, T::value)
    }
}

impl Bind for Value {
    const NULL: Value = Value::Text(None);

    fn value(self) -> Value {
        self
    }
}

macro_rules! bind {
    ($($type:ty => $variant:ident, |$value:ident| $conversion:expr;)*) => {$(
        impl Bind for $type {
            const NULL: Value = Value::$variant(None);

            fn value(self) -> Value {
                let $value = self;
                Value::$variant(Some($conversion))
            }
        }
    )*};
}

bind! {
    i64 => BigInt, |number| number;
    i32 => BigInt, |number| number.into();
    u32 => BigInt, |number| number.into();
    u16 => BigInt, |number| number.into();
    EpochNumber => BigInt, |number| number.0.into();
    Timestamp => BigInt, |at| at.as_micros();
    Micros => BigInt, |span| span.as_micros();
    bool => Boolean, |truth| truth;
    String => Text, |text| text;
    &str => Text, |text| text.to_owned();
    &String => Text, |text| text.clone();
    &StreamName => Text, |name| name.as_str().to_owned();
    &RenditionName => Text, |name| name.as_str().to_owned();
    Vec<u8> => Blob, |bytes| bytes;
    &[u8] => Blob, |bytes| bytes.to_vec();
    Bytes => Blob, |bytes| bytes.into();
    Uuid => Uuid, |id| id;
    UserId => Uuid, |id| id.as_uuid();
    StreamId => Uuid, |id| id.as_uuid();
    StreamKeyId => Uuid, |id| id.as_uuid();
    SessionId => Uuid, |id| id.as_uuid();
    JobId => Uuid, |id| id.as_uuid();
    VideoId => Uuid, |id| id.as_uuid();
    ImageId => Uuid, |id| id.as_uuid();
    ViewerId => Uuid, |id| id.as_uuid();
    NodeId => Uuid, |id| id.as_uuid();
    PrewarmId => Uuid, |id| id.as_uuid();
    PurgeId => Uuid, |id| id.as_uuid();
    AssetId => Uuid, |id| id.as_uuid();
    LoginSessionId => Uuid, |id| id.as_uuid();
    ApiTokenId => Uuid, |id| id.as_uuid();
    RegistrationId => Uuid, |id| id.as_uuid();
    ReportId => Uuid, |id| id.as_uuid();
    AuditEntryId => Uuid, |id| id.as_uuid();
    NotificationId => Uuid, |id| id.as_uuid();
    PostId => Uuid, |id| id.as_uuid();
    ChatMessageId => Uuid, |id| id.as_uuid();
}

impl Bind for u64 {
    const NULL: Value = Value::BigInt(None);

    fn value(self) -> Value {
        i64::try_from(self).map_or(Value::OutOfRange(self), |number| {
            Value::BigInt(Some(number))
        })
    }
}

impl Bind for SegmentNumber {
    const NULL: Value = Value::BigInt(None);

    fn value(self) -> Value {
        self.0.value()
    }
}

impl Bind for Vec<i64> {
    const NULL: Value = Value::BigInts(Vec::new());

    fn value(self) -> Value {
        Value::BigInts(self)
    }
}

impl Bind for Vec<String> {
    const NULL: Value = Value::Texts(Vec::new());

    fn value(self) -> Value {
        Value::Texts(self)
    }
}

impl Bind for Vec<Uuid> {
    const NULL: Value = Value::Uuids(Vec::new());

    fn value(self) -> Value {
        Value::Uuids(self)
    }
}
