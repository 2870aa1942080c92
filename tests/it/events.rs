//! What the server tells the event bus.

use std::time::Duration;

use peers::nats::NatsServer;
use storage::events::SubjectPattern;
use tokio::time::timeout;

use crate::harness::{Encoder, Site, Stream, wait_for};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn going_live_and_ending_are_events_on_nats() {
    let mut nats = NatsServer::start_with(&["--user", "nova", "--pass", "pa55word"]).await;
    let url = nats.url_of("nova:pa55word");
    let bus = storage::events::open(&url).await.unwrap();
    let pattern = SubjectPattern::new("stream.*.*").unwrap();
    let mut told = bus.subscribe(&pattern).await.unwrap();

    let server = tokio::task::spawn_blocking(move || {
        let site = Site::new();
        let key = site.create_stream("garden");
        let nova = site
            .serve()
            .variable("NOVA__EVENTS__URL", &url)
            .variable("NOVA__LIVE__GRACE_SECONDS", "1")
            .start();
        let encoder = Encoder::small().publish(&nova.rtmp_url(&key));
        Stream::new(nova.http(), "garden").wait_live(&["source", "audio"], 1);
        drop(encoder);
        // Until both were told.
        (site, nova)
    });
    let mut subjects = Vec::new();
    let mut payloads = Vec::new();
    for _ in 0..2 {
        let message = timeout(LIMIT, told.recv()).await.unwrap().unwrap();
        assert!(message.event.id.is_some());
        subjects.push(message.event.subject.as_str().to_owned());
        let payload: serde_json::Value = serde_json::from_slice(&message.event.payload).unwrap();
        payloads.push(payload);
    }
    let (site, nova) = server.await.unwrap();
    nats.kill();
    // Live needs no events: the server stays ready, and says what does not work.
    let lost = tokio::task::spawn_blocking(move || {
        wait_for("a line about events", LIMIT, || {
            let ready = nova.admin().get("/readyz")?.text();
            let told = ready.lines().any(|line| line.starts_with("events: "));
            told.then_some(()).ok_or(ready)
        });
        drop((nova, site));
    });
    lost.await.unwrap();
    assert!(subjects[0].ends_with(".live"), "{subjects:?}");
    assert!(subjects[1].ends_with(".ended"), "{subjects:?}");
    assert_eq!(payloads[0]["session"], payloads[1]["session"]);
    assert_eq!(
        subjects[0],
        format!("stream.{}.live", payloads[0]["stream"].as_str().unwrap())
    );
    assert!(payloads[0]["at"].as_i64() < payloads[1]["at"].as_i64());
}
