//! The service in front of an edge that lets in whoever has a token.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::task::{Context, Poll, ready};

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, COOKIE, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use http_body::Body;
use media::{Clock, Timestamp};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::answer::{Finish, deny, refuse};
use super::carrier::{self, Carrier, Target, signed_cookie};
use super::claims::Claims;
use super::denial::Denial;
use super::gate::{ForEverybody, Gate, Viewer};
use super::policy::Rule;
use crate::body::EdgeBody;
use crate::config::OriginKind;
use crate::key::canonical_path;
use crate::node::is_from_edge;
use crate::refusal::Refusal;
use crate::server::Peer;

/// Stands in front of `S`: verifies a request's token where its path is protected, and takes
/// the token off, so that nothing behind it sees one. Of a request with a good token [`Viewer`]
/// becomes an extension, also where all is public. The client's address comes with the
/// request as [`Peer`].
#[derive(Clone)]
pub struct Access<S> {
    inner: S,
    gate: Gate,
    clock: Arc<dyn Clock>,
}

impl<S> Access<S> {
    /// `gate` in front of `inner`. `clock` says what has expired.
    pub fn new(gate: Gate, inner: S, clock: Arc<dyn Clock>) -> Self {
        Self { inner, gate, clock }
    }
}

impl<S: std::fmt::Debug> std::fmt::Debug for Access<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("inner", &self.inner)
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}

impl<S, R> Service<Request<R>> for Access<S>
where
    S: Service<Request<R>, Response = Response<EdgeBody>>,
    R: Body,
{
    type Response = Response<EdgeBody>;
    type Error = S::Error;
    type Future = AccessFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<R>) -> Self::Future {
        let origin = request.headers().get(ORIGIN).cloned();
        let refused = match admit(&self.gate, self.clock.now(), &mut request) {
            Ok(Admitted { finish, denial }) => {
                if !self.gate.passes_signed() && is_from_edge(request.headers()) {
                    request.extensions_mut().insert(ForEverybody);
                }
                let close = must_close(&request);
                let inner = self.inner.call(request);
                let entry = Entry {
                    gate: self.gate.clone(),
                    finish,
                    denial,
                    origin,
                    close,
                };
                let entry = Some(entry);
                let state = State::Admitted { entry, inner };
                return AccessFuture { state };
            }
            Err(refused) => refused,
        };
        if matches!(refused, Refused::Denied(Denial::Missing)) && is_from_edge(request.headers()) {
            tell_of_edge();
        }
        let close = must_close(&request);
        AccessFuture::refused(match refused {
            Refused::Denied(denial) => deny(denial, request.headers_mut().remove(ORIGIN), close),
            Refused::Target(refusal) => refuse(self.gate.config().origin, refusal, close),
        })
    }
}

/// Whether an answer that leaves the body unread ends the connection. RFC 9113 8.2.2: `Connection`
/// has no place in HTTP/2.
fn must_close<R: Body>(request: &Request<R>) -> bool {
    !request.body().is_end_stream() && request.version() <= Version::HTTP_11
}

/// An edge takes tokens off, so that a node behind it that wants one serves nothing that is
/// protected. Told once: anybody can look like an edge.
fn tell_of_edge() {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        tracing::warn!(
            "another edge asked for what needs a signature and was refused: if this is a shield, set edge.tier to shield"
        );
    });
}

/// Why a request goes no further.
enum Refused {
    Denied(Denial),
    /// The path can be read in two ways, of which one may be protected.
    Target(Refusal),
}

