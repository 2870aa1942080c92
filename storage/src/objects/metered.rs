//! Counting what is done, how it ends and how long it takes.

use std::io;
use std::time::Instant;

use futures_util::StreamExt;

use super::{Chunks, Layer, Layered, ObjectError, ObjectFuture, Operation, PutOptions};

/// Counts operations by method and outcome, and measures them:
///
/// - `nova_object_operations_total{store, operation, outcome}`: the outcome is `ok`,
///   `cancelled`, or an [`ErrorKind`](super::ErrorKind);
/// - `nova_object_operation_seconds{store, operation, outcome}`;
/// - `nova_object_broken_bodies_total{store, reason}`: streams out that did not end well.
#[derive(Debug, Clone, Copy)]
pub struct Metrics {
    /// The kind of store: `file` or `s3`.
    pub store: &'static str,
}

impl Metrics {
    fn measured<'a, T: Send + 'a>(
        &self,
        operation: Operation,
        run: ObjectFuture<'a, T>,
    ) -> ObjectFuture<'a, T> {
        let store = self.store;
        Box::pin(async move {
            let mut measured = Measured {
                store,
                operation,
                begun: Instant::now(),
                outcome: "cancelled",
            };
            let result = run.await;
            measured.outcome = match &result {
                Ok(_) => "ok",
                Err(error) => error.kind().as_str(),
            };
            result
        })
    }
}

/// Counted when it is dropped, so that what nobody waited for is counted too.
struct Measured {
    store: &'static str,
    operation: Operation,
    begun: Instant,
    outcome: &'static str,
}

impl Drop for Measured {
    fn drop(&mut self) {
        let labels = [
            ("store", self.store),
            ("operation", self.operation.as_str()),
            ("outcome", self.outcome),
        ];
        metrics::counter!("nova_object_operations_total", &labels).increment(1);
        metrics::histogram!("nova_object_operation_seconds", &labels).record(self.begun.elapsed());
    }
}

impl Layer for Metrics {
    fn call<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        run: impl Fn() -> ObjectFuture<'a, T> + Send + 'a,
    ) -> ObjectFuture<'a, T> {
        self.measured(operation, run())
    }

    fn put_stream<'a>(
        &'a self,
        layered: &'a Layered<Self>,
        key: &'a str,
        body: Chunks<io::Error>,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, u64> {
        let put = layered.inner().put_stream(key, body, options);
        self.measured(Operation::PutStream, put)
    }

    fn chunks(&self, chunks: Chunks<ObjectError>) -> Chunks<ObjectError> {
        let store = self.store;
        Box::pin(chunks.inspect(move |chunk| {
            if let Err(error) = chunk {
                let labels = [("store", store), ("reason", error.kind().as_str())];
                metrics::counter!("nova_object_broken_bodies_total", &labels).increment(1);
            }
        }))
    }
}
