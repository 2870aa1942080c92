//! Being in a room.

use std::collections::HashSet;

use media::UserId;
use storage::rows::blocks;

use super::hub::{Before, Joined, Listener, News, Seat, What};
use super::may_watch;
use crate::caller::Caller;
use crate::model::{ChatEvent, ChatRoom};
use crate::operation::Operation;
use crate::{ServiceError, Services};

/// People whose messages one does not hear, at most: of more, some are heard.
const HIDDEN_AT_MOST: u32 = 10_000;

/// How often it is asked whether somebody may be in a room that becomes others' meanwhile.
const ASKED_AT_MOST: u32 = 3;

/// Somebody is in a room.
pub(crate) struct Entered {
    /// What they hear.
    pub(crate) listener: Listener,
    /// How the room is.
    pub(crate) room: ChatRoom,
    /// Whether all is heard that came after what they had.
    pub(crate) is_complete: bool,
}

impl Services {
    /// Lets whoever asks into the room of a stream.
    pub(crate) async fn join_chat(
        &self,
        caller: &Caller,
        stream: &str,
        before: Before,
    ) -> Result<Entered, ServiceError> {
        self.begin(caller, Operation::JoinChat)?;
        for _ in 0..ASKED_AT_MOST {
            let stream = may_watch(self, caller, stream).await?;
            let hidden = self.hidden_from(caller).await?;
            // Where it became another's meanwhile, whether they may is asked again.
            let Some(joined) = self.chat.join(&stream, before, hidden).await? else {
                continue;
            };
            let Joined {
                listener,
                row,
                is_complete,
            } = joined;
            return Ok(Entered {
                listener,
                room: self.show_room(caller, &stream, &row),
                is_complete,
            });
        }
        Err(ServiceError::Busy)
    }

    /// Whose messages whoever asks does not hear.
    pub(crate) async fn hidden_from(
        &self,
        caller: &Caller,
    ) -> Result<HashSet<UserId>, ServiceError> {
        let Some(user) = caller.user() else {
            return Ok(HashSet::new());
        };
        let hidden = blocks::hidden_from(&self.db, user, HIDDEN_AT_MOST).await?;
        Ok(hidden.into_iter().collect())
    }

    /// Looks again whether whoever listens may, and what they hear.
    pub(crate) async fn look_again(
        &self,
        caller: &Caller,
        listener: &mut Listener,
    ) -> Result<(), ServiceError> {
        may_watch(self, caller, listener.name()).await?;
        listener.hide(self.hidden_from(caller).await?);
        Ok(())
    }

    /// What happens in a room, for as long as whoever asks may hear it.
    pub(crate) async fn chat_events(
        &self,
        caller: &Caller,
        stream: &str,
        after: Option<u64>,
    ) -> Result<ChatEvents, ServiceError> {
        let seat = self.chat.members().seat(&caller.identity);
        self.check_revoked(&caller.identity)?;
        let before = after.map_or(Before::Recent(0), Before::After);
        let entered = self.join_chat(caller, stream, before).await?;
        if !entered.is_complete {
            let why = "more has happened since than is told again: read the history";
            return Err(ServiceError::invalid("after", why));
        }
        Ok(ChatEvents {
            services: self.clone(),
            caller: caller.clone(),
            listener: entered.listener,
            seat,
        })
    }
}

/// What happens in a room.
pub(crate) struct ChatEvents {
    services: Services,
    caller: Caller,
    listener: Listener,
    seat: Option<Seat>,
}

impl ChatEvents {
    /// The next; none: there will be none. An error is the last.
    pub(crate) async fn next(&mut self) -> Option<Result<ChatEvent, ServiceError>> {
        loop {
            let frame = tokio::select! {
                biased;
                news = news(self.seat.as_ref()) => match news {
                    News::Ended => return None,
                    News::Relations => {
                        let listener = &mut self.listener;
                        match self.services.look_again(&self.caller, listener).await {
                            Ok(()) => continue,
                            Err(error) => return Some(Err(error)),
                        }
                    }
                },
                frame = self.listener.next() => frame,
            };
            let Ok(frame) = frame else {
                let why = "you were too slow: subscribe again after the last event that you had";
                return Some(Err(ServiceError::Conflict(why.into())));
            };
            return match &frame.what {
                What::Event(event) => Some(Ok(ChatEvent::clone(event))),
                What::Over | What::Stopping => None,
            };
        }
    }
}

/// News for whoever has a seat.
pub(crate) async fn news(seat: Option<&Seat>) -> News {
    match seat {
        Some(seat) => seat.news().await,
        None => std::future::pending().await,
    }
}
