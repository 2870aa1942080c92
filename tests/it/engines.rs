//! What decodes, scales and encodes is the operator's choice.

use std::time::Duration;

use crate::harness::{Encoder, Nova, Site, Stream, wait_for, wait_until};

/// Waits until the server knows whether it can use `engine`: epochs wait for 2 s at most.
fn wait_known(nova: &Nova, engine: &str) {
    let words =
        [" can be used", " cannot be used"].map(|what| format!("the engine {engine}{what}"));
    wait_until("what an engine has", Duration::from_secs(60), || {
        let lines = nova.log().all();
        lines
            .iter()
            .any(|line| words.iter().any(|words| line.contains(words)))
    });
}

/// The engines of a stream's workers, first to last.
fn engines(nova: &Nova, stream: &str) -> Vec<String> {
    let workers = nova.events("transcode worker started");
    let ours = workers.iter().filter(|event| event["stream"] == stream);
    ours.map(|event| event["engine"].as_str().unwrap().to_owned())
        .collect()
}

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
        assert_eq!(engines(&nova, "garden"), [engine]);
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

#[test]
fn each_stream_has_the_engine_that_is_asked_for() {
    let site = Site::new();
    let (garden, harbour) = (site.create_stream("garden"), site.create_stream("harbour"));
    let set = |arguments: &[&str]| {
        let set = site.nova(&[&["stream", "set"], arguments].concat());
        set.succeeded()
    };
    // One is known when the server starts, the other is set while it runs.
    set(&["garden", "--engine", "gstreamer"]);
    let nova = site
        .serve()
        .variable("NOVA__TRANSCODE__LADDER", "economy")
        .start();
    wait_known(&nova, "gstreamer");
    let shown = set(&["harbour", "--engine", "ffmpeg", "--encoder", "nvenc"]);
    assert!(shown.contains("encoder      nvenc\n"), "{shown}");
    let small = Encoder {
        size: (640, 360),
        ..Encoder::default()
    };
    let _publishers = [&garden, &harbour].map(|key| small.publish(&nova.rtmp_url(key)));
    for name in ["garden", "harbour"] {
        let names: &[_] = &["source", "240p", "audio"];
        let stream = Stream::new(nova.http(), name);
        stream.wait_live(names, 2);
        wait_for("a segment that is no gap", Duration::from_secs(60), || {
            let rung = stream.media("240p")?;
            let made = rung.segments.iter().any(|segment| !segment.gap);
            made.then_some(()).ok_or(format!("{name} has none"))
        });
    }
    assert_eq!(engines(&nova, "garden"), ["gstreamer"]);
    assert_eq!(engines(&nova, "harbour"), ["ffmpeg"]);
    // There is no such device here, and one line says so.
    let sentence = "nvenc does not work, and software does its work";
    let lines = nova.log().all();
    let told: Vec<_> = lines
        .iter()
        .filter(|line| line.contains(sentence))
        .collect();
    assert!(
        matches!(told[..], [line] if line.contains("harbour")),
        "{told:?}"
    );
}

#[test]
fn an_engine_that_lacks_something_is_told_and_the_configured_one_does_its_work() {
    let site = Site::new();
    let key = site.create_stream("garden");
    site.nova(&["stream", "set", "garden", "--engine", "gstreamer"])
        .succeeded();
    // GStreamer finds no plugin here.
    let folder = site.data_dir().join("plugins");
    std::fs::create_dir(&folder).unwrap();
    let (folder, registry) = (folder.to_str().unwrap(), site.data_dir().join("registry"));
    let nova = site
        .serve()
        .variable("GST_PLUGIN_PATH", folder)
        .variable("GST_PLUGIN_SYSTEM_PATH", folder)
        .variable("GST_REGISTRY", registry.to_str().unwrap())
        .start();
    wait_known(&nova, "gstreamer");
    let _publisher = Encoder::default().publish(&nova.rtmp_url(&key));
    Stream::new(nova.http(), "garden").wait_live(&["source", "360p", "audio"], 2);
    assert_eq!(engines(&nova, "garden"), ["ffmpeg"]);
    let lines = nova.log().all();
    let sentence = "gstreamer cannot be used, and ffmpeg does its work";
    let told: Vec<_> = lines
        .iter()
        .filter(|line| line.contains(sentence))
        .collect();
    let [told] = told[..] else { panic!("{told:?}") };
    for word in ["garden", "x264enc", "install"] {
        assert!(told.contains(word), "{told}");
    }
}
