//! A store that fails when it is told to. For tests of what stands on a store: nothing in
//! a running server makes one.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::{
    Chunks, Layer, Layered, ObjectError, ObjectFuture, ObjectStore, Operation, PutOptions,
};

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Fault {
    /// There is no room: whatever stores fails with [`ObjectError::Full`] (ENOSPC); the
    /// rest goes on.
    DiskFull = 1,
    /// Everything fails as with S3's 503, for a moment.
    Unavailable,
    /// Everything fails as with S3's 403, until somebody acts.
    Denied,
    /// Nothing is ever answered.
    Hang,
    /// An upload is completed, and the answer is lost: S3's 504. The rest goes on.
    CompletionLost,
}

impl Fault {
    const ALL: [Self; 5] = [
        Self::DiskFull,
        Self::Unavailable,
        Self::Denied,
        Self::Hang,
        Self::CompletionLost,
    ];

    fn hits(self, operation: Operation) -> bool {
        match self {
            Self::DiskFull => operation.stores(),
            Self::Unavailable | Self::Denied | Self::Hang => true,
            Self::CompletionLost => operation == Operation::CompleteUpload,
        }
    }

    /// Fails an operation, which has not begun.
    async fn strike<T>(
        self,
        operation: Operation,
        run: ObjectFuture<'_, T>,
    ) -> Result<T, ObjectError> {
        let what = operation.as_str().to_owned();
        let unavailable = |what, status, code: &str| ObjectError::Unavailable {
            what,
            status,
            code: code.to_owned(),
        };
        Err(match self {
            Self::DiskFull => ObjectError::Full {
                what,
                source: io::ErrorKind::StorageFull.into(),
            },
            Self::Unavailable => unavailable(what, 503, "SlowDown"),
            Self::Denied => ObjectError::Denied {
                what,
                code: "AccessDenied".to_owned(),
            },
            Self::Hang => std::future::pending().await,
            Self::CompletionLost => match run.await {
                Ok(_) => unavailable(what, 504, "GatewayTimeout"),
                Err(error) => error,
            },
        })
    }
}

/// A store around another, which works until [`FaultyStore::fail`].
///
/// ```
/// # use std::sync::Arc;
/// # use storage::objects::{ErrorKind, FaultyStore, MemoryStore, ObjectStore, Operation, faulty::Fault};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = FaultyStore::new(Arc::new(MemoryStore::default()));
/// store.fail(Fault::DiskFull);
/// let error = store.put("a", "data".into()).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Full);
/// store.recover();
/// store.put("a", "data".into()).await.unwrap();
/// assert_eq!(store.calls(Operation::Put), 2);
/// # }
/// ```
pub type FaultyStore = Layered<Faults>;

/// The layer of a [`FaultyStore`].
#[derive(Debug, Default)]
pub struct Faults {
    /// A [`Fault`], or 0.
    fault: AtomicU8,
    calls: [AtomicU64; Operation::COUNT],
}

impl FaultyStore {
    /// Around `inner`, without a fault.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Arc<Self> {
        Faults::default().around(inner)
    }

    /// From now on, operations that begin fail with `fault`.
    pub fn fail(&self, fault: Fault) {
        self.layer().fault.store(fault as u8, Ordering::Release);
    }

    /// From now on, operations that begin work.
    pub fn recover(&self) {
        self.layer().fault.store(0, Ordering::Release);
    }

    /// How often an operation was begun, well or not.
    pub fn calls(&self, operation: Operation) -> u64 {
        self.layer().calls[operation as usize].load(Ordering::Acquire)
    }
}

impl Faults {
    fn gate<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        run: ObjectFuture<'a, T>,
    ) -> ObjectFuture<'a, T> {
        Box::pin(async move {
            self.calls[operation as usize].fetch_add(1, Ordering::AcqRel);
            let set = self.fault.load(Ordering::Acquire);
            let fault = Fault::ALL
                .into_iter()
                .find(|fault| *fault as u8 == set && fault.hits(operation));
            match fault {
                None => run.await,
                Some(fault) => fault.strike(operation, run).await,
            }
        })
    }
}

impl Layer for Faults {
    fn call<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        run: impl Fn() -> ObjectFuture<'a, T> + Send + 'a,
    ) -> ObjectFuture<'a, T> {
        self.gate(operation, run())
    }

    fn put_stream<'a>(
        &'a self,
        layered: &'a Layered<Self>,
        key: &'a str,
        body: Chunks<io::Error>,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, u64> {
        let put = layered.inner().put_stream(key, body, options);
        self.gate(Operation::PutStream, put)
    }
}
