//! A socket whose client has said who it is.

use std::pin::Pin;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use futures_util::SinkExt;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

use super::notified::{self, Notified, notified};
use super::requests::{self, Answer};
use super::{
    BATCH, CHECKED_EVERY, Close, ENDED, GOING_AWAY, HEARTBEAT, NOT_TEXT, SILENCE, SILENT, SLOW,
    TOO_OFTEN, TOO_SLOW, UNREADABLE, closing, failed, farewell,
};
use crate::chat::hub::{Frame, Listener, News, Seat, TooSlow, What};
use crate::chat::news;
use crate::chat::protocol::{ClientMessage, ServerMessage, VERSION};
use crate::pass::Pass;
use crate::{ServiceError, Services};

/// Frames that a client may send from one tick to the next: four a second, whatever they are.
const HEARD_AT_MOST: u32 = 60;

/// Why a socket ends: it is closed, or the client is gone.
type End = Option<Close>;

type Request = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// One socket.
pub(super) struct Talk {
    services: Services,
    socket: WebSocket,
    pass: Pass,
    seat: Option<Seat>,
    listener: Option<Listener>,
    /// What comes of the client's notifications, if it asked for that.
    notified: Option<Notified>,
    /// What the client asks that is under way.
    request: Option<Request>,
    /// What lies between the client and others has changed since the request began: whoever it
    /// lets into a room is looked at again.
    has_changed: bool,
    ticks: Interval,
    heard_at: Instant,
    /// Frames of the client since the last tick.
    heard: u32,
    pinged_at: Instant,
    checked_at: Instant,
}

impl Talk {
    pub(super) fn new(services: Services, socket: WebSocket, pass: Pass) -> Self {
        let now = Instant::now();
        let every = HEARTBEAT / 2;
        let mut ticks = interval_at(now + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            seat: services.chat.members().seat(&pass.caller.identity),
            services,
            socket,
            pass,
            listener: None,
            notified: None,
            request: None,
            has_changed: false,
            ticks,
            heard_at: now,
            heard: 0,
            pinged_at: now,
            checked_at: now,
        }
    }

    /// Until the end; why the socket was closed, unless the client went.
    pub(super) async fn run(mut self) -> Option<Close> {
        let end = match self.welcome().await {
            Ok(()) => self.talk().await,
            Err(end) => end,
        };
        if let Some(close) = end {
            if close == ENDED {
                let told = failed(None, &ServiceError::Unauthenticated);
                let _ = self.socket.feed(Message::Text(told.into())).await;
            }
            farewell(&mut self.socket, close).await;
        }
        end
    }

    async fn welcome(&mut self) -> Result<(), End> {
        // Since it has a seat, it is told.
        if self
            .services
            .check_revoked(&self.pass.caller.identity)
            .is_err()
        {
            return Err(Some(ENDED));
        }
        let user = self.pass.caller.user();
        let welcome = ServerMessage::Welcome {
            version: VERSION,
            heartbeat_seconds: HEARTBEAT.as_secs(),
            user: user.map(|user| user.to_string()),
        };
        self.say(welcome.text()).await
    }

    async fn talk(&mut self) -> End {
        loop {
            if let Err(end) = self.step().await {
                return end;
            }
        }
    }

    /// Waits for whatever is next, and does it.
    async fn step(&mut self) -> Result<(), End> {
        let is_idle = self.request.is_none();
        tokio::select! {
            // The end comes first, however much is said.
            biased;
            news = news(self.seat.as_ref()) => match news {
                News::Ended => Err(Some(ENDED)),
                News::Relations => {
                    self.has_changed |= !is_idle;
                    Box::pin(self.look_again()).await
                }
            },
            answer = under_way(&mut self.request), if !is_idle => {
                self.request = None;
                self.answered(answer).await
            }
            frame = next(&mut self.listener) => self.deliver(frame).await,
            told = notified::next(&mut self.notified) => self.notify(told).await,
            message = self.socket.recv(), if is_idle => self.heard(message).await,
            _ = self.ticks.tick() => self.tick().await,
        }
    }

