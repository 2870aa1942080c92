//! What a fill asks the origin, and what it makes of the answer's head.

use std::ops::Range;
use std::slice;
use std::sync::Arc;

use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, EXPECT, HOST, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE,
    VIA,
};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};

use crate::cache_control::RequestDirectives;
use crate::conditional::strong_validator;
use crate::config::OriginKind;
use crate::key::CacheKey;
use crate::large::LargeObject;
use crate::node::{CDN_LOOP, NodeId};
use crate::range::ContentRange;
use crate::request::Asked;
use crate::request_body::RequestBody;
use crate::store::Stored;
use crate::validation::{any_of, conditions, confirmed};

/// RFC 9110 7.6.3.
pub(crate) const VIA_NOVA: HeaderValue = HeaderValue::from_static("1.1 nova");

/// A request to the origin, in the making.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) method: Method,
    /// The fields of the client's request, by which `Vary` selects.
    pub(crate) asked: HeaderMap,
    /// The host the client sent it to; of media, which nothing changes, none.
    pub(crate) authority: Option<Authority>,
    /// What is known already, and asked about.
    pub(crate) known: Known,
    /// The client's own condition is sent.
    pub(crate) conditional: bool,
    /// The client's own range is sent.
    pub(crate) ranged: bool,
    /// The fields of the request, without those for `known`.
    forwarded: HeaderMap,
}

/// What is stored that the answer can make use of.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    Nothing,
    /// The whole answer that the request selects.
    Selected(Arc<Stored>),
    /// Whole answers to other requests, one of which may do for this one.
    Others(Vec<Arc<Stored>>),
    /// The beginning of an object.
    Beginning(Arc<Stored>),
    /// A large object, of which these bytes are asked for.
    Slice {
        bytes: Range<u64>,
        object: Arc<LargeObject>,
    },
}

/// What an answer's head means.
#[derive(Debug, Clone)]
pub(crate) enum Meaning {
    /// It stands for itself.
    Answer,
    /// RFC 9111 4.3.4: this one is still good.
    NotModified(Arc<Stored>),
    /// RFC 9111 3.4: its body goes on where this one ends.
    Rest(Arc<Stored>),
    /// It fits nothing that is stored, and answers nothing that the client asked.
    Useless,
}

impl Question {
    /// What to ask for `asked`; alone when nobody else is given the answer.
    pub(crate) fn new(asked: &Asked, known: Known, alone: bool, node: &NodeId) -> Self {
        let is_get = asked.method == Method::GET;
        let shared = is_get && !alone;
        let (mut forwarded, ranged, conditional) = match asked.kind {
            OriginKind::Media => (media_fields(asked), false, false),
            OriginKind::General => {
                let mut forwarded = asked.headers.clone();
                let ranged = asked.forwards_range() && matches!(known, Known::Nothing);
                // What the client has is compared with what is stored here.
                let conditional = !shared && matches!(known, Known::Nothing);
                let mut drop = vec![HOST, CONTENT_LENGTH, EXPECT];
                if !conditional {
                    drop.extend([IF_NONE_MATCH, IF_MODIFIED_SINCE]);
                }
                if !ranged {
                    drop.extend([RANGE, IF_RANGE]);
                }
                for name in drop {
                    forwarded.remove(name);
                }
                (forwarded, ranged, conditional)
            }
        };
        forwarded.append(VIA, VIA_NOVA);
        forwarded.append(CDN_LOOP, node.loop_member());
        Self {
            // Of media a HEAD is answered from the GET that will follow it.
            method: match asked.kind {
                OriginKind::Media => Method::GET,
                OriginKind::General => asked.method.clone(),
            },
            asked: asked.headers.clone(),
            authority: match asked.kind {
                OriginKind::Media => None,
                OriginKind::General => host_of(asked),
            },
            known,
            conditional,
            ranged,
            forwarded,
        }
    }

    /// The request. Its target is the key.
    pub(crate) fn request(
        &self,
        key: &CacheKey,
        body: RequestBody,
    ) -> Result<Request<RequestBody>, http::Error> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .version(Version::HTTP_11)
            .uri(key.as_str())
            .body(body)?;
        let headers = request.headers_mut();
        headers.clone_from(&self.forwarded);
        match &self.known {
            Known::Nothing => {}
            Known::Selected(stored) => headers.extend(conditions(stored)),
            Known::Others(stored) => headers.extend(any_of(stored)),
            Known::Beginning(stored) => {
                let range = format!("bytes={}-", stored.bytes.end);
                headers.insert(RANGE, HeaderValue::try_from(range)?);
                if let Some(tag) = strong_validator(&stored.head.headers) {
                    headers.insert(IF_RANGE, HeaderValue::from_bytes(tag)?);
                }
            }
            Known::Slice { bytes, object } => {
                let last = bytes.end.saturating_sub(1);
                let range = format!("bytes={}-{last}", bytes.start);
                headers.insert(RANGE, HeaderValue::try_from(range)?);
                headers.insert(IF_RANGE, object.tag.clone());
            }
        }
        Ok(request)
    }

    /// Says its answer something of what others are answered?
    pub(crate) fn speaks_for_others(&self) -> bool {
        !self.asked.contains_key(AUTHORIZATION) && !RequestDirectives::of(&self.asked).no_store
    }

    /// What an answer with this status and these fields means.
    pub(crate) fn meaning(&self, status: StatusCode, headers: &HeaderMap) -> Meaning {
        let not_modified = |candidates| {
            confirmed(candidates, headers).map_or(Meaning::Useless, |stored| {
                Meaning::NotModified(Arc::clone(stored))
            })
        };
        let is_not_modified = status == StatusCode::NOT_MODIFIED;
        match &self.known {
            Known::Selected(stored) if is_not_modified => not_modified(slice::from_ref(stored)),
            Known::Others(stored) if is_not_modified => not_modified(stored),
            Known::Beginning(stored) => match status {
                StatusCode::PARTIAL_CONTENT => {
                    let goes_on = ContentRange::of(headers).is_some_and(|range| {
                        range.bytes.start == stored.bytes.end
                            && range.whole == Some(range.bytes.end)
                            && stored.is_of_the_same(headers, range.whole)
                    });
                    match goes_on {
                        true => Meaning::Rest(Arc::clone(stored)),
                        false => Meaning::Useless,
                    }
                }
                StatusCode::RANGE_NOT_SATISFIABLE => Meaning::Useless,
                _ => Meaning::Answer,
            },
            _ => Meaning::Answer,
        }
    }
}

/// RFC 9112 3.2.2: the host that the target says goes before the field.
fn host_of(asked: &Asked) -> Option<Authority> {
    let field = || Authority::try_from(asked.headers.get(HOST)?.as_bytes()).ok();
    asked.authority.clone().or_else(field)
}

/// What is not in the key must not reach the origin, or one client's request would shape
/// another's answer. `Authorization` does, and then the answer is nobody else's; and
/// `CDN-Loop`, without which a loop would not be seen, and whose requests share fills with
/// each other only.
fn media_fields(asked: &Asked) -> HeaderMap {
    let fields = [AUTHORIZATION, CDN_LOOP].map(|name| {
        let values = asked.headers.get_all(&name).iter().cloned();
        values.map(move |value| (name.clone(), value))
    });
    fields.into_iter().flatten().collect()
}
