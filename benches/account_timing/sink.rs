//! A mail server that takes everything and keeps nothing (RFC 5321).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// It. It listens for as long as the program runs.
pub(crate) struct Sink {
    address: SocketAddr,
    taken: Arc<AtomicUsize>,
}

impl Sink {
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let sink = Self {
            address: listener.local_addr()?,
            taken: Arc::default(),
        };
        let taken = sink.taken.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let taken = taken.clone();
                // A connection that breaks is the server's to open again.
                tokio::spawn(async move { drop(take(stream, &taken).await) });
            }
        });
        Ok(sink)
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// How many mails there were.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

async fn take(mut stream: TcpStream, taken: &AtomicUsize) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 sink\r\n").await?;
    let mut is_text = false;
    while let Some(line) = lines.next_line().await? {
        let verb = line.split(' ').next().unwrap_or("").to_ascii_uppercase();
        let answer = match (is_text, verb.as_str()) {
            (true, ".") => {
                taken.fetch_add(1, Ordering::Relaxed);
                is_text = false;
                "250 taken\r\n"
            }
            (true, _) => continue,
            (false, "DATA") => {
                is_text = true;
                "354 go on\r\n"
            }
            (false, "QUIT") => {
                writer.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            (false, _) => "250 sink\r\n",
        };
        writer.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}
