//! How long the socket of chats waits for its client, and how much it hears from it, in time that
//! passes only while everybody waits. Who has not logged in is in no row: none is waited for.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;
use tokio::time::{Instant, pause, resume, sleep, timeout};
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, OpCode};

use crate::app::TestApp;
use crate::chat_sockets::Chat;
use crate::sockets::listen;

const SILENT: u16 = 4408;
const TOO_OFTEN: u16 = 4429;
/// Frames that a client may send from one tick to the next.
const HEARD_AT_MOST: usize = 60;
const TICK: Duration = Duration::from_secs(15);

/// Time that passes by itself, in small steps, until this is dropped: whatever is sent takes some of
/// them.
struct Passing(JoinHandle<()>);

fn pass_time() -> Passing {
    const STEP: Duration = Duration::from_millis(5);
    pause();
    Passing(tokio::spawn(async {
        loop {
            sleep(STEP).await;
        }
    }))
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.0.abort();
        resume();
    }
}

/// Whether so many seconds have passed, or as many more as something may have been under way.
fn have_passed(seconds: u64, since: Instant) {
    let passed = since.elapsed().as_secs();
    assert!(
        (seconds..seconds + 15).contains(&passed),
        "{passed} s, not {seconds}"
    );
}

impl Chat {
    /// The next frame of the server's, to which nothing is answered.
    async fn frame(&mut self) -> (OpCode, Vec<u8>) {
        let MaybeTlsStream::Plain(stream) = self.0.get_mut() else {
            panic!("there is no TLS here");
        };
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
    let address = listen(&app).await;
    let begun = Instant::now();
    let mut chat = Chat::open(address).await;
    let _passing = pass_time();
    assert_eq!(chat.end().await.0, SILENT);
    have_passed(10, begun);
}

#[tokio::test]
async fn who_answers_no_ping_is_let_go() {
    let app = TestApp::new().await;
    let address = listen(&app).await;
    let begun = Instant::now();
    let mut chat = Chat::hello(address, &app.anybody()).await;
    let _passing = pass_time();
    for seconds in [30, 60] {
        let (ping, _) = chat.frame().await;
        assert_eq!(ping, OpCode::Control(Control::Ping));
        have_passed(seconds, begun);
    }
    let (close, reason) = chat.frame().await;
    assert_eq!(close, OpCode::Control(Control::Close));
    assert_eq!(reason[..2], SILENT.to_be_bytes());
    have_passed(90, begun);
}

#[tokio::test]
async fn who_answers_pings_stays() {
    let app = TestApp::new().await;
    let address = listen(&app).await;
    let mut chat = Chat::hello(address, &app.anybody()).await;
    let passing = pass_time();
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
    drop(passing);
    chat.is_answered().await;
}

#[tokio::test]
async fn who_says_too_much_at_once_is_let_go() {
    let app = TestApp::new().await;
    let address = listen(&app).await;
    let mut chat = Chat::hello(address, &app.anybody()).await;
    for _ in 0..HEARD_AT_MOST {
        chat.is_answered().await;
    }
    let passing = pass_time();
    sleep(TICK).await;
    drop(passing);
    // They are counted from one tick to the next.
    for _ in 0..HEARD_AT_MOST {
        chat.is_answered().await;
    }
    chat.tell(json!({ "type": "ping" })).await;
    assert_eq!(chat.end().await.0, TOO_OFTEN);
}
