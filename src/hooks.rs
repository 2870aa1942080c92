//! Questions of another RTMP server in front, in the form of nginx-rtmp's `on_publish`,
//! `on_publish_done` and `on_update`: who may publish, answered as an encoder that comes here is.
//!
//! What is published there is not Nova's: the answer is all that it has to do with it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{BytesRejection, FailedToBufferBody, FormRejection};
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Form, Router};
use http::StatusCode;
use ingest::{Grant, Refusal};
use media::{AddressRange, Clock};
use ring::hmac;
use social::ServiceError;
use social::problem::Problem;
use social::proxies::TrustedProxies;
use social::rest::{Client, client_behind};
use storage::rows::{Database, stream_keys};
use tokio::time::timeout;

use crate::live;

/// The largest body, in bytes: nginx-rtmp cuts each of its fields to a few hundred.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// How long noting the use of a key may take.
const NOTE: Duration = Duration::from_secs(5);

/// What hooks are answered with.
#[derive(Debug)]
pub struct HookParts {
    /// Rows.
    pub database: Database,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What whoever asks proves themselves with.
    pub secret: Secret,
    /// Where they ask from.
    pub addresses: Vec<AddressRange>,
    /// Whose word counts about where that is.
    pub proxies: TrustedProxies,
}

/// What a secret is compared with: it is not kept itself.
#[derive(Debug)]
pub struct Secret(hmac::Tag);

/// What is signed with it.
const SIGNED: &[u8] = b"nova hooks";

impl Secret {
    /// One to be compared with.
    pub fn new(secret: &str) -> Self {
        Self(hmac::sign(&key(secret), SIGNED))
    }

    /// Whether it is this one. Takes as long whatever of it is right.
    fn is(&self, given: &str) -> bool {
        hmac::verify(&key(given), SIGNED, self.0.as_ref()).is_ok()
    }
}

fn key(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

/// The routes.
pub fn router(parts: HookParts) -> Router {
    let parts = Arc::new(parts);
    Router::new()
        .route("/hooks/on_publish", post(on_publish))
        .route("/hooks/on_publish_done", post(on_publish_done))
        .route("/hooks/on_update", post(on_update))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(middleware::from_fn_with_state(parts.clone(), admit))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(parts)
}

/// Answers whoever asks from the right place with the right secret.
async fn admit(State(parts): State<Arc<HookParts>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Client>().copied();
    let client = client_behind(peer.unwrap_or_default(), &parts.proxies, request.headers());
    let refused = match (
        parts.is_allowed(client.address),
        parts.is_proven(request.uri(), request.headers()),
    ) {
        (false, _) => Problem::forbidden("hooks are not answered at this address"),
        (true, false) => Problem::unauthenticated(
            "This needs the secret of hooks, as the query's secret or as a bearer token.",
        ),
        (true, true) => return next.run(request).await,
    };
    // Anybody can have it written: no more than who looks for it sees.
    tracing::debug!(address = %client.address, code = refused.code(), "a hook was not answered");
    count("any", "not-admitted");
    refused.into_response()
}

impl HookParts {
    fn is_allowed(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|range| range.contains(address))
    }

    /// Whether a query's `secret`, or a bearer token, is the secret. nginx-rtmp knows no fields of
    /// a request but those it sets itself: what stands in the URL that it is given, it sends.
    fn is_proven(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let query = Query::<Vec<(String, String)>>::try_from_uri(uri);
        let Query(query) = query.unwrap_or_default();
        let of_query = query.iter().find(|(name, _)| name == "secret");
        let authorization = headers.get(header::AUTHORIZATION);
        let authorization = authorization.and_then(|value| value.to_str().ok());
        let of_header = authorization.and_then(|value| value.split_once(' '));
        let of_header = of_header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let given = match (of_query, of_header) {
            (Some((_, secret)), _) => secret.as_str(),
            (None, Some((_, token))) => token.trim(),
            (None, None) => return false,
        };
        self.secret.is(given)
    }

    async fn grant(&self, call: &Call) -> Result<Grant, Refusal> {
        live::grant(&self.database, call.key(), self.clock.now()).await
    }
}

/// What was told: fields as nginx-rtmp sends them. A publisher's own arguments stand behind those of
/// the server; so of a field that is there twice the first counts.
struct Call {
    /// The name that it is published under.
    name: String,
    /// A key beside it, as an argument.
    key: Option<String>,
}

