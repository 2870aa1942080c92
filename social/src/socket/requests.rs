//! What clients ask, one request at a time.

use async_graphql::ID;

use super::notified::{Notified, notified};
use super::{ENDED, closing, failed};
use crate::caller::Caller;
use crate::chat::Entered;
use crate::chat::hub::{Before, Seat};
use crate::chat::protocol::{ClientMessage, MAX_RECENT, ServerMessage};
use crate::model::SendChatInput;
use crate::pass::Pass;
use crate::{ServiceError, Services};

/// What came of a request.
pub(super) enum Answer {
    /// Something to be said.
    Said(String),
    /// Whoever asked is in a room.
    Entered(Option<String>, Box<Entered>),
    /// Whoever asked is out of it.
    Left(Option<String>),
    /// Whoever asked is told of their notifications.
    Notified(Option<String>, Notified),
    /// Whoever asked has another pass.
    Known(Option<String>, Box<(Pass, Option<Seat>)>),
    /// The socket is closed.
    Closed(super::Close),
}

/// Does what a client asks. `room`: the one that it is in.
pub(super) async fn answer(
    services: Services,
    pass: Pass,
    room: Option<String>,
    message: ClientMessage,
) -> Answer {
    let id = message.id().map(str::to_owned);
    // What is done is counted as on every face; the rest costs a socket's own patience alone.
    let is_operation = matches!(
        message,
        ClientMessage::Join { .. }
            | ClientMessage::Send { .. }
            | ClientMessage::Delete { .. }
            | ClientMessage::Notifications { .. }
    );
    if is_operation && let Err(error) = pass.check(&services).await {
        return Answer::Closed(closing(&error));
    }
    match done(&services, &pass, room, message).await {
        Ok(answer) => answer,
        Err(error) => Answer::Said(failed(id, &error)),
    }
}

async fn done(
    services: &Services,
    pass: &Pass,
    room: Option<String>,
    message: ClientMessage,
) -> Result<Answer, ServiceError> {
    let caller = &pass.caller;
    Ok(match message {
        ClientMessage::Hello { .. } => Answer::Closed(super::NO_HELLO),
        ClientMessage::Ping { id } => Answer::Said(ServerMessage::Pong { id }.text()),
        ClientMessage::Leave { id } => Answer::Left(id),
        ClientMessage::Authenticate { id, authorization } => {
            authenticate(services, caller, id, authorization).await
        }
        ClientMessage::Join {
            id,
            room,
            after,
            recent,
        } => {
            let before = before(after, recent)?;
            let entered = services.join_chat(caller, &room, before).await?;
            Answer::Entered(id, Box::new(entered))
        }
        ClientMessage::Send {
            id,
            text,
            reply_to,
            media_time,
            key,
        } => {
            let input = SendChatInput {
                text,
                reply_to: reply_to.map(ID),
                media_time,
            };
            let room = room.ok_or_else(nowhere)?;
            let said = services.send_chat_message(caller, &room, input, key.as_deref());
            let said = said.await?;
            let sent = ServerMessage::Sent {
                id,
                event: said.event,
                message: &said.id,
            };
            Answer::Said(sent.text())
        }
        ClientMessage::Delete { id, message } => {
            let room = room.ok_or_else(nowhere)?;
            services
                .delete_chat_message(caller, &room, &message)
                .await?;
            Answer::Said(ServerMessage::Done { id }.text())
        }
        ClientMessage::Notifications { id } => Answer::Notified(id, notified(services, caller)?),
    })
}

fn before(after: Option<u64>, recent: Option<u32>) -> Result<Before, ServiceError> {
    match (after, recent) {
        (Some(_), Some(_)) => Err(ServiceError::invalid(
            "recent",
            "expected none beside after, which says what is missing",
        )),
        (Some(after), None) => Ok(Before::After(after)),
        (None, recent) => match recent.unwrap_or_default() {
            recent @ 0..=MAX_RECENT => Ok(Before::Recent(recent as usize)),
            _ => {
                let expected = format!("expected a number from 0 to {MAX_RECENT}");
                Err(ServiceError::invalid("recent", expected))
            }
        },
    }
}

fn nowhere() -> ServiceError {
    ServiceError::Conflict("you are in no room: join one first".into())
}

/// The same somebody by another token, or nobody in particular who has logged in.
async fn authenticate(
    services: &Services,
    caller: &Caller,
    id: Option<String>,
    authorization: String,
) -> Answer {
    let known = services.authenticate(caller.clone(), &authorization).await;
    let known = match known {
        Ok(known) => known,
        Err(error) => return Answer::Closed(closing(&error)),
    };
    let is_same = caller.user().is_none() || caller.user() == known.user();
    if !is_same {
        return Answer::Closed(ENDED);
    }
    let seat = services.chat.members().seat(&known.identity);
    // Since then it is told.
    if services.check_revoked(&known.identity).is_err() {
        return Answer::Closed(ENDED);
    }
    let pass = Pass {
        caller: known,
        shown: Some(authorization),
    };
    Answer::Known(id, Box::new((pass, seat)))
}