    /// What the client says.
    async fn heard(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        self.heard_at = Instant::now();
        self.heard += 1;
        if self.heard > HEARD_AT_MOST {
            return Err(Some(TOO_OFTEN));
        }
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(_))) => return Err(Some(NOT_TEXT)),
            // The library answers a ping when something is sent or flushed.
            Some(Ok(Message::Ping(_))) => return self.flush().await,
            Some(Ok(Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Close(_))) | None => return Err(None),
            Some(Err(_)) => return Err(Some(UNREADABLE)),
        };
        let message = match ClientMessage::parse(&text) {
            Ok(message) => message,
            Err(error) => {
                let error = ServiceError::invalid("", error);
                return self.say(failed(None, &error)).await;
            }
        };
        let room = self.listener.as_ref().map(|one| one.name().to_owned());
        let (services, pass) = (self.services.clone(), self.pass.clone());
        self.request = Some(Box::pin(requests::answer(services, pass, room, message)));
        Ok(())
    }

    async fn answered(&mut self, answer: Answer) -> Result<(), End> {
        let has_changed = std::mem::take(&mut self.has_changed);
        match answer {
            Answer::Said(text) => self.say(text).await,
            Answer::Closed(close) => Err(Some(close)),
            Answer::Left(id) => {
                self.listener = None;
                self.say(ServerMessage::Done { id }.text()).await
            }
            Answer::Notified(id, told) => {
                self.notified = Some(told);
                self.say(ServerMessage::Done { id }.text()).await
            }
            Answer::Entered(id, entered) => {
                self.listener = Some(entered.listener);
                let joined = ServerMessage::Joined {
                    id,
                    room: entered.room,
                    is_complete: entered.is_complete,
                };
                self.say(joined.text()).await?;
                match has_changed {
                    true => Box::pin(self.look_again()).await,
                    false => Ok(()),
                }
            }
            Answer::Known(id, known) => {
                let (pass, seat) = *known;
                self.pass = pass;
                self.seat = seat;
                self.checked_at = Instant::now();
                Box::pin(self.look_again()).await?;
                self.say(ServerMessage::Done { id }.text()).await?;
                self.notify_again().await
            }
        }
    }

    /// Tells the client of its notifications.
    async fn notify(&mut self, told: Option<String>) -> Result<(), End> {
        match told {
            Some(text) => self.say(text).await,
            None => {
                self.notified = None;
                Ok(())
            }
        }
    }

    /// By the pass that the client has now.
    async fn notify_again(&mut self) -> Result<(), End> {
        if self.notified.take().is_none() {
            return Ok(());
        }
        match notified(&self.services, &self.pass.caller) {
            Ok(notified) => {
                self.notified = Some(notified);
                Ok(())
            }
            Err(error) => self.say(failed(None, &error)).await,
        }
    }

    /// What lies between the client and others may have changed.
    async fn look_again(&mut self) -> Result<(), End> {
        let Some(listener) = &mut self.listener else {
            return Ok(());
        };
        let looked = self.services.look_again(&self.pass.caller, listener).await;
        match looked {
            Ok(()) => Ok(()),
            Err(ServiceError::NotFound(_)) => {
                let left = ServerMessage::Left {
                    room: listener.name(),
                    reason: "there is no such room for you any more",
                };
                let left = left.text();
                self.listener = None;
                self.say(left).await
            }
            Err(error) => Err(Some(closing(&error))),
        }
    }

    /// Now and then.
    async fn tick(&mut self) -> Result<(), End> {
        let now = Instant::now();
        self.heard = 0;
        if now - self.heard_at >= SILENCE {
            return Err(Some(SILENT));
        }
        if self.seat.is_some() && now - self.checked_at >= CHECKED_EVERY {
            self.checked_at = now;
            // Apart, as whatever asks the rows: a socket that only listens has no room for it.
            let checked = Box::pin(self.pass.check(&self.services)).await;
            checked.map_err(|error| Some(closing(&error)))?;
            Box::pin(self.look_again()).await?;
        }
        if now - self.pinged_at >= HEARTBEAT {
            self.pinged_at = now;
            self.feed(Message::Ping(Bytes::new())).await?;
            return self.flush().await;
        }
        Ok(())
    }

    /// What happens in the room: this, and what else is there already.
    async fn deliver(&mut self, first: Result<Arc<Frame>, TooSlow>) -> Result<(), End> {
        let (mut next, mut delivered, mut size) = (Some(first), 0, 0);
        while let Some(frame) = next {
            let frame = frame.map_err(|TooSlow| Some(TOO_SLOW))?;
            if let What::Stopping = frame.what {
                return Err(Some(GOING_AWAY));
            }
            size += frame.text.len();
            delivered += 1;
            self.feed(Message::Text(frame.text.clone())).await?;
            if let What::Over = frame.what {
                self.listener = None;
            }
            next = match &mut self.listener {
                Some(listener) if size < BATCH => listener.try_next().transpose(),
                _ => None,
            };
        }
        metrics::counter!("nova_chat_deliveries_total").increment(delivered);
        self.flush().await
    }

    async fn say(&mut self, text: String) -> Result<(), End> {
        self.feed(Message::Text(Utf8Bytes::from(text))).await?;
        self.flush().await
    }

    async fn feed(&mut self, message: Message) -> Result<(), End> {
        let seat = self.seat.as_ref();
        unless_ended(seat, self.socket.feed(message)).await
    }

    async fn flush(&mut self) -> Result<(), End> {
        unless_ended(self.seat.as_ref(), self.socket.flush()).await
    }
}

/// Writes, unless whoever is to read it must not be there any more, or does not read.
async fn unless_ended(
    seat: Option<&Seat>,
    writing: impl Future<Output = Result<(), axum::Error>>,
) -> Result<(), End> {
    let written = timeout(SLOW, writing);
    let written = tokio::select! {
        biased;
        written = written => written,
        () = ended(seat) => return Err(Some(ENDED)),
    };
    match written {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(None),
        Err(_) => Err(Some(TOO_SLOW)),
    }
}

async fn ended(seat: Option<&Seat>) {
    match seat {
        Some(seat) => seat.ended().await,
        None => std::future::pending().await,
    }
}

async fn under_way(request: &mut Option<Request>) -> Answer {
    match request {
        Some(request) => request.await,
        None => std::future::pending().await,
    }
}

async fn next(listener: &mut Option<Listener>) -> Result<Arc<Frame>, TooSlow> {
    match listener {
        Some(listener) => listener.next().await,
        None => std::future::pending().await,
    }
}
