//! An origin that answers every path with its version.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// An HTTP/1.1 server whose answers may be cached for an hour, with the tags `stream:NAME` and
/// `all`. It ends with the test's process.
pub(crate) struct VersionedOrigin {
    address: SocketAddr,
    version: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
}

impl VersionedOrigin {
    /// Starts it, at version 1.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let origin = Self {
            address: listener.local_addr().expect("its address"),
            version: Arc::new(AtomicU64::new(1)),
            requests: Arc::default(),
        };
        let (version, requests) = (origin.version.clone(), origin.requests.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (version, requests) = (version.clone(), requests.clone());
                // A connection that breaks is the edge's to open again.
                thread::spawn(move || drop(serve(stream, &version, &requests)));
            }
        });
        origin
    }

    /// `http://HOST:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Has something newer everywhere; its version.
    pub(crate) fn change(&self) -> u64 {
        self.version.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// How often it was asked.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, version: &AtomicU64, requests: &AtomicU64) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(request) = lines.next() {
        let request = request?;
        while lines
            .next()
            .transpose()?
            .is_some_and(|line| !line.is_empty())
        {}
        requests.fetch_add(1, Ordering::SeqCst);
        let path = request.split(' ').nth(1).unwrap_or_default();
        let stream = path.split('/').nth(2).unwrap_or_default();
        let body = version.load(Ordering::SeqCst).to_string();
        write!(
            writer,
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\ncache-control: max-age=3600\r\ncache-tag: all, stream:{stream}\r\n\r\n{body}",
            body.len()
        )?;
    }
    Ok(())
}
