//! Accounts, streams, database tools and the check of the machine.

use crate::harness::{Encoder, Site, Stream};

#[test]
fn accounts_and_streams_are_made_and_listed() {
    let site = Site::new();
    let first = site.create_stream("garden");
    let second = site.create_stream("kitchen");
    assert_ne!(first, second);
    let listed = site.nova(&["stream", "list"]).succeeded();
    let names: Vec<_> = listed
        .lines()
        .filter_map(|line| line.split('\t').next())
        .collect();
    assert_eq!(names, ["garden", "kitchen"], "{listed}");
    assert!(!listed.contains(&first), "a key is shown once");

    let refused = |arguments: &[&str]| site.nova(arguments).failed_with_one_sentence();
    let sentence = refused(&["stream", "create", "garden", "--owner", "broadcaster"]);
    assert!(sentence.contains("taken"), "{sentence}");
    let sentence = refused(&["stream", "create", "attic", "--owner", "nobody"]);
    assert!(sentence.contains("nobody"), "{sentence}");
    let sentence = refused(&["stream", "create", "No/Name", "--owner", "broadcaster"]);
    assert!(sentence.contains("No/Name"), "{sentence}");
}

#[test]
fn a_command_whose_reader_has_read_enough_does_its_work() {
    let site = Site::new();
    site.create_stream("garden");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let set = ["stream", "set", "garden", "--ladder", "360p:600k"];
    let output = site.command().args(set).stdout(writer).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaint.is_empty(),
        "{complaint}"
    );
    let shown = site.nova(&["stream", "show", "garden"]).succeeded();
    assert!(shown.contains("360p:600k"), "{shown}");
}

#[test]
fn a_command_that_cannot_write_fails() {
    let site = Site::new();
    let full = std::fs::File::options().write(true).open("/dev/full");
    let create = ["user", "create", "alice", "--email", "alice@example.org"];
    let output = site
        .command()
        .args(create)
        .stdout(full.unwrap())
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "a password was shown to nobody");
    assert!(
        complaint.starts_with("nova: standard output: ") && complaint.lines().count() == 1,
        "{complaint}"
    );
}

#[test]
fn an_account_without_a_password_gets_one() {
    let site = Site::new();
    let create = [
        "user",
        "create",
        "alice",
        "--email",
        "alice@example.org",
        "--admin",
    ];
    let printed = site.nova(&create).succeeded();
    assert!(printed.contains("alice"), "{printed}");
    assert!(
        printed.lines().any(|line| line.starts_with("password ")),
        "{printed}"
    );
    let sentence = site.nova(&create).failed_with_one_sentence();
    assert!(sentence.contains("taken"), "{sentence}");
}

#[test]
fn a_live_stream_is_listed_as_live() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site.serve().start();
    let listed = site.nova(&["stream", "list"]).succeeded();
    assert!(listed.contains("offline"), "{listed}");
    let _publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    Stream::new(nova.http(), "garden").wait_live(&["source", "audio"], 1);
    let listed = site.nova(&["stream", "list"]).succeeded();
    assert_eq!(listed, "garden\tbroadcaster\tlive");
}

#[test]
fn a_database_is_migrated_and_checked() {
    let site = Site::new();
    let missing = site.nova(&["db", "check"]).failed_with_one_sentence();
    assert!(missing.contains("nova.db"), "{missing}");
    site.nova(&["db", "migrate"]).succeeded();
    site.nova(&["db", "migrate"]).succeeded();
    site.nova(&["db", "check"]).succeeded();
    std::fs::write(
        site.data_dir().join("nova.db"),
        "no database ".repeat(1_000),
    )
    .unwrap();
    let damaged = site.nova(&["db", "check"]);
    assert_eq!(
        damaged.status.code(),
        Some(1),
        "{}{}",
        damaged.stdout,
        damaged.stderr
    );
}

#[test]
fn the_doctor_says_one_line_each_and_fails_on_a_fault() {
    let site = Site::new();
    let free = [
        ("NOVA__HTTP__BIND", "127.0.0.1:0"),
        ("NOVA__INGEST__RTMP_BIND", "127.0.0.1:0"),
        ("NOVA__ADMIN__BIND", "127.0.0.1:0"),
    ];
    let report = site.nova_with(&free, &["doctor"]).succeeded();
    for subject in [
        "engine",
        "codec",
        "http.bind",
        "database",
        "objects",
        "events",
    ] {
        assert!(
            report.lines().any(|line| line.contains(subject)),
            "{subject}: {report}"
        );
    }
    // What is marked so is missing and not asked for.
    let needed = |line: &&str| !line.starts_with("-- ");
    assert!(
        report
            .lines()
            .filter(needed)
            .all(|line| line.starts_with("ok ")),
        "{report}"
    );

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut faulty = free;
    faulty[0].1 = &address;
    let report = site.nova_with(&faulty, &["doctor"]);
    assert_eq!(report.status.code(), Some(1), "{}", report.stdout);
    let faults: Vec<_> = report
        .stdout
        .lines()
        .filter(needed)
        .filter(|line| !line.starts_with("ok "))
        .collect();
    assert_eq!(faults.len(), 1, "{}", report.stdout);
    assert!(faults[0].contains(&address), "{faults:?}");
}
