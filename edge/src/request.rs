//! What a client asks for, reduced to what an edge acts on.

use http::header::{AUTHORIZATION, VIA};
use http::{HeaderMap, HeaderValue, Method, Request, Version, request};

use crate::key::CacheKey;
use crate::range::ByteRange;
use crate::refusal::Refusal;

/// RFC 9110 7.6.3. The only field of a shared fill: what is not in the key must not
/// reach the origin, or one client's request would shape another's answer.
const VIA_NOVA: HeaderValue = HeaderValue::from_static("1.1 nova");

/// A request that is either answered with an object or refused.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) key: CacheKey,
    /// HEAD: everything but the body.
    pub(crate) head_only: bool,
    pub(crate) headers: HeaderMap,
    /// The single range of a GET.
    pub(crate) range: Option<ByteRange>,
}

/// A request, read.
#[derive(Debug)]
pub(crate) enum Intent {
    Object(Asked),
    Preflight,
}

impl Intent {
    pub(crate) fn read(parts: request::Parts, has_body: bool) -> Result<Self, Refusal> {
        let head_only = match parts.method {
            Method::GET => false,
            Method::HEAD => true,
            Method::OPTIONS if has_body => return Err(Refusal::RequestBody),
            Method::OPTIONS => return Ok(Self::Preflight),
            _ => return Err(Refusal::Method),
        };
        if has_body {
            return Err(Refusal::RequestBody);
        }
        let key = CacheKey::of(&parts.uri).map_err(Refusal::Target)?;
        let range = if head_only {
            // RFC 9110 14.2: a range is defined for GET only.
            None
        } else {
            ByteRange::of(&parts.headers)
        };
        Ok(Self::Object(Asked {
            key,
            head_only,
            headers: parts.headers,
            range,
        }))
    }
}

impl Asked {
    pub(crate) fn is_authorised(&self) -> bool {
        self.headers.contains_key(AUTHORIZATION)
    }
}

/// The request to the origin. Its target is the key, and a private fill's
/// `authorization` is the only field of a client's that is passed on.
pub(crate) fn to_origin(
    key: &CacheKey,
    authorization: Vec<HeaderValue>,
) -> Result<Request<()>, http::Error> {
    let mut request = Request::builder()
        .method(Method::GET)
        .version(Version::HTTP_11)
        .uri(key.as_str())
        .header(VIA, VIA_NOVA)
        .body(())?;
    for value in authorization {
        request.headers_mut().append(AUTHORIZATION, value);
    }
    Ok(request)
}
