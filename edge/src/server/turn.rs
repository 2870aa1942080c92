//! Whose turn it is on a connection of HTTP/1.1: the fast path's while hyper is at rest, or
//! hyper's.
//!
//! hyper is at rest when it has answered all that it was given to read, and has sent it. It is
//! given one whole request at a time, without a body, or the rest of the connection: only so
//! is it known here where the next request begins.

use std::fmt;
use std::sync::Arc;

use super::activity::{Activity, Order};
use super::fast_path::{FastAnswer, FastPath, Leading, Limits, leading};
use super::guarded::Peer;
use super::unsent::Unsent;

/// The fast path of one connection, and whose turn it is there.
pub(super) struct Lane {
    path: Arc<dyn FastPath>,
    peer: Peer,
    limits: Limits,
    turn: Turn,
    /// What the socket has not taken yet of an answer. Nothing is read meanwhile.
    pub(super) unsent: Option<Unsent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// hyper is at rest.
    FastPath,
    /// hyper has one request, which is answered when more than so many have been begun and
    /// none is under way.
    Hyper { begun: u64 },
    /// hyper reads all that comes.
    HyperForGood,
}

/// What is to be done with bytes that came.
pub(super) enum Decision {
    /// They are hyper's.
    Hyper,
    /// The first so many are a request with this answer.
    Answered(usize, FastAnswer),
}

impl Lane {
    pub(super) fn new(path: Arc<dyn FastPath>, peer: Peer, limits: Limits) -> Self {
        Self {
            path,
            peer,
            limits,
            turn: Turn::FastPath,
            unsent: None,
        }
    }

    /// Looks at `bytes`, which came and were not looked at before.
    pub(super) fn look(&mut self, bytes: &[u8], activity: &Activity) -> Decision {
        if bytes.is_empty() {
            return Decision::Hyper;
        }
        let is_ours = self.turn == Turn::FastPath && activity.ordered() == Order::GoOn;
        let is_indifferent = |field: &str| self.path.is_indifferent(field);
        let leading = match is_ours {
            true => leading(bytes, self.peer, self.limits, is_indifferent),
            false => Leading::Other,
        };
        let length = match leading {
            Leading::Plain(request, length) => match self.path.answer(&request) {
                Some(answer) => return Decision::Answered(length, answer),
                None => Some(length),
            },
            Leading::Whole(length) => Some(length),
            Leading::Other => None,
        };
        self.turn = match length == Some(bytes.len()) {
            true => Turn::Hyper {
                begun: activity.sample().begun,
            },
            false => Turn::HyperForGood,
        };
        Decision::Hyper
    }

    /// hyper sends something. When it was at rest, it was not.
    pub(super) fn hyper_writes(&mut self) {
        if self.turn == Turn::FastPath {
            self.turn = Turn::HyperForGood;
        }
    }

