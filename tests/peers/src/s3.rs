//! S3: `s3s-fs` behind signatures, in this process, on a port of its own.

mod bucket;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, HttpResponse};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::port::ReservedPort;
use bucket::Buckets;

/// The access key that it knows.
pub const KEY_ID: &str = "test-key-id";
/// Its secret.
pub const SECRET: &str = "test-secret-of-s3";

/// How the service answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answers {
    /// As it should.
    Well,
    /// No to what would change something.
    WritesRefused(Refusal),
    /// No to everything.
    Refused(Refusal),
    /// Not at all, until it is told otherwise.
    Never,
}

/// A no of S3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// 503: ask again later.
    SlowDown,
    /// 403: asking again will not help.
    AccessDenied,
}

/// A service with its buckets. It ends when it is dropped.
#[derive(Debug)]
pub struct S3Server {
    port: ReservedPort,
    folder: TempDir,
    state: State,
    running: Option<Running>,
}

/// What outlives a time in which nobody listens.
#[derive(Clone, Debug)]
struct State {
    service: S3Service,
    answers: Arc<watch::Sender<Answers>>,
    requests: Arc<Mutex<Vec<String>>>,
}

/// The thread that serves: a runtime of its own serves tests with and without one.
#[derive(Debug)]
struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the S3 server failed");
        }
    }
}

impl S3Server {
    /// Starts one with these buckets, empty.
    pub fn start(buckets: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for buckets");
        for bucket in buckets {
            std::fs::create_dir(folder.path().join(bucket)).expect("a folder for a bucket");
        }
        let mut service = S3ServiceBuilder::new(Buckets::new(folder.path()));
        service.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let mut server = Self {
            port: ReservedPort::any(),
            folder,
            state: State {
                service: service.build(),
                answers: Arc::new(watch::Sender::new(Answers::Well)),
                requests: Arc::default(),
            },
            running: None,
        };
        server.come_back();
        server
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Changes how it answers, from the next request on, and wakes those that hang.
    pub fn answer(&self, answers: Answers) {
        self.state.answers.send_replace(answers);
    }

    /// Goes away: connections break, and new ones are refused.
    pub fn go_away(&mut self) {
        self.running = None;
    }

    /// Listens again where it did, with all that it had.
    pub fn come_back(&mut self) {
        self.go_away();
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = {
            let _context = runtime.enter();
            self.port.listen().expect("the port is reserved")
        };
        let (stop, stopped) = oneshot::channel();
        let state = self.state.clone();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    // Told by being dropped.
                    _ = stopped => {}
                    never = serve(listener, state) => match never {},
                }
            });
        });
        self.running = Some(Running {
            stop: Some(stop),
            thread: Some(thread),
        });
    }

    /// The folder with the objects of `bucket`, by their keys.
    pub fn folder(&self, bucket: &str) -> PathBuf {
        self.folder.path().join(bucket)
    }

    /// Every request until now: `GET /BUCKET/KEY`.
    pub fn requests(&self) -> Vec<String> {
        let requests = self.state.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(listener: TcpListener, state: State) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener
            .accept()
            .await
            .expect("connections can be accepted");
        let state = state.clone();
        connections.spawn(async move {
            let service = service_fn(|request| state.clone().respond(request));
            // A client may go as it likes.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

impl State {
    async fn respond(self, request: Request<Incoming>) -> Result<HttpResponse, HttpError> {
        let line = format!("{} {}", request.method(), request.uri().path());
        let requests = self.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).push(line);
        let mut answers = self.answers.subscribe();
        let answers = answers.wait_for(|answers| *answers != Answers::Never).await;
        // Its sender is `self`'s own.
        let answers = answers.map_or(Answers::Well, |answers| *answers);
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        match answers {
            Answers::Refused(refusal) => Ok(refuse(request, refusal).await),
            Answers::WritesRefused(refusal) if !is_read => Ok(refuse(request, refusal).await),
            _ => self.service.call(request.map(Body::from)).await,
        }
    }
}

async fn refuse(request: Request<Incoming>, refusal: Refusal) -> HttpResponse {
    // A client that is still sending would see a broken connection, not the answer.
    let _ = request.into_body().collect().await;
    let (status, code) = match refusal {
        Refusal::SlowDown => (StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
        Refusal::AccessDenied => (StatusCode::FORBIDDEN, "AccessDenied"),
    };
    let body = format!("<Error><Code>{code}</Code><Message>told to refuse</Message></Error>");
    let mut response = HttpResponse::new(body.into());
    *response.status_mut() = status;
    response
}
