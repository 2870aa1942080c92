//! The socket `/ws`: chat and notifications, by the protocol of [`crate::chat::protocol`]
//! (docs/CHAT.md).
//!
//! A socket is one task without locks of its own. It sends what happens in its room as it was
//! encoded for all; while one request of the client is under way, nothing else of the client is
//! read. Who is slow is let go, with a reason; who must not be there any more, at once.

mod notified;
mod requests;
mod talk;

use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::response::Response;
use futures_util::SinkExt;
use tokio::time::timeout;

use crate::caller::Caller;
use crate::chat::protocol::{ClientMessage, MAX_MESSAGE_BYTES, ServerMessage, VERSION};
use crate::pass::Pass;
use crate::problem::Problem;
use crate::{ServiceError, Services};
use talk::Talk;

/// How long a client may take to say who it is.
const HELLO: Duration = Duration::from_secs(10);
/// How often a client has to say something, if only `ping`, or answer a ping of the socket's own.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(30);
/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(90);
/// How often it is looked at whether whoever has logged in would still be let in.
const CHECKED_EVERY: Duration = Duration::from_secs(60);
/// How long a client may take to take what it is sent.
const SLOW: Duration = Duration::from_secs(20);
/// How long the end may take to be told.
const FAREWELL: Duration = Duration::from_secs(1);
/// What is read at once. The library's default is 128 KiB for every socket (axum#3178).
const READ_BUFFER: usize = 1_024;
/// What is gathered of many messages before it is written.
const BATCH: usize = 8 * 1_024;
/// The most that waits to be written; never reached, for a batch is written before the next.
const WRITE_BUFFER: usize = 256 * 1_024;

/// A reason to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Close {
    code: u16,
    reason: &'static str,
    /// What it is counted as.
    kind: &'static str,
}

macro_rules! closes {
    ($($name:ident: $code:literal, $kind:literal, $reason:literal;)*) => {
        $(const $name: Close = Close { code: $code, reason: $reason, kind: $kind };)*
    };
}

closes! {
    GOING_AWAY: 1001, "stopping", "the server stops: join again after the last event that you had";
    NOT_TEXT: 1003, "not-text", "expected text";
    UNREADABLE: 1009, "unreadable", "a message is too large, or none";
    TRY_LATER: 1013, "busy", "try again later";
    NO_HELLO: 4400, "no-hello", "expected hello, and that once";
    ENDED: 4401, "ended", "what was shown is not good any more: log in again";
    NO_SUCH_VERSION: 4406, "version", "there is no such version: expected 1";
    SILENT: 4408, "silent", "nothing was heard for too long";
    TOO_SLOW: 4409, "slow", "too slow: join again after the last event that you had";
    TOO_OFTEN: 4429, "too-often", "too many requests";
}

/// Counts open sockets.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!("nova_chat_sockets").increment(1.0);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("nova_chat_sockets").decrement(1.0);
    }
}

/// Takes a socket.
pub(crate) async fn answer(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|error| Problem::invalid(error.body_text()))?;
    services.count(&caller)?;
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(BATCH)
        .max_write_buffer_size(WRITE_BUFFER)
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES);
    Ok(upgrade.on_upgrade(async move |socket| serve(services, caller, socket).await))
}

async fn serve(services: Services, caller: Caller, mut socket: WebSocket) {
    let _counted = Counted::new();
    let hello = tokio::select! {
        biased;
        () = services.chat.stops() => Err(Some(GOING_AWAY)),
        hello = timeout(HELLO, Box::pin(hear_hello(&services, caller, &mut socket))) => {
            hello.unwrap_or(Err(Some(SILENT)))
        }
    };
    let close = match hello {
        // Apart, as the hello: what each takes is there only for as long as it goes on.
        Ok(pass) => Box::pin(Talk::new(services, socket, pass).run()).await,
        Err(Some(close)) => {
            farewell(&mut socket, close).await;
            Some(close)
        }
        Err(None) => None,
    };
    if let Some(close) = close {
        metrics::counter!("nova_chat_drops_total", "reason" => close.kind).increment(1);
    }
}

/// Who the client says it is; none: it is gone.
async fn hear_hello(
    services: &Services,
    caller: Caller,
    socket: &mut WebSocket,
) -> Result<Pass, Option<Close>> {
    let text = loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => break text,
            Some(Ok(Message::Binary(_))) => return Err(Some(NOT_TEXT)),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(_))) | None => return Err(None),
            Some(Err(_)) => return Err(Some(UNREADABLE)),
        }
    };
    let Ok(ClientMessage::Hello {
        version,
        authorization,
    }) = ClientMessage::parse(&text)
    else {
        return Err(Some(NO_HELLO));
    };
    if version != VERSION {
        return Err(Some(NO_SUCH_VERSION));
    }
    let known = match &authorization {
        None => Ok(caller),
        Some(shown) => services.authenticate(caller, shown).await,
    };
    match known {
        Ok(caller) => Ok(Pass {
            caller,
            shown: authorization,
        }),
        Err(error) => {
            // The close behind it sends it.
            let _ = socket
                .feed(Message::Text(failed(None, &error).into()))
                .await;
            Err(Some(closing(&error)))
        }
    }
}

/// How a socket is closed whose client is not let in.
fn closing(error: &ServiceError) -> Close {
    match error {
        ServiceError::Unauthenticated => ENDED,
        ServiceError::RateLimited { .. } => TOO_OFTEN,
        _ => TRY_LATER,
    }
}

/// What is said of something that was not done.
fn failed(id: Option<String>, error: &ServiceError) -> String {
    let after = error.retry_after();
    ServerMessage::Error {
        id,
        code: error.code(),
        message: error.told(),
        retry_after_seconds: after.map(|after| after.as_secs()),
    }
    .text()
}

/// Tells the reason, and closes.
async fn farewell(socket: &mut WebSocket, Close { code, reason, .. }: Close) {
    let reason = reason.into();
    let closing = socket.send(Message::Close(Some(CloseFrame { code, reason })));
    // Whoever does not take it is gone all the same.
    let _ = timeout(FAREWELL, closing).await;
}
