//! A session past the handshake, fed with anything, cut anywhere, and always decided.
#![no_main]

use std::time::{Duration, Instant};

use ingest::Refusal;
use ingest::session::{Event, Output, Session, SessionLimits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, bool, Vec<&[u8]>)| {
    let (seconds, accepts, pieces) = input;
    let limits = SessionLimits::default();
    let mut now = Instant::now();
    let mut session = Session::new(limits, now);
    let mut hello = vec![0; 1 + 2 * 1_536];
    hello[0] = 3;
    session.handle_input(now, &hello).expect("a handshake");
    for piece in pieces {
        if session.handle_input(now, piece).is_err() {
            assert!(!session.wants_input());
        }
        let mut sent = 0;
        while let Some(output) = session.poll_output() {
            match output {
                Output::Send(bytes) => sent += bytes.len(),
                Output::Event(Event::PublishRequested(_)) if accepts => {
                    let _ = session.accept_publish(now);
                }
                Output::Event(Event::PublishRequested(_)) => {
                    session.reject_publish(Refusal::BadKey);
                }
                Output::Event(_) => {}
            }
        }
        assert!(sent <= 2 * limits.output);
        now += Duration::from_secs(u64::from(seconds % 8));
        let _ = session.handle_timeout(now);
    }
});
