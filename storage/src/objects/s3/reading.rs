//! Bodies on their way out of S3.

use std::ops::Range;

use aws_sdk_s3::primitives::ByteStream;
use bytes::{Bytes, BytesMut};
use futures_util::stream;

use super::{S3Store, answers};
use crate::objects::ranges::{check_length, parse_content_range, range_header};
use crate::objects::{Chunks, MAX_OBJECT_BYTES, ObjectBody, ObjectError, ObjectRange};

/// An answer whose body was not read yet.
pub(super) struct Fetched {
    body: ByteStream,
    length: u64,
    content_range: Option<String>,
}

impl S3Store {
    /// Asks for an object, or for a range of it that is not empty.
    pub(super) async fn fetch(
        &self,
        key: &str,
        range: Option<&Range<u64>>,
    ) -> Result<Fetched, ObjectError> {
        let get = self.client.get_object().bucket(&self.bucket);
        let get = get.key(self.full(key)).set_range(range.map(|range| {
            // One byte more than we take, so that we see that it is too much.
            let longest = range.start.saturating_add(MAX_OBJECT_BYTES + 1);
            range_header(&(range.start..range.end.min(longest)))
        }));
        match get.send().await {
            Err(error) => Err(self.absent_or_error(key, "get", error)),
            Ok(got) => Ok(Fetched {
                length: answers::size(got.content_length),
                content_range: got.content_range,
                body: got.body,
            }),
        }
    }
}

impl Fetched {
    pub(super) async fn whole(self, key: &str) -> Result<Bytes, ObjectError> {
        check_length(key, self.length)?;
        let mut body = Body::new(key, self.body, self.length);
        let Some(first) = body.next().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = body.next().await? else {
            return Ok(first);
        };
        let mut data = BytesMut::with_capacity(usize::try_from(self.length).unwrap_or_default());
        data.extend_from_slice(&first);
        data.extend_from_slice(&second);
        while let Some(chunk) = body.next().await? {
            data.extend_from_slice(&chunk);
        }
        Ok(data.freeze())
    }

    pub(super) async fn range(
        self,
        key: &str,
        asked: &Range<u64>,
    ) -> Result<ObjectRange, ObjectError> {
        let damaged = |reason: String| ObjectError::Damaged {
            key: key.to_owned(),
            reason,
        };
        let given = self.content_range.clone().unwrap_or_default();
        let Some((range, size)) = parse_content_range(&given) else {
            return Err(damaged(format!(
                "no range came, but {:?}",
                answers::shown(&given)
            )));
        };
        check_length(key, asked.end.min(size).saturating_sub(asked.start))?;
        if range != (asked.start..asked.end.min(size)) {
            return Err(damaged("another range came than was asked for".to_owned()));
        }
        let data = self.whole(key).await?;
        if data.len() as u64 != range.end - range.start {
            return Err(damaged(format!("the range has {} bytes", data.len())));
        }
        Ok(ObjectRange { data, size })
    }

    pub(super) fn stream(self, key: &str) -> ObjectBody {
        let body = Body::new(key, self.body, self.length);
        let next =
            |mut body: Body| async move { Ok(body.next().await?.map(|chunk| (chunk, body))) };
        let chunks: Chunks<ObjectError> = Box::pin(stream::try_unfold(body, next));
        ObjectBody {
            size: self.length,
            chunks,
        }
    }
}

/// A body that is as long as was said, or ends with an error.
struct Body {
    key: String,
    stream: ByteStream,
    left: u64,
}

impl Body {
    fn new(key: &str, stream: ByteStream, length: u64) -> Self {
        Self {
            key: key.to_owned(),
            stream,
            left: length,
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ObjectError> {
        loop {
            let chunk = match self.stream.next().await {
                None if self.left == 0 => return Ok(None),
                None => return Err(self.damaged(format!("{} bytes are missing", self.left))),
                Some(Err(error)) => return Err(self.damaged(answers::chain(&error))),
                Some(Ok(chunk)) => chunk,
            };
            let Some(left) = self.left.checked_sub(chunk.len() as u64) else {
                return Err(self.damaged("it is longer than was said".to_owned()));
            };
            self.left = left;
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
    }

    fn damaged(&self, reason: String) -> ObjectError {
        ObjectError::Damaged {
            key: self.key.clone(),
            reason: answers::shown(&reason),
        }
    }
}