impl From<Denial> for Refused {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

/// A request that goes on.
struct Admitted {
    finish: Option<Finish>,
    /// Why it has no token that opens what is asked for; `None`: it has one.
    denial: Option<Denial>,
}

/// What is known of a request when its answer comes.
#[derive(Debug)]
struct Entry {
    gate: Gate,
    finish: Option<Finish>,
    denial: Option<Denial>,
    /// The page that asks.
    origin: Option<HeaderValue>,
    close: bool,
}

impl Entry {
    /// The answer, or a refusal where the origin says that it is for holders of a token.
    fn answer(self, mut response: Response<EdgeBody>) -> Response<EdgeBody> {
        let mut finish = self.finish;
        if self.gate.is_closed(response.headers()) {
            if let Some(denial) = self.denial {
                return deny(denial, self.origin, self.close);
            }
            finish.get_or_insert_default().is_private = true;
        }
        if let Some(finish) = finish {
            finish.apply(&mut response);
        }
        response
    }
}

/// A token that opens what is asked for.
struct Granted {
    carrier: Carrier,
    claims: Arc<Claims>,
    cookie: Option<HeaderValue>,
}

/// Makes `request` what goes on to the edge, and says what becomes of the answer.
fn admit<R>(gate: &Gate, now: Timestamp, request: &mut Request<R>) -> Result<Admitted, Refused> {
    let without = |finish, denial: Option<Denial>| Admitted {
        finish,
        denial: Some(denial.unwrap_or(Denial::Missing)),
    };
    let is_open = gate.is_open();
    let uri = request.uri().clone();
    let target = Target::read(&uri)?;
    // Nothing is protected, and nothing is carried: the rule on a server without tokens.
    if is_open && target.is_plain() && !request.headers().contains_key(COOKIE) {
        return Ok(without(None, None));
    }
    let (rule, granted) = match canonical_path(&target.path) {
        Ok(path) => {
            if carrier::hides_token(&path) {
                return Err(Denial::Malformed.into());
            }
            let rule = gate.rule(&path);
            let granted = match is_preflight(request) {
                true => None,
                false => present(gate, now, request, &target, &path),
            };
            (rule, granted)
        }
        // The edge, or an origin that reads such paths, says what it is.
        Err(_) if is_open => (Rule::Public, None),
        Err(error) => return Err(Refused::Target(Refusal::Target(error))),
    };
    if target.token.is_some() {
        *request.uri_mut() = target.without_token(&uri)?;
    }
    carrier::remove_cookies(request.headers_mut());
    let is_protected = rule == Rule::Signed;
    // A page that asks with credentials asks so for all, whatever of it is public.
    let origin = || request.headers().get(ORIGIN).cloned();
    let is_the_same_for_all = !is_open && gate.config().origin == OriginKind::Media;
    let of_pages = is_the_same_for_all.then(origin).flatten();
    let granted = match granted {
        Some(Ok(granted)) => granted,
        granted if !is_protected => {
            let finish = of_pages.map(|origin| Finish {
                origin: Some(origin),
                ..Finish::default()
            });
            return Ok(without(finish, granted.and_then(Result::err)));
        }
        Some(Err(denial)) => return Err(denial.into()),
        None if is_preflight(request) => {
            let finish = Finish {
                origin: origin(),
                ..Finish::default()
            };
            return Ok(without(Some(finish), None));
        }
        None => return Err(Denial::Missing.into()),
    };
    let origin = match granted.carrier {
        Carrier::Path => of_pages,
        Carrier::Query | Carrier::Cookie => origin(),
    };
    request.extensions_mut().insert(Viewer {
        session: granted.claims.session.clone(),
        expires: granted.claims.expires,
    });
    let finish = Finish {
        is_private: is_protected || granted.cookie.is_some(),
        cookie: granted.cookie,
        origin,
    };
    Ok(Admitted {
        finish: Some(finish),
        denial: None,
    })
}

/// Verifies the token in the target, or the cookies where it has none.
fn present<R>(
    gate: &Gate,
    now: Timestamp,
    request: &Request<R>,
    target: &Target<'_>,
    path: &str,
) -> Option<Result<Granted, Denial>> {
    let peer: Option<&Peer> = request.extensions().get();
    let address = peer.map(Peer::ip);
    let Some((carrier, token)) = target.token else {
        return present_cookies(gate, now, request.headers(), address, path);
    };
    Some(gate.verify(token, path, address, now).map(|claims| {
        let cookie = (carrier == Carrier::Query).then(|| {
            let secure = gate.config().secure_cookies || peer.is_some_and(|peer| peer.is_tls);
            HeaderValue::try_from(signed_cookie(token, &claims, now, secure)).ok()
        });
        Granted {
            carrier,
            cookie: cookie.flatten(),
            claims,
        }
    }))
}

/// The first cookie that opens `path`, else what is wrong with the first.
fn present_cookies(
    gate: &Gate,
    now: Timestamp,
    headers: &HeaderMap,
    address: Option<IpAddr>,
    path: &str,
) -> Option<Result<Granted, Denial>> {
    let mut wrong = None;
    for token in carrier::cookies(headers) {
        match gate.verify(token, path, address, now) {
            Ok(claims) => {
                return Some(Ok(Granted {
                    carrier: Carrier::Cookie,
                    claims,
                    cookie: None,
                }));
            }
            Err(denial) => {
                wrong.get_or_insert(denial);
            }
        }
    }
    wrong.map(Err)
}

/// Fetch 4.8: browsers send it without cookies, and it gives nothing away.
fn is_preflight<R>(request: &Request<R>) -> bool {
    request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

pin_project! {
    /// The answer of what stands behind, or a refusal, which is ready at once.
    #[derive(Debug)]
    pub struct AccessFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum State<F> {
        Refused { response: Option<Response<EdgeBody>> },
        Admitted { entry: Option<Entry>, #[pin] inner: F },
    }
}

impl<F> AccessFuture<F> {
    fn refused(response: Response<EdgeBody>) -> Self {
        let response = Some(response);
        let state = State::Refused { response };
        Self { state }
    }
}

impl<F, E> Future for AccessFuture<F>
where
    F: Future<Output = Result<Response<EdgeBody>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().state.project() {
            Projected::Refused { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                // Polled after its end, which the contract of Future leaves open.
                None => Poll::Pending,
            },
            Projected::Admitted { entry, inner } => {
                let answer = ready!(inner.poll(context));
                Poll::Ready(answer.map(|response| match entry.take() {
                    Some(entry) => entry.answer(response),
                    None => response,
                }))
            }
        }
    }
}
