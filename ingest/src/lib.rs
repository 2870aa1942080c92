//! RTMP in: a protocol core without IO, a connection shell, and the registry of live
//! publications.
//!
//! [`session::Session`] is one connection as a state machine: bytes and time in, bytes
//! and events out. [`Server`] runs it on sockets, asks the [`Host`] who may publish, and
//! feeds each publication through a `media::timeline::Timeline` into the [`Registry`],
//! where the live pipeline subscribes.

mod address;
pub mod amf0;
pub mod chunk;
pub mod client;
mod connection;
pub mod flv;
mod host;
mod penalty;
mod registry;
mod seat;
mod server;
pub mod session;
mod subscription;

pub use client::{ClientError, PublishClient, PublishUrl};
pub use host::{BoxFuture, Grant, Host, PublishRequest, Refusal, StreamKey, TakeoverPolicy};
pub use penalty::PenaltyPolicy;
pub use registry::{Claim, Publication, Publisher, Registry, RegistryLimits};
pub use server::{Server, ServerConfig};
pub use subscription::{Feed, Subscription, SubscriptionLimits, Subscriptions};
