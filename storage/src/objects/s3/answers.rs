//! What S3's answers and errors mean.

use std::error::Error;
use std::fmt::Write as _;

use aws_sdk_s3::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::DateTime;
use media::Timestamp;

use super::S3Store;
use crate::objects::{ObjectError, PresignedRequest};

/// As much of S3's own words as an error shows.
const SHOWN: usize = 200;

impl S3Store {
    /// What the failure of a request means for an object or its bucket.
    pub(super) fn error<E>(&self, what: &str, error: SdkError<E>) -> ObjectError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match &error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let said = answer.err();
                self.refusal(what, status, said.code(), said.message())
            }
            SdkError::ResponseError(answer) => ObjectError::Unavailable {
                what: what.to_owned(),
                status: answer.raw().status().as_u16(),
                code: shown(&chain(&error)),
            },
            SdkError::TimeoutError(_) => self.unreachable(chain(&error)),
            SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
                self.unreachable(chain(&error))
            }
            // Nothing was sent: it could not be signed, or not be built.
            _ => {
                let reason = chain(&error);
                match reason.contains("redential") {
                    true => ObjectError::NoCredentials(shown(&reason)),
                    false => self.unreachable(reason),
                }
            }
        }
    }

    /// As [`Self::error`], for a request that names one object.
    pub(super) fn absent_or_error<E>(
        &self,
        key: &str,
        what: &str,
        error: SdkError<E>,
    ) -> ObjectError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if let SdkError::ServiceError(answer) = &error {
            let status = answer.raw().status().as_u16();
            match (status, answer.err().code()) {
                // A HEAD has no body to tell the code in.
                (404, None | Some("NoSuchKey" | "NotFound")) => {
                    return ObjectError::NotFound(key.to_owned());
                }
                (416, _) | (_, Some("InvalidRange")) => {
                    return ObjectError::RangeNotSatisfiable {
                        key: key.to_owned(),
                        start: 0,
                        size: 0,
                    };
                }
                _ => {}
            }
        }
        self.error(what, error)
    }

    fn refusal(
        &self,
        what: &str,
        status: u16,
        code: Option<&str>,
        message: Option<&str>,
    ) -> ObjectError {
        let what = what.to_owned();
        let code = shown(code.unwrap_or("no reason given"));
        match (status, code.as_str()) {
            // Also in the body of a 200, which begins before all is done.
            (
                _,
                "InternalError" | "ServiceUnavailable" | "SlowDown" | "RequestTimeout"
                | "BadDigest",
            ) => ObjectError::Unavailable { what, status, code },
            (_, "RequestTimeTooSkewed") => ObjectError::ClockOff { what, code },
            (_, "NoSuchBucket") => ObjectError::NoBucket {
                bucket: self.bucket.clone(),
                endpoint: self.endpoint.clone(),
            },
            (301 | 307, _)
            | (_, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                ObjectError::WrongRegion {
                    bucket: self.bucket.clone(),
                    region: self.region.clone(),
                    code,
                }
            }
            // MinIO's and Ceph's words for a full disk come with these.
            (507, _) | (_, "XMinioStorageFull" | "QuotaExceeded") => ObjectError::Full {
                what,
                source: std::io::ErrorKind::StorageFull.into(),
            },
            (408 | 429 | 500..=599, _) => match code.as_str() {
                "NotImplemented" => self.refused(what, status, code, message),
                _ => ObjectError::Unavailable { what, status, code },
            },
            (401 | 403, _) | (_, "ExpiredToken" | "InvalidToken" | "NotSignedUp") => {
                ObjectError::Denied { what, code }
            }
            _ => self.refused(what, status, code, message),
        }
    }

    fn refused(
        &self,
        what: String,
        status: u16,
        code: String,
        message: Option<&str>,
    ) -> ObjectError {
        ObjectError::Refused {
            what,
            status,
            code,
            message: shown(message.unwrap_or("no more was said")),
        }
    }

    fn unreachable(&self, reason: String) -> ObjectError {
        ObjectError::Unreachable {
            endpoint: self.endpoint.clone(),
            reason: shown(&reason),
        }
    }
}

/// A request that was not complete: a mistake of ours, told as the caller's.
pub(super) fn unbuilt(error: BuildError) -> ObjectError {
    ObjectError::Io {
        what: "build a request".to_owned(),
        source: std::io::Error::other(error),
    }
}

/// An error and its causes, outermost first, none told twice.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            // Writing to a string does not fail.
            let _ = write!(text, ": {more}");
        }
        cause = error.source();
    }
    text
}

pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// A size of an answer; S3 has none below zero.
pub(super) fn size(given: Option<i64>) -> u64 {
    given.and_then(|size| u64::try_from(size).ok()).unwrap_or(0)
}

pub(super) fn timestamp(given: Option<&DateTime>) -> Timestamp {
    let micros = |time: &DateTime| {
        let micros = i64::from(time.subsec_nanos() / 1_000);
        time.secs().saturating_mul(1_000_000).saturating_add(micros)
    };
    Timestamp::from_micros(given.map_or(0, micros))
}

pub(super) fn presigned(
    method: &'static str,
    request: &aws_sdk_s3::presigning::PresignedRequest,
) -> PresignedRequest {
    let header = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    PresignedRequest {
        method,
        url: request.uri().to_owned(),
        headers: request.headers().map(header).collect(),
    }
}
