//! The service of one connection: what limits a request, around what answers it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::activity::{Activity, Listener};
use super::addresses::Seat;
use super::admission::{Rejection, check};
use super::received::{Fault, ReceivedBody, Refused};
use super::sent::{SentBody, Ticket};

/// Who made a request, as an extension of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the connection.
    pub address: SocketAddr,
    /// Whether it came by TLS.
    pub is_tls: bool,
}

impl Peer {
    /// The address without its port. An IPv4 address that came through an IPv6 socket is an
    /// IPv4 address.
    pub fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }
}

/// What answers the requests of one connection.
pub(super) struct Guarded<S> {
    /// Only the connection's task calls it.
    pub(super) service: RefCell<S>,
    pub(super) activity: Arc<Activity>,
    pub(super) seat: Arc<Seat>,
    pub(super) peer: Peer,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Guarded<S>
where
    S: Service<Request<ReceivedBody>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes>,
{
    type Response = Response<SentBody<B>>;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        // Also of one that is refused, whose body comes all the same.
        self.activity.has_body(!request.body().is_end_stream());
        let answer = Pending {
            ticket: Ticket::new(&self.activity),
            is_head: *request.method() == Method::HEAD,
            version: request.version(),
            fault: None,
        };
        match self.admit(&request) {
            Ok(()) => {}
            Err(rejection) => return Answering::rejected(answer, rejection),
        }
        let mut service = self.service.borrow_mut();
        // A service that has to be waited for has as much to do as it can.
        let mut context = Context::from_waker(Waker::noop());
        if service.poll_ready(&mut context).is_pending() {
            return Answering::rejected(answer, Rejection::Busy);
        }
        let (parts, incoming) = request.into_parts();
        let (body, fault) = ReceivedBody::new(incoming, &self.activity.listener.config);
        let mut request = Request::from_parts(parts, body);
        request.extensions_mut().insert(self.peer);
        Answering {
            state: State::Service {
                future: service.call(request),
            },
            pending: Some(Pending { fault, ..answer }),
        }
    }
}

impl<S> Guarded<S> {
    fn admit(&self, request: &Request<Incoming>) -> Result<(), Rejection> {
        let Listener { config, epoch, .. } = &*self.activity.listener;
        check(request, config.max_body_bytes)?;
        let rate = config.requests_per_address;
        if rate.per_second == 0 {
            return Ok(());
        }
        self.seat
            .requests
            .take(epoch.elapsed(), rate)
            .map_err(|wait| Rejection::TooManyRequests {
                seconds: wait.as_secs() + 1,
            })
    }
}

/// What is known of a request while its answer is not there.
#[derive(Debug)]
struct Pending {
    ticket: Ticket,
    is_head: bool,
    version: Version,
    fault: Option<Fault>,
}

pin_project! {
    /// The answer to a request, or the wait for it.
    pub(super) struct Answering<F> {
        #[pin]
        state: State<F>,
        pending: Option<Pending>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Service { #[pin] future: F },
        Rejected { rejection: Rejection },
    }
}

impl<F> Answering<F> {
    fn rejected(pending: Pending, rejection: Rejection) -> Self {
        Self {
            state: State::Rejected { rejection },
            pending: Some(pending),
        }
    }
}

impl<F, B> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body<Data = Bytes>,
{
    type Output = Result<Response<SentBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answered = match this.state.project() {
            StateProjection::Service { future } => {
                let Ok(response) = std::task::ready!(future.poll(context));
                Ok(response)
            }
            StateProjection::Rejected { rejection } => Err(*rejection),
        };
        let Some(pending) = this.pending.take() else {
            // Polled after its end, which the contract of Future leaves open.
            return Poll::Pending;
        };
        // The service could not know why the body ended.
        let refused = pending.fault.as_ref().and_then(Fault::get);
        let answered = match refused {
            Some(Refused::TooLarge) => Err(Rejection::BodyTooLarge),
            Some(Refused::TooSlow) => Err(Rejection::BodyTooSlow),
            None => answered,
        };
        Poll::Ready(Ok(match answered {
            Ok(response) => pending.answer(response),
            Err(rejection) => pending.reject(rejection),
        }))
    }
}

impl Pending {
    fn answer<B: Body>(self, response: Response<B>) -> Response<SentBody<B>> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.ticket.activity.switches();
        }
        if !self.is_head {
            return response.map(|body| SentBody::new(body, self.ticket));
        }
        let (mut head, body) = response.into_parts();
        // What a GET would be told (RFC 9110 8.6), which nothing can tell from now on.
        if let Some(length) = body.size_hint().exact()
            && !body.is_end_stream()
        {
            let field = head.headers.entry(CONTENT_LENGTH);
            field.or_insert_with(|| length.into());
        }
        Response::from_parts(head, SentBody::empty(self.ticket))
    }

    fn reject<B: Body>(self, rejection: Rejection) -> Response<SentBody<B>> {
        metrics::counter!(
            "nova_http_requests_refused_total",
            "listener" => self.ticket.activity.listener.name, "reason" => rejection.reason()
        )
        .increment(1);
        let text = rejection.text();
        let mut response = Response::new(match self.is_head {
            true => SentBody::empty(self.ticket),
            false => SentBody::text(text, self.ticket),
        });
        *response.status_mut() = rejection.status();
        let headers = response.headers_mut();
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, plain);
        headers.insert(CONTENT_LENGTH, text.len().into());
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match rejection {
            Rejection::TooManyRequests { seconds } => {
                headers.insert(RETRY_AFTER, seconds.into());
            }
            Rejection::Busy => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        // RFC 9113 8.2.2: HTTP/2 has no `Connection`.
        if rejection.closes() && self.version <= Version::HTTP_11 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