type Fields = Result<Form<Vec<(String, String)>>, FormRejection>;

impl Call {
    /// Reads one that says that it is this `call`.
    fn read(fields: Fields, call: &str) -> Result<Self, Problem> {
        let Form(fields) = fields.map_err(unreadable)?;
        let field = |name: &str| {
            let mut fields = fields.iter();
            let found = fields.find(|(field, _)| field == name);
            found.map(|(_, value)| value.clone())
        };
        let told = field("call");
        if told.as_deref() != Some(call) {
            let detail = format!("the body's call is not valid: expected {call}");
            return Err(Problem::invalid(detail));
        }
        let name = field("name").filter(|name| !name.is_empty());
        Ok(Self {
            name: name.ok_or_else(|| Problem::invalid("the body has no name"))?,
            key: field("key"),
        })
    }

    /// What the publisher proves themselves with.
    fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.name)
    }
}

fn unreadable(error: FormRejection) -> Problem {
    match error {
        FormRejection::InvalidFormContentType(_) => {
            Problem::unsupported_media_type("application/x-www-form-urlencoded")
        }
        FormRejection::BytesRejection(BytesRejection::FailedToBufferBody(
            FailedToBufferBody::LengthLimitError(_),
        )) => Problem::body_too_large(MAX_BODY_BYTES),
        // Not what it says: a key may stand there.
        _ => Problem::invalid("the body is not valid: expected fields as a form sends them"),
    }
}

fn refused(call: &'static str, refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Internal | Refusal::Undecided => {
            count(call, "failed");
            ServiceError::Busy.into()
        }
        refusal => {
            count(call, "refused");
            Problem::forbidden(refusal.to_string())
        }
    }
}

fn count(call: &'static str, outcome: &'static str) {
    metrics::counter!("nova_hook_calls_total", "call" => call, "outcome" => outcome).increment(1);
}

/// Lets somebody publish, under the stream's name: the key that stands in its place is nobody
/// else's business.
async fn on_publish(
    State(parts): State<Arc<HookParts>>,
    fields: Fields,
) -> Result<Response, Problem> {
    let call = Call::read(fields, "publish")?;
    let grant = parts.grant(&call).await;
    let grant = grant.map_err(|refusal| refused("on_publish", refusal))?;
    note_use(&parts, &grant).await;
    tracing::info!(stream = %grant.name, "may be published to another server");
    count("on_publish", "allowed");
    let name = grant.name.as_str();
    Ok(match call.name == name {
        true => StatusCode::OK.into_response(),
        false => (StatusCode::FOUND, [(header::LOCATION, name.to_owned())]).into_response(),
    })
}

/// Lets somebody go on, who publishes already.
async fn on_update(
    State(parts): State<Arc<HookParts>>,
    fields: Fields,
) -> Result<StatusCode, Problem> {
    let call = Call::read(fields, "update_publish")?;
    let grant = parts.grant(&call).await;
    grant.map_err(|refusal| refused("on_update", refusal))?;
    count("on_update", "allowed");
    Ok(StatusCode::OK)
}

/// Notes that somebody publishes no more, whoever it was: nobody waits for the answer.
async fn on_publish_done(
    State(parts): State<Arc<HookParts>>,
    fields: Fields,
) -> Result<StatusCode, Problem> {
    let call = Call::read(fields, "publish_done")?;
    match parts.grant(&call).await {
        Ok(grant) => tracing::info!(stream = %grant.name, "is not published to another server now"),
        Err(refusal) => tracing::info!(%refusal, "somebody publishes to another server no more"),
    }
    count("on_publish_done", "noted");
    Ok(StatusCode::OK)
}

