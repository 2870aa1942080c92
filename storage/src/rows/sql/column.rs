//! Columns and the types they are read as.

use std::error::Error;
use std::fmt;

use bytes::Bytes;
use media::{
    ApiTokenId, AssetId, AuditEntryId, ChatMessageId, EpochNumber, ImageId, JobId, LoginSessionId,
    Micros, NodeId, NotificationId, PostId, PrewarmId, PurgeId, RegistrationId, RenditionName,
    ReportId, SegmentNumber, SessionId, StreamId, StreamKeyId, StreamName, Timestamp, UserId,
    VideoId, ViewerId,
};
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};
use uuid::Uuid;

use super::row::{Inner, Row};
use crate::rows::RowError;

/// Which column of a row.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// The one of that name.
    Name(&'a str),
    /// The one at that place, from 0.
    At(usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::At(place) => place.fmt(f),
        }
    }
}

/// What a column can be read as.
pub trait FromColumn: Sized {
    /// Reads it. An error that names the column, if its value is not of this type.
    fn from_column(row: &Row, place: Place<'_>) -> Result<Self, RowError>;
}

/// Reads a type that both engines have.
fn read<T>(row: &Row, place: Place<'_>) -> Result<T, RowError>
where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
{
    Ok(match (&row.0, place) {
        (Inner::Sqlite(row), Place::Name(name)) => row.try_get(name),
        (Inner::Sqlite(row), Place::At(place)) => row.try_get(place),
        (Inner::Postgres(row), Place::Name(name)) => row.try_get(name),
        (Inner::Postgres(row), Place::At(place)) => row.try_get(place),
    }?)
}

/// `error` while reading the column at `place`.
pub(super) fn undecodable(place: Place<'_>, error: impl Error + Send + Sync + 'static) -> RowError {
    RowError::Engine(sqlx::Error::ColumnDecode {
        index: place.to_string(),
        source: Box::new(error),
    })
}

#[derive(Debug)]
struct NotInRange(i64);

impl fmt::Display for NotInRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is out of range", self.0)
    }
}

impl Error for NotInRange {}

macro_rules! native {
    ($($type:ty),*) => {$(
        impl FromColumn for $type {
            fn from_column(row: &Row, place: Place<'_>) -> Result<Self, RowError> {
                read(row, place)
            }
        }

        impl FromColumn for Option<$type> {
            fn from_column(row: &Row, place: Place<'_>) -> Result<Self, RowError> {
                read(row, place)
            }
        }
    )*};
}

native!(i64, bool, String, Vec<u8>);

/// SQLite keeps it as text.
impl FromColumn for Option<Uuid> {
    fn from_column(row: &Row, place: Place<'_>) -> Result<Self, RowError> {
        match (&row.0, place) {
            (Inner::Postgres(row), Place::Name(name)) => Ok(row.try_get(name)?),
            (Inner::Postgres(row), Place::At(at)) => Ok(row.try_get(at)?),
            (Inner::Sqlite(_), _) => {
                let text: Option<String> = read(row, place)?;
                text.map(|text| text.parse())
                    .transpose()
                    .map_err(|error| undecodable(place, error))
            }
        }
    }
}

impl FromColumn for Uuid {
    fn from_column(row: &Row, place: Place<'_>) -> Result<Self, RowError> {
        Option::from_column(row, place)?
            .ok_or_else(|| undecodable(place, sqlx::error::UnexpectedNullError))
    }
}

/// Types that are another type with a meaning.
macro_rules! meaning {
    ($($type:ty: $native:ty, |$value:ident, $place:ident| $conversion:expr;)*) => {$(
        impl FromColumn for $type {
            fn from_column(row: &Row, $place: Place<'_>) -> Result<Self, RowError> {
                let $value = <$native>::from_column(row, $place)?;
                $conversion
            }
        }

        impl FromColumn for Option<$type> {
            fn from_column(row: &Row, $place: Place<'_>) -> Result<Self, RowError> {
                match <Option<$native>>::from_column(row, $place)? {
                    Some($value) => $conversion.map(Some),
                    None => Ok(None),
                }
            }
        }
    )*};
}

fn within<T: TryFrom<i64>>(number: i64, place: Place<'_>) -> Result<T, RowError> {
    T::try_from(number).map_err(|_| undecodable(place, NotInRange(number)))
}

meaning! {
    u16: i64, |number, place| within(number, place);
    u32: i64, |number, place| within(number, place);
    u64: i64, |number, place| within(number, place);
    EpochNumber: i64, |number, place| within(number, place).map(EpochNumber);
    SegmentNumber: i64, |number, place| within(number, place).map(SegmentNumber);
    Timestamp: i64, |at, _place| Ok(Timestamp::from_micros(at));
    Micros: i64, |span, _place| Ok(Micros::new(span));
    Bytes: Vec<u8>, |bytes, _place| Ok(Bytes::from(bytes));
    UserId: Uuid, |id, _place| Ok(UserId::from(id));
    StreamId: Uuid, |id, _place| Ok(StreamId::from(id));
    StreamKeyId: Uuid, |id, _place| Ok(StreamKeyId::from(id));
    SessionId: Uuid, |id, _place| Ok(SessionId::from(id));
    JobId: Uuid, |id, _place| Ok(JobId::from(id));
    VideoId: Uuid, |id, _place| Ok(VideoId::from(id));
    ImageId: Uuid, |id, _place| Ok(ImageId::from(id));
    ViewerId: Uuid, |id, _place| Ok(ViewerId::from(id));
    NodeId: Uuid, |id, _place| Ok(NodeId::from(id));
    PrewarmId: Uuid, |id, _place| Ok(PrewarmId::from(id));
    PurgeId: Uuid, |id, _place| Ok(PurgeId::from(id));
    AssetId: Uuid, |id, _place| Ok(AssetId::from(id));
    LoginSessionId: Uuid, |id, _place| Ok(LoginSessionId::from(id));
    ApiTokenId: Uuid, |id, _place| Ok(ApiTokenId::from(id));
    RegistrationId: Uuid, |id, _place| Ok(RegistrationId::from(id));
    ReportId: Uuid, |id, _place| Ok(ReportId::from(id));
    AuditEntryId: Uuid, |id, _place| Ok(AuditEntryId::from(id));
    NotificationId: Uuid, |id, _place| Ok(NotificationId::from(id));
    PostId: Uuid, |id, _place| Ok(PostId::from(id));
    ChatMessageId: Uuid, |id, _place| Ok(ChatMessageId::from(id));
    StreamName: String, |name, place| name.parse().map_err(|error| undecodable(place, error));
    RenditionName: String, |name, place| name.parse().map_err(|error| undecodable(place, error));
}
