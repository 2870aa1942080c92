//! What decodes, scales and encodes is the operator's choice.

use crate::harness::{Encoder, Site, Stream};

#[test]
fn the_ladder_is_made_by_the_engine_that_is_asked_for() {
    for engine in ["ffmpeg", "gstreamer"] {
        let site = Site::new();
        let key = site.create_stream("garden");
        let nova = site
            .serve()
            .variable("NOVA__TRANSCODE__ENGINE", engine)
            .start();
        let _publisher = Encoder::default().publish(&nova.rtmp_url(&key));
        Stream::new(nova.http(), "garden").wait_live(&["source", "360p", "audio"], 2);
        let workers = nova.events("transcode worker started");
        let of_the_stream = workers.iter().filter(|event| event["stream"] == "garden");
        let engines: Vec<_> = of_the_stream.map(|event| &event["engine"]).collect();
        assert_eq!(engines, [engine], "{workers:?}");
    }
}

#[test]
fn a_device_that_is_not_there_is_told_and_software_does_its_work() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site
        .serve()
        .variable("NOVA__TRANSCODE__ENCODER", "nvenc")
        .start();
    let told = nova.log().find(|line| {
        let says = line.contains("transcode.encoder = nvenc does not work");
        says.then(|| line.clone())
    });
    assert!(told.is_some_and(|line| line.contains("software does its work")));
    let _publisher = Encoder::default().publish(&nova.rtmp_url(&key));
    Stream::new(nova.http(), "garden").wait_live(&["source", "360p", "audio"], 2);
}
