//! What handlers get of a request, and what every answer has.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::rejection::{BytesRejection, FailedToBufferBody, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{MAX_BODY_BYTES, avatars, images};
use crate::caller::Caller;
use crate::limits::Standing;
use crate::paging::{PageRequest, Paged};
use crate::problem::Problem;
use crate::proxies::TrustedProxies;
use crate::{ServiceError, Services, graphql, json, pictures};

/// Who asks, as an extension of the request. Whoever serves the router puts the other end of the
/// connection there; without it a request comes from an address that is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Its address.
    pub address: IpAddr,
    /// Whether it came by TLS.
    pub is_tls: bool,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::UNSPECIFIED.into(),
            is_tls: false,
        }
    }
}

/// Lets the handler have its [`Caller`], and shows afterwards how the limits stand.
pub(crate) async fn with_caller(
    State(services): State<Services>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Client>().copied();
    let proxies = &services.settings.trusted_proxies;
    let client = client_behind(peer.unwrap_or_default(), proxies, request.headers());
    let agent = request.headers().get(header::USER_AGENT);
    let agent = agent.and_then(|value| value.to_str().ok()).unwrap_or("");
    let caller = Caller::anonymous(client.address, agent);
    let standings = caller.standings.clone();
    request.extensions_mut().insert(client);
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    show(&standings.all(), response.headers_mut());
    response
}

/// The client of the request before, as proxies tell it; the nearest is the last.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// The scheme that the client spoke.
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Who asks, where `peer` is the other end of the connection.
pub fn client_behind(peer: Client, proxies: &TrustedProxies, headers: &HeaderMap) -> Client {
    if !proxies.has(peer.address) {
        return peer;
    }
    let lines = |name: &str| {
        let values = headers.get_all(name).iter();
        values
            .map(|value| value.to_str().unwrap_or_default())
            .collect::<Vec<_>>()
    };
    let schemes = lines(FORWARDED_PROTO);
    let nearest = schemes.last().and_then(|line| line.rsplit(',').next());
    Client {
        address: proxies
            .nearest_client(&lines(FORWARDED_FOR))
            .unwrap_or(peer.address),
        is_tls: match nearest {
            Some(scheme) => scheme.trim().eq_ignore_ascii_case("https"),
            None => peer.is_tls,
        },
    }
}

/// The headers of draft-ietf-httpapi-ratelimit-headers-10: what may be asked, and what is left.
fn show(standings: &[Standing], headers: &mut HeaderMap) {
    if standings.is_empty() {
        return;
    }
    let list = |item: &dyn Fn(&Standing) -> String| {
        let items: Vec<String> = standings.iter().map(item).collect();
        HeaderValue::try_from(items.join(", "))
    };
    let policy = list(&|one| {
        format!(
            "\"{}\";q={};w={}",
            one.limit,
            one.quota,
            one.window.as_secs()
        )
    });
    let state = list(&|one| {
        format!(
            "\"{}\";r={};t={}",
            one.limit,
            one.remaining,
            one.refilled.as_secs()
        )
    });
    // Names and numbers of ours: neither fails.
    if let (Ok(policy), Ok(state)) = (policy, state) {
        headers.insert(HeaderName::from_static("ratelimit-policy"), policy);
        headers.insert(HeaderName::from_static("ratelimit"), state);
    }
}

/// Who asks: whom `Authorization` names, or somebody.
#[derive(Debug)]
pub(crate) struct Asking(pub(crate) Caller);

impl FromRequestParts<Services> for Asking {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Problem> {
        let caller = parts
            .extensions
            .get::<Caller>()
            .cloned()
            .unwrap_or_else(|| Caller::anonymous(Client::default().address, ""));
        let Some(shown) = parts.headers.get(header::AUTHORIZATION) else {
            return Ok(Self(caller));
        };
        let shown = shown.to_str().map_err(|_| ServiceError::Unauthenticated)?;
        Ok(Self(services.authenticate(caller, shown).await?))
    }
}

/// The same where it does not matter: what proves nothing is overlooked, for whoever logs in
/// or out may still have an access token that has expired.
#[derive(Debug)]
pub(crate) struct Whoever(pub(crate) Caller);

impl FromRequestParts<Services> for Whoever {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Problem> {
        let asking = Asking::from_request_parts(parts, services).await;
        match asking {
            Err(problem) if problem.code() == "unauthenticated" => {
                parts.headers.remove(header::AUTHORIZATION);
                let Asking(nobody) = Asking::from_request_parts(parts, services).await?;
                Ok(Self(nobody))
            }
            asking => asking.map(|Asking(caller)| Self(caller)),
        }
    }
}

/// Whoever asks, after what trusted proxies say.
impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or_default())
    }
}

/// A body of JSON: an object.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let text = json_text(request, state).await?;
        // What is read into a struct may be an array as well, for all that serde cares.
        if !text.trim_ascii_start().starts_with(b"{") {
            return Err(ServiceError::invalid("", "expected an object").into());
        }
        Ok(Self(json::read(&text)?))
    }
}

/// A body of any JSON.
#[derive(Debug)]
pub(crate) struct AnyBody<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for AnyBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Ok(Self(json::read(&json_text(request, state).await?)?))
    }
}

