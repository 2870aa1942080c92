//! Request targets into cache keys: the origin is asked by a name that asks for itself.
#![no_main]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use edge::{Edge, EdgeConfig, RequestBody};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Empty};
use libfuzzer_sys::fuzz_target;
use media::SystemClock;
use tokio::runtime::Runtime;
use tower_service::Service;

/// Remembers what it was asked for.
#[derive(Clone, Default)]
struct Origin(Arc<Mutex<Vec<Uri>>>);

impl Service<Request<RequestBody>> for Origin {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        self.0
            .lock()
            .expect("no panic before")
            .push(request.uri().clone());
        ready(Ok(Response::new(Empty::new())))
    }
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
});

fuzz_target!(|input: (bool, &[u8])| {
    let (general, target) = input;
    let Ok(target) = Uri::try_from(target) else {
        return;
    };
    let config = match general {
        true => EdgeConfig::general(),
        false => EdgeConfig::default(),
    };
    let origin = Origin::default();
    let mut edge = Edge::new(config, origin.clone(), Arc::new(SystemClock));
    RUNTIME.block_on(async {
        let mut ask = async |target: Uri| {
            let mut request = Request::new(Empty::<Bytes>::new());
            *request.uri_mut() = target;
            let Ok(response) = edge.call(request).await;
            let _ = response.into_body().collect().await;
            origin.0.lock().expect("no panic before").pop()
        };
        if let Some(asked) = ask(target).await {
            assert!(asked.authority().is_none() && asked.path().starts_with('/'));
            assert_eq!(ask(asked.clone()).await, Some(asked));
        }
    });
});
