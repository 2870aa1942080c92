//! When a refresh token is given for another, and when it gives its thief away.
//!
//! The tokens of a login are a family: each one that is given for another is of the next
//! generation. A client keeps one token, and shows it for an access token and the next one.
//! Replies get lost, and the tabs of a browser, which share what is kept, ask at once. A
//! thief has a copy of some token and shows it when he likes.
//!
//! [`decide`] tells them apart by three facts of the shown token: its age, when another was
//! first given for it, and whether it is *overtaken*, which it is once another was given for
//! some other token of its generation or of a later one.
//!
//! - **A young token is not exchanged.** Until it is [`EXCHANGED_AFTER`] old, whoever shows it
//!   gets an access token and keeps what they have. So is one that was exchanged for the first
//!   time less than [`EXCHANGED_AFTER`] ago: the reply may be on its way. Ten tabs that ask at
//!   once are given one new token between them.
//! - **A lost reply is forgiven.** Whoever shows a token long after it was exchanged, and is
//!   not overtaken, never got the reply: another is given in its place. Nothing is held against
//!   a token that was replaced like that (a *revoked* one), for two replies can meet on the
//!   way: it is good until it is overtaken.
//! - **An overtaken token ends the login.** Somebody else has gone on with the family. Nobody
//!   can tell which of the two is the thief, so both have to log in, and only one of them has
//!   the password.
//!
//! # Why a client is never logged out
//!
//! Let a request and its reply take [`PATIENCE`] at most, or be lost, and let hosts' clocks be
//! right within [`CLOCKS_AGREE_WITHIN`]. The tokens that are given for one token `P` are all
//! asked for before the first of them that arrives has replaced `P`; so they are given, and
//! have arrived or are lost, within twice [`PATIENCE`] of each other, and so has every request
//! that shows one of them before the last has arrived. Meanwhile all of them are young. So
//! only the last to arrive, which the client keeps, is ever exchanged, and what the client
//! shows is not overtaken. [`EXCHANGED_AFTER`] is twice [`PATIENCE`] and what clocks differ by,
//! and some more.
//!
//! # Why a thief does not last
//!
//! Let the owner come back after the theft, and again each time that the access token has
//! expired. The first time may be within [`EXCHANGED_AFTER`] of the thief's first exchange of
//! the very token that the owner keeps. But "first" does not move, however often the thief
//! asks: the next time the owner's token is exchanged, or overtaken, which ends the login. Let
//! the owner's new token be `C`. When it is exchanged in its turn, every other token of its
//! generation and of those before is overtaken, and the thief has no later one: to be given
//! one, he would have had to exchange a token of `C`'s generation, and `C` would be overtaken.
//! So with the owner's third refresh the login has ended, or whatever the thief shows ends it.
//! Until then, and for as long as the owner stays away, he has what the owner has. Nothing but
//! ending the login takes that from him.
//!
//! The rows forget tokens that were replaced long ago
//! ([`REMEMBERED`](storage::rows::login_sessions::refresh::REMEMBERED)). An owner who was away
//! for so long is refused, as after an expiry, and finds the login in the list of logins.

use media::{Micros, Timestamp};
use storage::rows::login_sessions::{Decision, Family};

/// How long a login lasts that is not refreshed.
pub const LOGIN_LASTS: Micros = Micros::from_secs(60 * 24 * 60 * 60);

/// How long a client waits for the reply, with what the network takes.
pub const PATIENCE: Micros = Micros::from_secs(45);

/// How far hosts' clocks are from the right time at most.
pub const CLOCKS_AGREE_WITHIN: Micros = Micros::from_secs(5);

/// How old a token is before another is given for it. Less than an access token's life, so
/// that who comes back for the next one finds the token old enough.
pub const EXCHANGED_AFTER: Micros = Micros::from_secs(120);

/// What comes of showing a token, at `now`.
pub fn decide(family: &Family, now: Timestamp) -> Decision {
    let is_recent = |at: Timestamp| now - at < EXCHANGED_AFTER;
    if family.ended_at.is_some() || family.expires_at <= now {
        Decision::Refuse
    } else if family.is_overtaken {
        Decision::End
    } else if is_recent(family.given_at) || family.used_at.is_some_and(is_recent) {
        Decision::Keep
    } else {
        Decision::Rotate
    }
}

#[cfg(test)]
mod tests;
