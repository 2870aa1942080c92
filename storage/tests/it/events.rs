//! Both buses through one suite, and what only one with a server can meet.

mod server;
mod suite;

use std::sync::Arc;
use std::time::Duration;

use storage::events::{self, Bus};

use peers::nats::NatsServer;
use suite::Buses;

/// Longer than anything takes that does not hang.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// What keeps the server of `Buses` running.
pub(crate) struct Kept(#[allow(dead_code, reason = "dropped with the test")] Option<NatsServer>);

async fn local() -> (Buses, Kept) {
    let bus = events::open("local:").await.unwrap();
    let buses = Buses {
        one: bus.clone(),
        other: bus,
    };
    (buses, Kept(None))
}

/// Two connections, as two processes have.
async fn nats() -> (Buses, Kept) {
    let server = NatsServer::start().await;
    let buses = Buses {
        one: events::open(&server.url()).await.unwrap(),
        other: events::open(&server.url()).await.unwrap(),
    };
    (buses, Kept(Some(server)))
}

/// Every case as a test on each bus.
macro_rules! suite {
    ($($case:ident)*) => {
        mod on_local {
            $(#[tokio::test]
            async fn $case() {
                let (buses, _kept) = super::local().await;
                super::suite::$case(buses).await;
            })*
        }

        mod on_nats {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (buses, _kept) = super::nats().await;
                super::suite::$case(buses).await;
            })*
        }
    };
}

suite! {
    wildcards_select
    publishers_hear_themselves
    ids_and_payloads_arrive_as_they_were
    order_is_kept
    every_subscription_gets_its_own
    requests_are_answered
    the_first_answer_counts
    a_request_that_nobody_hears_fails_at_once
    a_request_that_nobody_answers_meets_its_deadline
    a_slow_subscriber_is_told_how_many_it_lost
    dropping_a_subscription_unsubscribes
    payloads_have_a_limit
    a_flush_proves
    nothing_else_comes_through
}

#[tokio::test]
async fn payloads_are_shared_within_a_process() {
    let bus: Arc<dyn Bus> = Arc::new(storage::events::LocalBus::new());
    let mut first = suite::subscribe(&bus, "a").await;
    let mut second = suite::subscribe(&bus, ">").await;
    let payload = bytes::Bytes::from(vec![7; 1_000]);
    suite::publish(&bus, "a", payload.clone()).await;
    for subscription in [&mut first, &mut second] {
        let received = suite::recv(subscription).await.event.payload;
        assert_eq!(received.as_ptr(), payload.as_ptr());
    }
}