async fn note_use(parts: &HookParts, grant: &Grant) {
    let noting = stream_keys::note_use(&parts.database, grant.key, parts.clock.now());
    match timeout(NOTE, noting).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the use of a key is not noted"),
        Err(_) => tracing::debug!("the use of a key is not noted in time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> Fields {
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Ok(Form(fields.collect()))
    }

    #[test]
    fn a_secret_is_the_whole_of_it() {
        let secret = Secret::new("0123456789abcdef");
        assert!(secret.is("0123456789abcdef"));
        for other in [
            "",
            "0123456789abcde",
            "0123456789abcdef0",
            "0123456789ABCDEF",
        ] {
            assert!(!secret.is(other), "{other}");
        }
    }

    #[test]
    fn what_a_publisher_adds_takes_the_place_of_nothing() {
        let fields = [
            ("call", "publish"),
            ("name", "mine"),
            ("name", "another"),
            ("call", "play"),
        ];
        let call = Call::read(form(&fields), "publish").unwrap();
        assert_eq!((call.name.as_str(), call.key()), ("mine", "mine"));
        let fields = [("call", "publish"), ("name", "engines"), ("key", "secret")];
        let call = Call::read(form(&fields), "publish").unwrap();
        assert_eq!((call.name.as_str(), call.key()), ("engines", "secret"));
    }

    const SECRET: &str = "0123456789abcdef";

    async fn routes(directory: &std::path::Path) -> Router {
        let url = format!("sqlite:{}", directory.join("nova.db").display());
        let database = Database::open(&url, storage::rows::IfMissing::Create);
        let database = database.await.unwrap();
        database.migrate().await.unwrap();
        router(HookParts {
            database,
            clock: Arc::new(media::SystemClock),
            secret: Secret::new(SECRET),
            addresses: vec!["192.0.2.0/24".parse().unwrap()],
            proxies: TrustedProxies::parse(&["198.51.100.1"]).unwrap(),
        })
    }

    /// A call of somebody at `address` who sends `body` of this type.
    fn request(address: &str, path: &str, kind: &str, body: String) -> Request {
        let client = Client {
            address: address.parse().unwrap(),
            is_tls: false,
        };
        Request::builder()
            .method("POST")
            .uri(path)
            .header(header::CONTENT_TYPE, kind)
            .extension(client)
            .body(body.into())
            .unwrap()
    }

    async fn status(routes: &Router, request: Request) -> u16 {
        use tower_service::Service;
        let response = routes.clone().call(request).await.unwrap();
        response.status().as_u16()
    }

    #[tokio::test]
    async fn only_who_is_admitted_is_answered() {
        const FORM: &str = "application/x-www-form-urlencoded";
        let directory = tempfile::tempdir().unwrap();
        let routes = routes(directory.path()).await;
        let proven = format!("/hooks/on_publish?secret={SECRET}");
        let wrong = "/hooks/on_publish?secret=0123456789abcdeg";
        let call = || "call=publish&name=nobodys-key&type=live".to_owned();
        for (address, path, kind, body, expected) in [
            ("192.0.2.7", proven.as_str(), FORM, call(), 403),
            ("192.0.2.7", wrong, FORM, call(), 401),
            ("192.0.2.7", "/hooks/on_publish", FORM, call(), 401),
            ("203.0.113.1", &proven, FORM, call(), 403),
            ("198.51.100.1", &proven, FORM, call(), 403),
            ("192.0.2.7", &proven, "application/json", call(), 415),
            (
                "192.0.2.7",
                &proven,
                FORM,
                "call=play&name=a".to_owned(),
                400,
            ),
            ("192.0.2.7", &proven, FORM, String::new(), 400),
            ("192.0.2.7", &proven, FORM, "%".repeat(100), 400),
            (
                "192.0.2.7",
                &proven,
                FORM,
                "a".repeat(MAX_BODY_BYTES + 1),
                413,
            ),
        ] {
            let given = body.len();
            let answered = status(&routes, request(address, path, kind, body)).await;
            assert_eq!(answered, expected, "{address} {path} {kind} {given}");
        }
        let mut asked = request("192.0.2.7", &proven, FORM, String::new());
        *asked.method_mut() = http::Method::GET;
        assert_eq!(status(&routes, asked).await, 405);
        // As whoever a trusted proxy says, and by a bearer token.
        let mut asked = request(
            "198.51.100.1",
            "/hooks/on_publish_done",
            FORM,
            "call=publish_done&name=a".to_owned(),
        );
        let headers = asked.headers_mut();
        headers.insert("x-forwarded-for", "192.0.2.9".parse().unwrap());
        let bearer = format!("Bearer {SECRET}");
        headers.insert(header::AUTHORIZATION, bearer.parse().unwrap());
        assert_eq!(status(&routes, asked).await, 200);
    }

    #[test]
    fn what_is_no_such_call_is_refused() {
        for fields in [
            &[("name", "mine")][..],
            &[("call", "play"), ("name", "mine")],
            &[("call", "publish")],
            &[("call", "publish"), ("name", "")],
        ] {
            let refused = Call::read(form(fields), "publish").err();
            assert_eq!(refused.map(|problem| problem.code()), Some("validation"));
        }
    }
}
