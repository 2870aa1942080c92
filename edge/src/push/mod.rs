//! New media of what is watched here are pushed, so that the live edge is never a miss.
//!
//! A **feed** is one request of this edge's for a rendition of a live stream, whose answer
//! goes on for as long as somebody watches: each part, segment and init segment comes with
//! it when it is published ([`media::feed`] says in which form). It is asked of the member
//! that the rendition's other requests are for. What comes is stored as what a fill brings.
//!
//! - `feeds` knows which feeds there are; `interest` how long each is wanted.
//! - `subscription` follows one: asks, reads (`receive`), asks anew when it has ended.
//! - `held` lets a request for what is not there yet wait for the feed instead of the origin.
//! - `answer` gives a feed to an edge in front of this one (`subscriber`): a shield asks its
//!   upstream once, whatever the number of edges.

mod answer;
mod config;
mod feed;
mod feeds;
mod held;
mod interest;
mod name;
mod receive;
mod subscriber;
mod subscription;

pub(crate) use answer::answer;
pub use config::PushConfig;
pub(crate) use feeds::Feeds;
pub(crate) use held::{Awaited, Wait};
pub(crate) use interest::Wish;
pub(crate) use name::{FEED, is_feed};
pub(crate) use subscriber::Subscriber;
pub(crate) use subscription::follow_viewers;
