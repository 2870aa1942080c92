//! The server between sockets and a service: HTTP/1.1 and HTTP/2 on one listener, with or
//! without TLS.
//!
//! Each connection is one task, owned by [`Server::serve`]. Nothing of a request takes a lock
//! or a timer: connections count what they do (`activity`), and one patrol looks at all of
//! them now and then and ends those that a limit says to end (`watch`). What can be answered at
//! once is answered below hyper (`fast_path`), in whose place the transport reads and writes
//! while hyper is at rest (`turn`).

mod activity;
mod addresses;
mod admission;
mod bucket;
mod config;
mod connection;
mod connections;
mod fast_path;
mod guarded;
mod listener;
mod pace;
mod received;
mod sent;
mod tls;
mod transport;
mod turn;
mod unsent;
mod watch;

pub(crate) use addresses::key_of;
pub use config::{Rate, ServerConfig};
pub use connections::OpenConnections;
#[doc(hidden)]
pub use fast_path::read_any_head;
pub use fast_path::{FastAnswer, FastPath, PlainRequest, Receipt};
pub use guarded::Peer;
pub use listener::{BindError, Server};
pub use received::{ReceivedBody, ReceivedBodyError};
pub use tls::{Tls, TlsError};
