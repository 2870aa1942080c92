//! A file beside a document: a body of `multipart/form-data` with three parts, `operations`,
//! `map` and the file, in this order
//! (<https://github.com/jaydenseric/graphql-multipart-request-spec>).
//!
//! A page elsewhere can have a browser send such a body without asking this server first, unlike
//! JSON. So it is taken only from whoever proves who they are in `Authorization`, which such a
//! page cannot send. The document has the limits of every document; the file is not read before
//! a mutation asks for it, which first sees whether the caller may.

use std::sync::{Mutex, PoisonError};

use async_graphql::{
    Context, Error, ErrorExtensionValues, InputValueError, InputValueResult, Request, Result,
    Scalar, ScalarType, Value,
};
use axum::body::Body;
use axum::extract::Request as HttpRequest;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use multer::{Constraints, Multipart, SizeLimit};
use tokio::time::timeout;

use crate::ServiceError;
use crate::pictures::{MAX_BYTES, Place, SENT_WITHIN};
use crate::problem::Problem;
use crate::rest::{MAX_BODY_BYTES, media_type};

/// The largest body with a file, in bytes: the file, the document, and what is between them.
pub(crate) const MAX_UPLOAD_BYTES: usize = MAX_BYTES + 2 * MAX_BODY_BYTES;

/// The largest `map`, in bytes: it has one entry.
const MAX_MAP_BYTES: usize = 1_024;

/// What a variable is that stands for the file.
const MARK: &str = "the file of this request";

/// A file that is sent with the document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upload;

/// A file that is sent with the document, as a part of a multipart request. The variable is
/// `null`, and the parts are `operations`, `map` and one file, in this order.
#[Scalar(
    name = "Upload",
    specified_by_url = "https://github.com/jaydenseric/graphql-multipart-request-spec"
)]
impl ScalarType for Upload {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) if text == MARK => Ok(Self),
            _ => Err(InputValueError::custom(
                "expected a file: send a multipart request",
            )),
        }
    }

    fn to_value(&self) -> Value {
        Value::Null
    }
}

impl Upload {
    /// The place that the file has, and the file, which is read when that is waited for. Once.
    pub(super) fn begin(
        self,
        context: &Context<'_>,
    ) -> Result<(Place, impl Future<Output = Result<Bytes>>)> {
        let sent = context.data_opt::<Sent>().and_then(Sent::take);
        let file = sent.ok_or_else(|| {
            let expected = "expected a file, once: send a multipart request";
            ServiceError::invalid("picture", expected)
        })?;
        let File { place, parts, name } = file;
        Ok((place, read(parts, name)))
    }
}

/// Whether the request says that it has a file.
pub(crate) fn is_upload(headers: &HeaderMap) -> bool {
    media_type(headers).eq_ignore_ascii_case("multipart/form-data")
}

/// The parts behind the document, until somebody asks for the file.
struct Sent(Mutex<Option<File>>);

/// What is left of the body.
struct File {
    parts: Multipart<'static>,
    /// The name of the file's part.
    name: String,
    /// Held as long as the body is.
    place: Place,
}

