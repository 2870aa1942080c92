//! GraphQL over WebSocket: the protocol `graphql-transport-ws`
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>).
//!
//! Whoever connects says who they are in `connection_init`, as `{"Authorization": "Bearer ..."}`.
//! When the session ends that it names, the socket does.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_graphql::http::{ClientMessage, WebSocket as Protocol, WebSocketProtocols, WsMessage};
use async_graphql::{Data, Error};
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::response::Response;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt, future};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Schema;
use super::loaders::Loaders;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::rest::MAX_BODY_BYTES;
use crate::{ServiceError, Services};

const PROTOCOL: &str = "graphql-transport-ws";
/// Operations of one socket that are under way.
const MAX_OPERATIONS: usize = 20;
/// How long a client may take to say who it is.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may be silent. The protocol has pings of the client's.
const SILENCE: Duration = Duration::from_secs(180);
/// How long a client may take to take a message.
const SLOW: Duration = Duration::from_secs(10);
/// The default of the library is 128 KiB for every socket.
const READ_BUFFER: usize = 4_096;
/// What may wait for a client that is slow, in bytes.
const WRITE_BUFFER: usize = 256 * 1024;

/// A reason to close, as the protocol numbers them.
type Close = (u16, &'static str);
const ENDED: Close = (4401, "the session has ended");
const INIT_TIMED_OUT: Close = (4408, "connection initialisation timeout");
const TOO_MANY: Close = (4429, "too many operations at once");

/// Takes a socket.
pub(super) async fn answer(
    schema: Schema,
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|error| Problem::invalid(error.body_text()))?;
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER)
        .max_message_size(MAX_BODY_BYTES)
        .max_frame_size(MAX_BODY_BYTES);
    if upgrade.selected_protocol().is_none() {
        let detail = format!("Sec-WebSocket-Protocol has no {PROTOCOL}.");
        return Err(Problem::invalid(detail));
    }
    Ok(upgrade.on_upgrade(async move |socket| serve(schema, services, caller, socket).await))
}

async fn serve(schema: Schema, services: Services, caller: Caller, socket: WebSocket) {
    let (mut sink, stream) = socket.split();
    let operations = Operations::default();
    let (known, who) = watch::channel(None);
    let (of_stream, init_services) = (operations.clone(), services.clone());
    let incoming = stream
        .take_while(|message| future::ready(message.is_ok()))
        .filter_map(async |message| match message {
            Ok(Message::Text(text)) => Some(ClientMessage::from_bytes(text.as_bytes())),
            Ok(Message::Binary(bytes)) => Some(ClientMessage::from_bytes(&bytes)),
            _ => None,
        })
        .take_while(move |message| future::ready(of_stream.heard(message)));
    let protocol = WebSocketProtocols::GraphQLWS;
    let mut outgoing = Protocol::from_message_stream(schema, Box::pin(incoming), protocol)
        .on_connection_init(async move |said| {
            let caller = introduce(&init_services, caller, &said).await?;
            known.send_replace(Some(caller.clone()));
            let mut data = Data::default();
            data.insert(Arc::new(Loaders::new(&init_services, &caller)));
            data.insert(caller);
            Ok(data)
        })
        .keepalive_timeout(SILENCE);
    let mut ended = pin!(ended(&services, who.clone()));
    let mut is_late = pin!(is_late(who));
    let close = loop {
        let message = tokio::select! {
            // What is to be told of an end is told before it.
            biased;
            message = outgoing.next() => message,
            close = &mut ended => break close,
            close = &mut is_late => break close,
        };
        match message {
            Some(WsMessage::Text(text)) => {
                operations.said(&text);
                if !send(&mut sink, Message::Text(text.into())).await {
                    return;
                }
            }
            Some(WsMessage::Close(code, reason)) => {
                let reason = reason.into();
                send(&mut sink, Message::Close(Some(CloseFrame { code, reason }))).await;
                return;
            }
            None if operations.are_too_many() => break TOO_MANY,
            None => return,
        }
    };
    let (code, reason) = close;
    let reason = reason.into();
    send(&mut sink, Message::Close(Some(CloseFrame { code, reason }))).await;
}

/// Whether the client has taken it.
async fn send(sink: &mut SplitSink<WebSocket, Message>, message: Message) -> bool {
    matches!(timeout(SLOW, sink.send(message)).await, Ok(Ok(())))
}

/// Who the client says it is in `connection_init`.
async fn introduce(services: &Services, caller: Caller, said: &Value) -> Result<Caller, Error> {
    let authorization = ["Authorization", "authorization"]
        .into_iter()
        .find_map(|name| said.get(name));
    match authorization {
        None | Some(Value::Null) => Ok(caller),
        Some(Value::String(text)) => Ok(services.authenticate(caller, text).await?),
        Some(_) => Err(ServiceError::Unauthenticated.into()),
    }
}

/// Returns when whoever is there must not be any more.
async fn ended(services: &Services, mut who: watch::Receiver<Option<Caller>>) -> Close {
    let known = who.wait_for(Option::is_some).await;
    let caller = known.ok().and_then(|known| known.clone());
    match caller {
        Some(caller) => services.until_revoked(&caller.identity).await,
        None => future::pending().await,
    }
    ENDED
}

/// Returns when the client has taken too long to say who it is.
async fn is_late(mut who: watch::Receiver<Option<Caller>>) -> Close {
    let known = timeout(INIT_TIMEOUT, who.wait_for(Option::is_some));
    if known.await.is_ok() {
        return future::pending().await;
    }
    INIT_TIMED_OUT
}

/// The operations of one socket that are under way, by their ids.
#[derive(Debug, Clone, Default)]
struct Operations(Arc<Mutex<HashSet<String>>>);

impl Operations {
    /// What the client says; false when that is too much.
    fn heard(&self, message: &serde_json::Result<ClientMessage>) -> bool {
        let mut under_way = self.lock();
        match message {
            Ok(ClientMessage::Start { id, .. }) => {
                under_way.insert(id.clone());
            }
            Ok(ClientMessage::Stop { id }) => {
                under_way.remove(id);
            }
            _ => {}
        }
        under_way.len() <= MAX_OPERATIONS
    }

    /// What the server says.
    fn said(&self, text: &str) {
        #[derive(Deserialize)]
        struct Said {
            r#type: String,
            id: Option<String>,
        }
        if let Ok(Said {
            r#type,
            id: Some(id),
        }) = serde_json::from_str(text)
            && r#type == "complete"
        {
            self.lock().remove(&id);
        }
    }

    fn are_too_many(&self) -> bool {
        self.lock().len() > MAX_OPERATIONS
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
