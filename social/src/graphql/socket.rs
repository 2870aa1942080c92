//! GraphQL over WebSocket: the protocol `graphql-transport-ws`
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>).
//!
//! Whoever connects says who they are in `connection_init`, as `{"Authorization": "Bearer ..."}`.
//! The socket is open for as long as that would let them in: it is looked at before each operation,
//! and now and then.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_graphql::http::{ClientMessage, WebSocket as Protocol, WebSocketProtocols, WsMessage};
use async_graphql::{Data, Error};
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::response::Response;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt, future, stream};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Schema;
use super::loaders::Loaders;
use crate::caller::Caller;
use crate::pass::Pass;
use crate::problem::Problem;
use crate::rest::MAX_BODY_BYTES;
use crate::{ServiceError, Services};

const PROTOCOL: &str = "graphql-transport-ws";
/// Operations of one socket that are under way.
const MAX_OPERATIONS: usize = 20;
/// How long a client may take to say who it is.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked at whether the client would still be let in.
const CHECKED_EVERY: Duration = Duration::from_secs(60);
/// How long operations may take to tell of the end.
const FAREWELL: Duration = Duration::from_secs(1);
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
const ENDED: Close = (
    4401,
    "what was shown in connection_init is not good any more",
);
const UNKNOWN: Close = (1013, "try again later");
const INIT_TIMED_OUT: Close = (4408, "connection initialisation timeout");
const TOO_OFTEN: Close = (4429, "too many requests");
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
    let gate = Gate {
        services: services.clone(),
        who: who.clone(),
        closed: Arc::new(watch::Sender::new(None)),
    };
    let (of_stream, init_services) = (operations.clone(), services.clone());
    let (admits, hears) = (gate.clone(), gate.clone());
    let mut incoming = Box::pin(
        stream
            .take_while(|message| future::ready(message.is_ok()))
            .filter_map(async |message| match message {
                Ok(Message::Text(text)) => Some(ClientMessage::from_bytes(text.as_bytes())),
                Ok(Message::Binary(bytes)) => Some(ClientMessage::from_bytes(&bytes)),
                _ => None,
            })
            .then(move |message| admits.clone().admit(message))
            .take_while(move |message| future::ready(of_stream.heard(message))),
    );
    // Not an end: what is under way may still say something.
    let incoming = stream::poll_fn(move |context| match hears.is_closed() {
        true => Poll::Pending,
        false => incoming.poll_next_unpin(context),
    });
    let protocol = WebSocketProtocols::GraphQLWS;
    let mut outgoing = Protocol::from_message_stream(schema, incoming, protocol)
        .on_connection_init(async move |said| {
            let pass = introduce(&init_services, caller, &said).await?;
            let caller = pass.caller.clone();
            known.send_replace(Some(pass));
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
            // The end comes first, however much a client says.
            biased;
            close = &mut ended => break close,
            close = gate.closed() => break close,
            close = &mut is_late => break close,
            message = outgoing.next() => message,
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
    gate.close(close);
    if close == ENDED {
        let farewell = async {
            while operations.are_some()
                && let Some(WsMessage::Text(text)) = outgoing.next().await
            {
                operations.said(&text);
                if !send(&mut sink, Message::Text(text.into())).await {
                    break;
                }
            }
        };
        // Some operations have nothing to say of it, and go on.
        let _ = timeout(FAREWELL, farewell).await;
    }
    let (code, reason) = close;
    let reason = reason.into();
    send(&mut sink, Message::Close(Some(CloseFrame { code, reason }))).await;
}

/// Whether the client has taken it.
async fn send(sink: &mut SplitSink<WebSocket, Message>, message: Message) -> bool {
    matches!(timeout(SLOW, sink.send(message)).await, Ok(Ok(())))
}

/// Who the client says it is in `connection_init`.
async fn introduce(services: &Services, caller: Caller, said: &Value) -> Result<Pass, Error> {
    let authorization = ["Authorization", "authorization"]
        .into_iter()
        .find_map(|name| said.get(name));
    let (caller, shown) = match authorization {
        None | Some(Value::Null) => (caller, None),
        Some(Value::String(text)) => {
            let caller = services.authenticate(caller, text).await?;
            (caller, Some(text.clone()))
        }
        Some(_) => return Err(ServiceError::Unauthenticated.into()),
    };
    Ok(Pass { caller, shown })
}

/// Returns when whoever is there must not be any more.
async fn ended(services: &Services, mut who: watch::Receiver<Option<Pass>>) -> Close {
    let known = who.wait_for(Option::is_some).await;
    let Some(pass) = known.ok().and_then(|known| known.clone()) else {
        return future::pending().await;
    };
    let refused = async {
        loop {
            sleep(CHECKED_EVERY).await;
            if let Err(error) = pass.check(services).await {
                return closing(&error);
            }
        }
    };
    tokio::select! {
        biased;
        () = services.until_revoked(&pass.caller.identity) => ENDED,
        close = refused => close,
    }
}

/// How a socket is closed whose client is not let in again.
fn closing(error: &ServiceError) -> Close {
    match error {
        ServiceError::Unauthenticated => ENDED,
        _ => UNKNOWN,
    }
}

/// What every operation of a socket has to come through.
#[derive(Clone)]
struct Gate {
    services: Services,
    who: watch::Receiver<Option<Pass>>,
    closed: Arc<watch::Sender<Option<Close>>>,
}

impl Gate {
    /// Lets a message through, unless it is an operation of somebody who would not be let in
    /// again: then nothing comes through any more.
    async fn admit(
        self,
        message: serde_json::Result<ClientMessage>,
    ) -> serde_json::Result<ClientMessage> {
        let pass = match &message {
            Ok(ClientMessage::Start { .. }) => self.who.borrow().clone(),
            _ => None,
        };
        if let Some(pass) = pass
            && let Err(close) = self.check(&pass).await
        {
            self.close(close);
            return future::pending().await;
        }
        message
    }

    async fn check(&self, pass: &Pass) -> Result<(), Close> {
        // What an operation calls is counted too, but it need not call anything.
        let counted = self.services.count(&pass.caller);
        counted.map_err(|_| TOO_OFTEN)?;
        let checked = pass.check(&self.services).await;
        checked.map_err(|error| closing(&error))
    }

    /// Has nothing come through any more.
    fn close(&self, close: Close) {
        self.closed.send_replace(Some(close));
    }

    fn is_closed(&self) -> bool {
        self.closed.borrow().is_some()
    }

    /// Returns when it is closed.
    async fn closed(&self) -> Close {
        let mut closed = self.closed.subscribe();
        let closed = closed.wait_for(Option::is_some).await;
        match closed.ok().and_then(|closed| *closed) {
            Some(close) => close,
            None => future::pending().await,
        }
    }
}

/// Returns when the client has taken too long to say who it is.
async fn is_late(mut who: watch::Receiver<Option<Pass>>) -> Close {
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

    fn are_some(&self) -> bool {
        !self.lock().is_empty()
    }

    fn are_too_many(&self) -> bool {
        self.lock().len() > MAX_OPERATIONS
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