/// A body that says of itself that it is JSON.
async fn json_text<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    if !media_type(request.headers()).eq_ignore_ascii_case("application/json") {
        return Err(Problem::unsupported_media_type("application/json"));
    }
    Bytes::from_request(request, state)
        .await
        .map_err(|error| match error {
            BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
                Problem::body_too_large(MAX_BODY_BYTES)
            }
            error => ServiceError::invalid("", error.body_text()).into(),
        })
}

/// A body of JSON, or none.
#[derive(Debug)]
pub(crate) struct OptionalBody<T>(pub(crate) T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if axum::body::HttpBody::is_end_stream(request.body()) {
            return Ok(Self(T::default()));
        }
        let Body(body) = Body::from_request(request, state).await?;
        Ok(Self(body))
    }
}

/// The type of the body, without its parameters: empty where it has none. Types are compared
/// without case.
pub(crate) fn media_type(headers: &HeaderMap) -> &str {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim()
}

/// Whether the one who asks has what `tag` names: RFC 9110 13.1.2.
pub fn holds(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let tags = asked.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = tags.flat_map(|tags| tags.as_bytes().split(|byte| *byte == b','));
    tags.any(|held| {
        let held = held.trim_ascii();
        held == b"*" || held.strip_prefix(b"W/").unwrap_or(held) == tag.as_bytes()
    })
}

/// Which page is asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// Items of the page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    first: Option<i64>,
    /// `next` of the page before.
    #[param(min_length = 32, max_length = 32, pattern = "^[A-Za-z0-9_-]*$")]
    after: Option<String>,
}

/// Which page is asked for: `?first=N&after=CURSOR`.
#[derive(Debug)]
pub(crate) struct Paging(pub(crate) PageRequest);

impl IntoParams for Paging {
    fn into_params(
        parameter_in_provider: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
    ) -> Vec<utoipa::openapi::path::Parameter> {
        PageQuery::into_params(parameter_in_provider)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Parameters(PageQuery { first, after }) =
            Parameters::from_request_parts(parts, state).await?;
        Ok(Self(PageRequest::new(first, after.as_deref())?))
    }
}

/// The one variable segment of the path.
#[derive(Debug)]
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let given: Result<Path<String>, PathRejection> =
            Path::from_request_parts(parts, state).await;
        let Path(given) = given.map_err(|error| ServiceError::invalid("", error.body_text()))?;
        Ok(Self(given))
    }
}

/// The two variable segments of the path.
#[derive(Debug)]
pub(crate) struct Segments(pub(crate) String, pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let given: Result<Path<(String, String)>, PathRejection> =
            Path::from_request_parts(parts, state).await;
        let Path((one, other)) =
            given.map_err(|error| ServiceError::invalid("", error.body_text()))?;
        Ok(Self(one, other))
    }
}

/// What the request can be made again under without being done again.
#[derive(Debug)]
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

impl IntoParams for IdempotencyKey {
    fn into_params(
        _: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
    ) -> Vec<utoipa::openapi::path::Parameter> {
        KeyHeader::into_params(|| None)
    }
}

/// For the document only.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "its derive is what is used")]
struct KeyHeader {
    /// Makes it safe to ask again when no answer came: what was done under a key is not done
    /// again for a day, and the answer is the same, without its secret.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        pattern = "^[ -~]*$",
        required = false
    )]
    idempotency_key: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(key) = parts.headers.get("idempotency-key") else {
            return Ok(Self(None));
        };
        let text = key.to_str().map_err(|_| {
            ServiceError::invalid("Idempotency-Key", "expected printable ASCII characters")
        })?;
        Ok(Self(Some(text.to_owned())))
    }
}

/// Parameters of the query.
#[derive(Debug)]
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let given: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        let Query(given) = given.map_err(|error| ServiceError::invalid("", error.body_text()))?;
        Ok(Self(given))
    }
}

/// A page of a list. It may be shorter than was asked for, and not the last.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The items of this page.
    pub(crate) items: Vec<T>,
    /// `after` of the next page; `null`: this is the last one.
    pub(crate) next: Option<String>,
}

impl<T> From<Paged<T>> for Page<T> {
    fn from(page: Paged<T>) -> Self {
        Self {
            next: page.next,
            items: page.items.into_iter().map(|(_, item)| item).collect(),
        }
    }
}

/// Answers are for who asked, now.
pub(crate) async fn no_store(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let value = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(value);
    response
}

/// How large the body may be.
fn body_limit(request: &Request) -> usize {
    match (request.method(), request.uri().path()) {
        (&Method::PUT, avatars::PATH) | (&Method::POST, images::PATH) => pictures::MAX_BYTES,
        (&Method::POST, "/graphql") if graphql::is_upload(request.headers()) => {
            graphql::MAX_UPLOAD_BYTES
        }
        _ => MAX_BODY_BYTES,
    }
}

/// Refuses a body by what `Content-Length` says, before any of it is read.
pub(crate) async fn refuse_large_body(request: Request, next: Next) -> Response {
    let limit = body_limit(&request);
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > limit as u64) {
        return axum::response::IntoResponse::into_response(Problem::body_too_large(limit));
    }
    next.run(request).await
}
