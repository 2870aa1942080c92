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
use super::gate::{Gate, Viewer};
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
        let refused = match admit(&self.gate, self.clock.now(), &mut request) {
            Ok(finish) => {
                let inner = self.inner.call(request);
                let state = State::Admitted { finish, inner };
                return AccessFuture { state };
            }
            Err(refused) => refused,
        };
        if matches!(refused, Refused::Denied(Denial::Missing)) && is_from_edge(request.headers()) {
            tell_of_edge();
        }
        // RFC 9113 8.2.2: `Connection` has no place in HTTP/2.
        let close = !request.body().is_end_stream() && request.version() <= Version::HTTP_11;
        AccessFuture::refused(match refused {
            Refused::Denied(denial) => deny(denial, request.headers_mut().remove(ORIGIN), close),
            Refused::Target(refusal) => refuse(self.gate.config().origin, refusal, close),
        })
    }
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

/// A token that opens what is asked for.
struct Granted {
    carrier: Carrier,
    claims: Arc<Claims>,
    cookie: Option<HeaderValue>,
}

/// Makes `request` what goes on to the edge, and says what becomes of the answer.
fn admit<R>(
    gate: &Gate,
    now: Timestamp,
    request: &mut Request<R>,
) -> Result<Option<Finish>, Refused> {
    let is_open = gate.is_open();
    let uri = request.uri().clone();
    let target = Target::read(&uri)?;
    // Nothing is protected, and nothing is carried: the rule on a server without tokens.
    if is_open && target.is_plain() && !request.headers().contains_key(COOKIE) {
        return Ok(None);
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
        _ if !is_protected => {
            return Ok(of_pages.map(|origin| Finish {
                origin: Some(origin),
                ..Finish::default()
            }));
        }
        Some(Err(denial)) => return Err(denial.into()),
        None if is_preflight(request) => {
            return Ok(Some(Finish {
                origin: origin(),
                ..Finish::default()
            }));
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
    Ok(Some(Finish {
        is_private: is_protected || granted.cookie.is_some(),
        cookie: granted.cookie,
        origin,
    }))
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
        Admitted { finish: Option<Finish>, #[pin] inner: F },
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
            Projected::Admitted { finish, inner } => {
                let mut answer = ready!(inner.poll(context));
                if let (Ok(response), Some(finish)) = (&mut answer, finish.take()) {
                    finish.apply(response);
                }
                Poll::Ready(answer)
            }
        }
    }
}
