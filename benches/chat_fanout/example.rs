//! axum's chat example, as its repository has it (`examples/chat`, MIT), with a larger channel, so
//! that it too loses nothing: a broadcast channel of texts, and two tasks for each socket.

use std::collections::HashSet;
use std::error::Error;
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::IntoResponse;
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use peers::port::ReservedPort;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// The argument that makes this program its server.
pub(crate) const SERVE: &str = "serve-example";

/// Texts that wait for the slowest; the example has 100.
const WAITING: usize = 4_096;

struct AppState {
    user_set: Mutex<HashSet<String>>,
    tx: broadcast::Sender<String>,
}

/// Serves it without end.
pub(crate) async fn serve(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let state = Arc::new(AppState {
        user_set: Mutex::default(),
        tx: broadcast::channel(WAITING).0,
    });
    let app = Router::new()
        .route("/ws", get(websocket_handler))
        .with_state(state);
    axum::serve(TcpListener::bind(address).await?, app).await?;
    Ok(())
}

async fn websocket_handler(
    ws: WebSocketUpgrade,
    State(state): State<Arc<AppState>>,
) -> impl IntoResponse {
    ws.on_upgrade(|socket| websocket(socket, state))
}

async fn websocket(stream: WebSocket, state: Arc<AppState>) {
    let (mut sender, mut receiver) = stream.split();
    let mut username = String::new();
    while let Some(Ok(message)) = receiver.next().await {
        if let Message::Text(name) = message {
            username = check_username(&state, &name);
            if !username.is_empty() {
                break;
            }
            let taken = Message::Text(Utf8Bytes::from_static("Username already taken."));
            let _ = sender.send(taken).await;
            return;
        }
    }
    let mut rx = state.tx.subscribe();
    let _ = state.tx.send(format!("{username} joined."));
    let mut send_task = tokio::spawn(async move {
        while let Ok(msg) = rx.recv().await {
            if sender.send(Message::text(msg)).await.is_err() {
                break;
            }
        }
    });
    let tx = state.tx.clone();
    let name = username.clone();
    let mut recv_task = tokio::spawn(async move {
        while let Some(Ok(Message::Text(text))) = receiver.next().await {
            let _ = tx.send(format!("{name}: {text}"));
        }
    });
    tokio::select! {
        _ = &mut send_task => recv_task.abort(),
        _ = &mut recv_task => send_task.abort(),
    };
    let _ = state.tx.send(format!("{username} left."));
    let mut names = state
        .user_set
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    names.remove(&username);
}

fn check_username(state: &AppState, name: &str) -> String {
    let mut names = state
        .user_set
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    match names.insert(name.to_owned()) {
        true => name.to_owned(),
        false => String::new(),
    }
}

/// It, as a process of its own. Killed when it is dropped.
pub(crate) struct Server {
    process: Child,
    port: ReservedPort,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    pub(crate) async fn start() -> Result<Self, Box<dyn Error>> {
        let port = ReservedPort::any();
        let process = Command::new(std::env::current_exe()?)
            .args([SERVE, &port.address().to_string()])
            .spawn()?;
        let server = Self { process, port };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(server.address()).await.is_err() {
            if Instant::now() > deadline {
                return Err("the example does not start".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(server)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }
}