impl Sent {
    fn take(&self) -> Option<File> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The one file, which is the part of that name and the last.
async fn read(mut parts: Multipart<'static>, name: String) -> Result<Bytes> {
    let part = parts.next_field().await.map_err(of_file)?;
    let part = part.filter(|part| part.name() == Some(&name));
    let part = part
        .ok_or_else(|| ServiceError::invalid("picture", format!("expected the part {name:?}")))?;
    let data = part.bytes().await.map_err(of_file)?;
    match parts.next_field().await.map_err(of_file)? {
        None => Ok(data),
        Some(_) => Err(ServiceError::invalid("picture", "expected one file").into()),
    }
}

/// The document of a body with a file, which the file goes with.
pub(super) async fn receive(request: HttpRequest, place: Place) -> Result<Request, Problem> {
    let (head, body) = request.into_parts();
    timeout(SENT_WITHIN, begin(&head.headers, body, place))
        .await
        .map_err(|_| {
            let seconds = SENT_WITHIN.as_secs();
            Problem::invalid(format!("expected operations and map within {seconds} s"))
        })?
}

async fn begin(headers: &HeaderMap, body: Body, place: Place) -> Result<Request, Problem> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(kind).map_err(|error| invalid(&error))?;
    let limits = SizeLimit::new()
        .whole_stream(MAX_UPLOAD_BYTES as u64)
        .per_field(MAX_BYTES as u64)
        .for_field("operations", MAX_BODY_BYTES as u64)
        .for_field("map", MAX_MAP_BYTES as u64);
    let constraints = Constraints::new().size_limit(limits);
    let mut parts = Multipart::with_constraints(body.into_data_stream(), boundary, constraints);
    let mut operations = json(&mut parts, "operations").await?;
    let map = json(&mut parts, "map").await?;
    let (name, path) = entry(&map).ok_or_else(|| {
        let expected = "expected one file for one variable, {\"0\": [\"variables.picture\"]}";
        ServiceError::invalid("map", expected)
    })?;
    *variable(&mut operations, path).ok_or_else(|| {
        let message = format!("{path:?} is no variable that is null");
        ServiceError::invalid("map", message)
    })? = serde_json::Value::from(MARK);
    let request: Request = serde_json::from_value(operations)
        .map_err(|error| ServiceError::invalid("operations", error))?;
    let name = name.to_owned();
    let file = File { parts, name, place };
    Ok(request.data(Sent(Mutex::new(Some(file)))))
}

/// The next part, which has this name.
async fn json(parts: &mut Multipart<'_>, name: &str) -> Result<serde_json::Value, Problem> {
    let part = parts.next_field().await.map_err(|error| invalid(&error))?;
    let part = part.filter(|part| part.name() == Some(name));
    let part = part.ok_or_else(|| {
        let expected = "expected the parts operations, map and one file, in this order";
        ServiceError::invalid(name, expected)
    })?;
    let text = part.bytes().await.map_err(|error| invalid(&error))?;
    let value = serde_json::from_slice(&text);
    Ok(value.map_err(|error| ServiceError::invalid(name, error))?)
}

/// The one file of the map, and the one place where it goes.
fn entry(map: &serde_json::Value) -> Option<(&str, &str)> {
    let mut files = map.as_object()?.iter();
    let (Some((name, paths)), None) = (files.next(), files.next()) else {
        return None;
    };
    match paths.as_array()?.as_slice() {
        [path] => Some((name, path.as_str()?)),
        _ => None,
    }
}

/// What is at `variables.NAME`, in as many steps as there are, and `null`.
fn variable<'a>(
    operations: &'a mut serde_json::Value,
    path: &str,
) -> Option<&'a mut serde_json::Value> {
    let names = path.strip_prefix("variables.")?;
    let mut found = operations.get_mut("variables")?;
    for name in names.split('.') {
        found = match name.parse::<usize>() {
            Ok(index) if found.is_array() => found.get_mut(index)?,
            _ => found.get_mut(name)?,
        };
    }
    found.is_null().then_some(found)
}

fn invalid(error: &multer::Error) -> Problem {
    match limit(error) {
        Some(limit) => Problem::body_too_large(limit),
        None => Problem::invalid(error.to_string()),
    }
}

/// The limit that was reached, in bytes.
fn limit(error: &multer::Error) -> Option<usize> {
    match error {
        multer::Error::FieldSizeExceeded { limit, .. }
        | multer::Error::StreamSizeExceeded { limit } => usize::try_from(*limit).ok(),
        _ => None,
    }
}

/// Why the file cannot be read, where the answer has begun to be GraphQL's.
fn of_file(error: multer::Error) -> Error {
    match limit(&error) {
        Some(limit) => {
            let mut extensions = ErrorExtensionValues::default();
            extensions.set("code", "body-too-large");
            let mut told = Error::new(format!("The file has more than {limit} bytes."));
            told.extensions = Some(extensions);
            told
        }
        None => ServiceError::invalid("picture", error).into(),
    }
}
