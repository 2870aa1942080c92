//! How long the socket of chats waits for its client, and how much it hears from it, in time that
//! passes only while everybody waits: what is sent takes none, for it never leaves this process. Who
//! has not logged in is in no row: none is waited for.

use std::future::pending;
use std::io;
use std::time::Duration;

use axum::serve::Listener;
use futures_util::StreamExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::{Instant, pause, sleep, timeout};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, OpCode};

use crate::app::TestApp;
use crate::chat_sockets::Chat;

const SILENT: u16 = 4408;
const TOO_OFTEN: u16 = 4429;
/// Frames that a client may send from one tick to the next.
const HEARD_AT_MOST: usize = 60;
const TICK: Duration = Duration::from_secs(15);

/// Where connections come from that are in memory.
struct InMemory(mpsc::Receiver<DuplexStream>);

impl Listener for InMemory {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(stream) => (stream, ()),
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket of the server's, which has not said anything yet. From now on time passes by itself
/// where everybody waits.
async fn open(app: &TestApp) -> Chat<DuplexStream> {
    let (sender, connections) = mpsc::channel(1);
    let router = app.router.clone();
    tokio::spawn(async move { axum::serve(InMemory(connections), router).await });
    let (here, there) = duplex(64 << 10);
    sender.send(there).await.unwrap();
    pause();
    Chat(client_async("ws://localhost/ws", here).await.unwrap().0)
}

impl Chat<DuplexStream> {
    /// The next frame of the server's, to which nothing is answered.
    async fn frame(&mut self) -> (OpCode, Vec<u8>) {
        let stream = self.0.get_mut();
        // Final, short and not masked: RFC 6455 5.2.
        let mut head = [0; 2];
        stream.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; head[1].into()];
        stream.read_exact(&mut payload).await.unwrap();
        (OpCode::from(head[0] & 0x0f), payload)
    }

    async fn is_answered(&mut self) {
        let pong = self.ask(json!({ "type": "ping" })).await;
        assert_eq!(pong["type"], "pong", "{pong}");
    }
}

#[tokio::test]
async fn who_does_not_say_hello_is_let_go() {
    let app = TestApp::new().await;
    let mut chat = open(&app).await;
    let begun = Instant::now();
    assert_eq!(chat.end().await.0, SILENT);
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn who_answers_no_ping_is_let_go() {
    let app = TestApp::new().await;
    let mut chat = open(&app).await;
    chat.say_hello(&app.anybody()).await;
    let begun = Instant::now();
    for seconds in [30, 60] {
        let (ping, _) = chat.frame().await;
        assert_eq!(ping, OpCode::Control(Control::Ping));
        assert_eq!(begun.elapsed().as_secs(), seconds);
    }
    let (close, reason) = chat.frame().await;
    assert_eq!(close, OpCode::Control(Control::Close));
    assert_eq!(reason[..2], SILENT.to_be_bytes());
    assert_eq!(begun.elapsed().as_secs(), 90);
}

#[tokio::test]
async fn who_answers_pings_stays() {
    let app = TestApp::new().await;
    let mut chat = open(&app).await;
    chat.say_hello(&app.anybody()).await;
    let mut pings = 0;
    // Each is answered when the next is read.
    let listening = async {
        loop {
            match chat.0.next().await {
                Some(Ok(Message::Ping(_))) => pings += 1,
                other => panic!("{other:?}"),
            }
        }
    };
    let gone_on = timeout(Duration::from_secs(200), listening).await;
    assert!(gone_on.is_err());
    assert_eq!(pings, 6);
    chat.is_answered().await;
}

#[tokio::test]
async fn who_says_too_much_at_once_is_let_go() {
    let app = TestApp::new().await;
    let mut chat = open(&app).await;
    chat.say_hello(&app.anybody()).await;
    for _ in 0..HEARD_AT_MOST {
        chat.is_answered().await;
    }
    sleep(TICK + Duration::from_secs(1)).await;
    // They are counted from one tick to the next.
    for _ in 0..HEARD_AT_MOST {
        chat.is_answered().await;
    }
    chat.tell(json!({ "type": "ping" })).await;
    assert_eq!(chat.end().await.0, TOO_OFTEN);
}
