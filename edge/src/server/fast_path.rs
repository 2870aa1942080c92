//! Requests that are answered before HTTP's machinery sees them: a plain GET for what is at
//! hand is one look and one write. Everything else takes the long way, through [`Server`]'s
//! service, on the same connection.
//!
//! [`Server`]: super::Server

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::admission::is_of_a_host;
use super::guarded::Peer;

/// Fields of the longest head that is read here.
const MAX_FIELDS: usize = 32;

/// Answers plain requests that nothing has to be waited for.
pub trait FastPath: fmt::Debug + Send + Sync {
    /// Does the field of a request called so, in any case, change no answer? `Host` and
    /// `User-Agent` are not asked about.
    fn is_indifferent(&self, field: &str) -> bool;

    /// The whole answer: the same as the service would give. None: ask the service.
    fn answer(&self, request: &PlainRequest<'_>) -> Option<FastAnswer>;
}

/// A GET over HTTP/1.1 with a path and no query, and no field but those that change no answer
/// ([`FastPath::is_indifferent`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainRequest<'a> {
    /// As it came.
    pub path: &'a str,
    /// `User-Agent`.
    pub user_agent: Option<&'a [u8]>,
    /// Who asks.
    pub peer: Peer,
}

/// An answer as it goes to the socket.
#[derive(Debug, Clone)]
pub struct FastAnswer {
    /// Status line and fields, up to and with the empty line.
    pub head: Bytes,
    /// As many bytes as the head says.
    pub body: Arc<[Bytes]>,
    /// Who is told of the bytes that the socket took.
    pub receipt: Arc<dyn Receipt>,
}

/// Counts what was taken of answers.
pub trait Receipt: fmt::Debug + Send + Sync {
    /// The socket took so many more bytes of a body.
    fn taken(&self, bytes: u64);
}

/// How large a head may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) fields: usize,
}

/// What the first bytes of a connection that is at rest are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leading<'a> {
    /// A plain request, in so many bytes.
    Plain(PlainRequest<'a>, usize),
    /// A whole request without a body, in so many bytes, after which there may be another.
    Whole(usize),
    /// Anything else: where the next request begins is not known here.
    Other,
}

/// Fields after which a body may follow, or something that is no request.
const WITH_MORE: [&str; 4] = ["content-length", "transfer-encoding", "expect", "upgrade"];

/// Reads the beginning of `bytes`, which came from `peer`. The parser is hyper's own, so that
/// both see the same requests.
pub(super) fn leading<'a>(
    bytes: &'a [u8],
    peer: Peer,
    limits: Limits,
    is_indifferent: impl Fn(&str) -> bool,
) -> Leading<'a> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields[..limits.fields.min(MAX_FIELDS)]);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= limits.bytes => length,
        _ => return Leading::Other,
    };
    let (Some(method), Some(target), Some(1)) = (request.method, request.path, request.version)
    else {
        return Leading::Other;
    };
    if !matches!(method, "GET" | "HEAD" | "OPTIONS") {
        return Leading::Other;
    }
    let mut is_plain = method == "GET" && target.starts_with('/') && !target.contains('?');
    let (mut hosts, mut user_agent) = (0, None);
    for field in request.headers.iter() {
        let is = |name| field.name.eq_ignore_ascii_case(name);
        let stays = field.value.eq_ignore_ascii_case(b"keep-alive");
        if WITH_MORE.into_iter().any(is) || (is("connection") && !stays) {
            return Leading::Other;
        }
        if is("host") {
            hosts += 1;
            is_plain &= field.value.iter().all(is_of_a_host);
        } else if is("user-agent") {
            // As the service would read it, the first.
            user_agent = user_agent.or(Some(field.value));
        } else if !is("connection") {
            is_plain = is_plain && is_indifferent(field.name);
        }
    }
    match is_plain && hosts == 1 {
        true => Leading::Plain(
            PlainRequest {
                path: target,
                user_agent,
                peer,
            },
            length,
        ),
        false => Leading::Whole(length),
    }
}

/// Bytes of the request that `bytes` begin with, if it is a whole one after which there may be
/// another: for whoever sends any.
#[doc(hidden)]
pub fn read_any_head(bytes: &[u8]) -> Option<usize> {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let is_tls = false;
    let limits = Limits {
        bytes: usize::MAX,
        fields: MAX_FIELDS,
    };
    match leading(bytes, Peer { address, is_tls }, limits, |_| true) {
        Leading::Plain(_, length) | Leading::Whole(length) => Some(length),
        Leading::Other => None,
    }
}
