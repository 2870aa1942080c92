//! Settings: `nova config check`, unknown keys, and what this version does not have.

use peers::port::ReservedPort;

use crate::harness::Site;

#[test]
fn config_check_prints_effective_values_and_hides_secrets() {
    let site = Site::new();
    let file = site.data_dir().join("other.toml");
    std::fs::write(&file, "[live]\ngrace_seconds = 7\nwindow_segments = 6\n").unwrap();
    let file = file.to_str().unwrap();
    let printed = site
        .nova_with(
            &[
                ("NOVA__LIVE__GRACE_SECONDS", "9"),
                (
                    "NOVA__EVENTS__URL",
                    "nats://nova:pa55word@events.example.org",
                ),
            ],
            &["config", "check", "--config", file],
        )
        .succeeded();
    assert!(printed.contains("grace_seconds = 9"), "{printed}");
    assert!(printed.contains("window_segments = 6"), "{printed}");
    assert!(printed.contains("segment_seconds = 2"), "{printed}");
    assert!(printed.contains("nova.db"), "{printed}");
    assert!(
        printed.contains("nats://***@events.example.org"),
        "{printed}"
    );
    assert!(!printed.contains("pa55word"), "{printed}");
}

#[test]
fn the_secret_of_hooks_is_not_told() {
    let site = Site::new();
    let secret = "hooked-on-a-feeling";
    let hooks = [
        ("NOVA__HOOKS__SECRET", secret),
        ("NOVA__HOOKS__ADDRESSES", "127.0.0.1, 10.0.0.0/8"),
    ];
    let printed = site.nova_with(&hooks, &["config", "check"]).succeeded();
    assert!(printed.contains("10.0.0.0/8"), "{printed}");
    assert!(!printed.contains(secret), "{printed}");
    let sentence = site
        .nova_with(&hooks[..1], &["config", "check"])
        .failed_with_one_sentence();
    assert!(sentence.contains("hooks.addresses"), "{sentence}");
    let file = site.data_dir().join("nova.toml");
    std::fs::write(&file, "[hooks]\nsecret = 1234567890123456\n").unwrap();
    let sentence = site.nova(&["config", "check"]).failed_with_one_sentence();
    assert!(sentence.contains("hooks.secret"), "{sentence}");
    assert!(!sentence.contains("1234567890123456"), "{sentence}");
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    let site = Site::new();
    let file = site.data_dir().join("nova.toml");
    std::fs::write(&file, "[live]\ngrace_secs = 7\n").unwrap();
    let sentence = site.nova(&["config", "check"]).failed_with_one_sentence();
    assert!(sentence.contains("live.grace_secs"), "{sentence}");
    assert!(
        sentence.contains("did you mean live.grace_seconds?"),
        "{sentence}"
    );

    std::fs::remove_file(file).unwrap();
    let serve = site
        .serve()
        .variable("NOVA__INGEST__RTMP_BND", "127.0.0.1:0");
    let sentence = serve.refused();
    assert!(
        sentence.contains("did you mean NOVA__INGEST__RTMP_BIND?"),
        "{sentence}"
    );
}

#[test]
fn the_graphql_schema_is_printed() {
    let site = Site::new();
    let schema = site.nova(&["schema", "graphql"]).succeeded();
    assert!(schema.contains("type Mutation {"), "{schema}");
}

#[test]
fn an_object_store_that_cannot_be_used_says_what_to_do() {
    let site = Site::new();
    let file = site.data_dir().join("a-file");
    std::fs::write(&file, "").unwrap();
    let url = format!("file:{}", file.display());
    let sentence = site.serve().variable("NOVA__OBJECTS__URL", &url).refused();
    assert!(sentence.contains("not a directory"), "{sentence}");

    let nobody = ReservedPort::any();
    let endpoint = format!("http://{}", nobody.address());
    let sentence = site
        .serve()
        .variable("NOVA__OBJECTS__URL", "s3://bucket/prefix")
        .variable("NOVA__OBJECTS__S3_ENDPOINT", &endpoint)
        .variable("AWS_ACCESS_KEY_ID", "an-id")
        .variable("AWS_SECRET_ACCESS_KEY", "pa55word")
        .refused();
    assert!(sentence.contains("cannot reach"), "{sentence}");
    assert!(sentence.contains(&endpoint), "{sentence}");
    assert!(!sentence.contains("pa55word"), "{sentence}");
}

#[test]
fn an_event_server_that_cannot_be_used_says_what_to_do() {
    let site = Site::new();
    let nobody = ReservedPort::any();
    let address = nobody.address();
    let url = format!("nats://nova:pa55word@{address}");
    let sentence = site.serve().variable("NOVA__EVENTS__URL", &url).refused();
    assert!(sentence.contains(&address.to_string()), "{sentence}");
    assert!(sentence.contains("events.url"), "{sentence}");
    assert!(!sentence.contains("pa55word"), "{sentence}");
}

#[test]
fn a_port_in_use_is_named() {
    let site = Site::new();
    for (variable, listener) in [
        ("NOVA__HTTP__BIND", "http"),
        ("NOVA__INGEST__RTMP_BIND", "rtmp"),
        ("NOVA__ADMIN__BIND", "admin"),
    ] {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let sentence = site.serve().variable(variable, &address).refused();
        assert!(sentence.contains(&address), "{listener}: {sentence}");
        assert!(
            sentence.to_lowercase().contains(listener),
            "{listener}: {sentence}"
        );
    }
}
