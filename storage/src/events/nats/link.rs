//! The NATS client, each call of it bounded in time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, HeaderMap, PublishError, PublishErrorKind, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::timeout;
use uuid::Uuid;

use super::super::{
    BusError, Event, MAX_PAYLOAD_BYTES, Message, PUBLISH_PATIENCE, ReplyTo, Subject,
};

/// The header that carries [`Event::id`].
const EVENT_ID: &str = "Nova-Event-Id";

/// A connection that comes back. Cheap to clone.
#[derive(Clone)]
pub(in super::super) struct Link {
    client: Client,
}

impl Link {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// How often it has connected. Counted before anything is sent by a new connection.
    pub(super) fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    pub(super) fn connected(&self) -> Result<(), BusError> {
        match self.client.connection_state() {
            State::Connected => Ok(()),
            State::Pending | State::Disconnected => Err(BusError::Disconnected),
        }
    }

    /// Hands a message to the connection.
    pub(in super::super) async fn publish(
        &self,
        subject: async_nats::Subject,
        id: Option<Uuid>,
        payload: Bytes,
    ) -> Result<(), BusError> {
        self.connected()?;
        let size = payload.len();
        let sent = async {
            match id {
                None => self.client.publish(subject, payload).await,
                Some(id) => {
                    let mut headers = HeaderMap::new();
                    headers.insert(EVENT_ID, id.to_string());
                    self.client
                        .publish_with_headers(subject, headers, payload)
                        .await
                }
            }
        };
        match timeout(PUBLISH_PATIENCE, sent).await {
            Ok(sent) => sent.map_err(|error| refused(&error, size)),
            Err(_) => {
                metrics::counter!("nova_events_refused_total", "reason" => "stalled").increment(1);
                Err(BusError::Stalled)
            }
        }
    }

    /// Subscribes, without waiting for the server: see [`Link::round_trip`].
    pub(super) async fn subscribe(
        &self,
        pattern: String,
        within: Duration,
    ) -> Result<Subscriber, BusError> {
        self.connected()?;
        match timeout(within, self.client.subscribe(pattern)).await {
            Ok(subscribed) => subscribed.map_err(|_| BusError::Closed),
            Err(_) => Err(BusError::Stalled),
        }
    }

    /// Returns when the server has done all that was sent before: it takes what comes by
    /// one connection in order, and this sends a message to itself.
    ///
    /// The client's own `flush` returns when the bytes are with the operating system.
    pub(super) async fn round_trip(&self, within: Duration) -> Result<(), BusError> {
        self.connected()?;
        let back = async {
            let inbox = self.client.new_inbox();
            let mut answers = self
                .client
                .subscribe(inbox.clone())
                .await
                .map_err(|_| BusError::Closed)?;
            self.publish(inbox.into(), None, Bytes::new()).await?;
            answers.next().await.map(drop).ok_or(BusError::Closed)
        };
        timeout(within, back)
            .await
            .unwrap_or(Err(BusError::DeadlineExceeded))
    }

    /// Has an inbox of its own, as the client's `request` keeps an entry for ever for each
    /// request that is never answered.
    pub(super) async fn request(
        &self,
        subject: &Subject,
        payload: Bytes,
        within: Duration,
    ) -> Result<Bytes, BusError> {
        self.connected()?;
        let size = payload.len();
        let answered = async {
            let inbox = self.client.new_inbox();
            let mut answers = self
                .client
                .subscribe(inbox.clone())
                .await
                .map_err(|_| BusError::Closed)?;
            self.client
                .publish_with_reply(subject.as_str().to_owned(), inbox, payload)
                .await
                .map_err(|error| refused(&error, size))?;
            answers.next().await.ok_or(BusError::Closed)
        };
        match timeout(within, answered).await {
            Ok(Ok(answer)) if answer.status == Some(StatusCode::NO_RESPONDERS) => {
                Err(BusError::NoResponders(subject.clone()))
            }
            Ok(answer) => Ok(answer?.payload),
            Err(_) => Err(BusError::DeadlineExceeded),
        }
    }

    /// What a subscription gets, or nothing if no bus of ours can have published it: the
    /// inboxes of requests, which `>` selects too, and what other programs send.
    pub(super) fn received(&self, message: async_nats::Message) -> Option<Message> {
        let subject = Subject::new(&message.subject).ok()?;
        if message.payload.len() > MAX_PAYLOAD_BYTES {
            return None;
        }
        let id = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get(EVENT_ID)?.as_str().parse().ok());
        Some(Message {
            event: Event {
                id,
                subject,
                payload: message.payload,
            },
            reply_to: message
                .reply
                .map(|inbox| ReplyTo::nats(self.clone(), inbox)),
        })
    }
}

fn refused(error: &PublishError, size: usize) -> BusError {
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => BusError::PayloadTooLarge { size },
        // The client has ended. Subjects were checked.
        _ => BusError::Closed,
    }
}
