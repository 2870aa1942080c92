//! New media are pushed from the process that publishes them to the edge that has viewers.

use std::time::Duration;

use crate::harness::{Crowd, Encoder, Listener, Nova, Site, Stream, wait_for};

/// Generous: what is asserted is what comes, not when.
const LIMIT: Duration = Duration::from_secs(60);

/// A process that publishes, and an edge of it with `push` as said.
fn start(push: &str) -> (Site, Nova, Nova) {
    let site = Site::new();
    let media = site.serve().media_roles().start();
    let origin = media.origin_url();
    let edge = site
        .serve()
        .roles("edge", &[Listener::Http, Listener::Admin]);
    let edge = edge.variable("NOVA__EDGE__ORIGIN", &origin);
    let edge = edge.variable("NOVA__EDGE__PUSH", push).start();
    (site, media, edge)
}

#[test]
fn what_is_watched_is_pushed_to_the_edge() {
    let (site, media, edge) = start("true");
    let key = site.create_stream("garden");
    let _publisher = Encoder::small().publish(&media.rtmp_url(&key));
    let stream = Stream::new(edge.http(), "garden");
    stream.wait_live(&["source", "audio"], 2);
    let viewers = Crowd::start("garden", &[edge.address(Listener::Http)], 4);
    let begun = viewers.wait_begun(LIMIT);
    wait_for("a feed of each rendition", LIMIT, || {
        let feeds = media.metric("nova_origin_feeds")?;
        (feeds == 2.0).then_some(()).ok_or(format!("{feeds} feeds"))
    });
    // What is announced is asked for before it is there, held here, and comes of itself.
    let mut pushed = 0;
    wait_for("parts that come of themselves", LIMIT, || {
        let playlist = stream.media("source")?;
        let hint = playlist.preload_hint.ok_or("no part is announced")?;
        let part = stream.http.fetch(&hint)?;
        pushed += u32::from(part.cache_status.starts_with("nova; hit"));
        (pushed == 8).then_some(()).ok_or(part.cache_status)
    });
    viewers.wait_played(begun + 4, LIMIT);
    assert_eq!(viewers.finish(), [""; 0]);
    // Nobody watches any more.
    wait_for("the end of the feeds", LIMIT, || {
        let feeds = media.metric("nova_origin_feeds")?;
        (feeds == 0.0).then_some(()).ok_or(format!("{feeds} feeds"))
    });
}

#[test]
fn an_edge_does_without() {
    let (site, media, edge) = start("false");
    let key = site.create_stream("garden");
    let _publisher = Encoder::small().publish(&media.rtmp_url(&key));
    let stream = Stream::new(edge.http(), "garden");
    stream.wait_live(&["source", "audio"], 2);
    let viewers = Crowd::start("garden", &[edge.address(Listener::Http)], 2);
    let begun = viewers.wait_begun(LIMIT);
    viewers.wait_played(begun + 2, LIMIT);
    assert_eq!(viewers.finish(), [""; 0]);
    let pushed = edge.metric("nova_edge_push_bytes_total").unwrap_or(0.0);
    assert_eq!(pushed, 0.0);
}
