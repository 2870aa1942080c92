//! A way to a server, which can be closed and opened again.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// The way. Connections are taken while it is closed too, and end at once.
pub(crate) struct Gate {
    address: SocketAddr,
    is_closed: Arc<AtomicBool>,
    through: Arc<Mutex<Vec<TcpStream>>>,
}

impl Gate {
    /// A way to `server`, open.
    fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_closed = Arc::new(AtomicBool::new(false));
        let through: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let (closed, streams) = (is_closed.clone(), through.clone());
        // Ends with the process: a test is one.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut streams = streams.lock().unwrap();
                if closed.load(Ordering::SeqCst) {
                    continue;
                }
                let server = TcpStream::connect(server).unwrap();
                streams.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                let (client_too, server_too) =
                    (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || pass(client, server));
                thread::spawn(move || pass(server_too, client_too));
            }
        });
        Self {
            address,
            is_closed,
            through,
        }
    }

    /// A way to the server that `url` names, and the URL that leads through it.
    pub(crate) fn before(url: &str) -> (Self, String) {
        let (front, path) = url.rsplit_once('/').expect("a path");
        let (credentials, server) = front.rsplit_once('@').expect("credentials");
        let gate = Self::to(server.parse().expect("an address"));
        let url = format!("{credentials}@{}/{path}", gate.address);
        (gate, url)
    }

    /// Breaks the connections through it, and lets none through.
    pub(crate) fn close(&self) {
        let mut through = self.through.lock().unwrap();
        self.is_closed.store(true, Ordering::SeqCst);
        for stream in through.drain(..) {
            // It may have ended.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections through again.
    pub(crate) fn open(&self) {
        self.is_closed.store(false, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 4_096];
    let passed: io::Result<()> = (|| loop {
        match from.read(&mut bytes)? {
            0 => return to.shutdown(Shutdown::Write),
            count => to.write_all(&bytes[..count])?,
        }
    })();
    if passed.is_err() {
        let _ = to.shutdown(Shutdown::Both);
    }
}