    /// All that hyper had to send is with the socket.
    pub(super) fn flushed(&mut self, activity: &Activity) {
        if let Turn::Hyper { begun } = self.turn {
            let now = activity.sample();
            if now.begun > begun && now.under_way == 0 {
                self.turn = Turn::FastPath;
            }
        }
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("turn", &self.turn)
            .field("unsent", &self.unsent)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::server::activity::Listener;
    use crate::server::config::ServerConfig;
    use crate::server::fast_path::{PlainRequest, Receipt};

    const LIMITS: Limits = Limits {
        bytes: 100,
        fields: 3,
    };

    #[derive(Debug)]
    struct Always;

    impl Receipt for Always {
        fn taken(&self, _: u64) {}
    }

    impl FastPath for Always {
        fn is_indifferent(&self, field: &str) -> bool {
            field == "a"
        }

        fn answer(&self, request: &PlainRequest<'_>) -> Option<FastAnswer> {
            (request.path == "/fast").then(|| FastAnswer {
                head: Bytes::from_static(b"head"),
                body: Arc::new([]),
                receipt: Arc::new(Self),
            })
        }
    }

    struct Connection {
        lane: Lane,
        activity: Activity,
    }

    impl Connection {
        fn new() -> Self {
            let address = ([127, 0, 0, 1], 1).into();
            let is_tls = false;
            Self {
                lane: Lane::new(Arc::new(Always), Peer { address, is_tls }, LIMITS),
                activity: Activity::new(&Listener::new("test", ServerConfig::default())),
            }
        }

        /// Bytes of a request that was answered.
        fn looks(&mut self, bytes: &str) -> Option<usize> {
            match self.lane.look(bytes.as_bytes(), &self.activity) {
                Decision::Answered(length, _) => Some(length),
                Decision::Hyper => None,
            }
        }
    }

    const FAST: &str = "GET /fast HTTP/1.1\r\nHost: a\r\n\r\n";
    const SLOW: &str = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";

    #[test]
    fn hyper_has_its_turn_until_it_has_answered_and_sent_all() {
        let mut connection = Connection::new();
        assert_eq!(connection.looks(FAST), Some(FAST.len()));
        assert_eq!(connection.looks(&format!("{FAST}{FAST}")), Some(FAST.len()));
        assert_eq!(connection.looks(SLOW), None);
        // It has not seen it yet.
        connection.lane.flushed(&connection.activity);
        assert_eq!(connection.lane.turn, Turn::Hyper { begun: 0 });
        connection.activity.request_begins();
        connection.lane.flushed(&connection.activity);
        assert_eq!(connection.lane.turn, Turn::Hyper { begun: 0 });
        connection.activity.request_ends();
        // The end of the connection is nothing new.
        assert_eq!(connection.looks(""), None);
        connection.lane.flushed(&connection.activity);
        assert_eq!(connection.looks(FAST), Some(FAST.len()));
    }

    #[test]
    fn what_is_not_one_whole_request_is_hypers_for_good() {
        let body = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
        for bytes in [
            &FAST[..10],
            "\0",
            body,
            &format!("{SLOW}{FAST}"),
            &SLOW.replace("1.1", "1.0"),
            &SLOW.replace("Host", "Connection: close\r\nHost"),
            &SLOW.replace("Host", "Upgrade: x\r\nHost"),
            &SLOW.replace("Host", "Expect: 100-continue\r\nHost"),
            &SLOW.replace("Host", "Transfer-Encoding: chunked\r\nHost"),
        ] {
            let mut connection = Connection::new();
            assert_eq!(connection.looks(bytes), None);
            connection.activity.request_begins();
            connection.activity.request_ends();
            connection.lane.flushed(&connection.activity);
            assert_eq!(connection.looks(FAST), None, "{bytes}");
        }
        // It came while hyper was at work.
        let mut connection = Connection::new();
        assert_eq!(connection.looks(SLOW), None);
        assert_eq!(connection.looks(FAST), None);
        assert_eq!(connection.lane.turn, Turn::HyperForGood);
    }

    #[test]
    fn who_writes_was_not_at_rest() {
        let mut connection = Connection::new();
        connection.lane.hyper_writes();
        assert_eq!(connection.looks(FAST), None);
    }

    #[test]
    fn a_head_beyond_the_limits_is_hypers() {
        let with = |fields: &str| FAST.replace("Host", &format!("{fields}Host"));
        let filled = with(&format!("a: {}\r\n", "1".repeat(100 - FAST.len() - 5)));
        assert_eq!(filled.len(), LIMITS.bytes);
        for (request, is_within) in [
            (with("a: 1\r\na: 2\r\n"), true),
            (with("a: 1\r\na: 2\r\na: 3\r\n"), false),
            (with("b: 1\r\n"), false),
            (filled.replace("a: ", "a: 1"), false),
            (filled, true),
        ] {
            let answered = Connection::new().looks(&request);
            assert_eq!(answered.is_some(), is_within, "{request}");
        }
    }

    #[test]
    fn a_connection_that_is_to_end_has_no_fast_path() {
        let mut connection = Connection::new();
        let cut = crate::server::activity::Cut::Shutdown;
        connection.activity.order(Order::Finish(cut));
        assert_eq!(connection.looks(FAST), None);
    }
}
