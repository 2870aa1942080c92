//! Databases: the tools, moving to PostgreSQL, and what a bad configuration says.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use peers::port::ReservedPort;

use crate::harness::{Encoder, Finished, Gate, Serve, Signal, Site, Stream, wait_for};

const LIMIT: Duration = Duration::from_secs(90);
const PASSWORD: &str = "for-tests-only";

fn sqlite_url(site: &Site) -> String {
    format!("sqlite:{}", site.data_dir().join("nova.db").display())
}

fn copy(site: &Site, to: &str, more: &[&str]) -> Finished {
    let from = sqlite_url(site);
    let arguments = ["db", "copy", "--from", &from, "--to", to];
    site.nova(&[&arguments, more].concat())
}

#[test]
fn a_laptop_moves_to_postgresql_by_one_command() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site.serve().start();
    let publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    Stream::new(nova.http(), "garden").wait_live(&["source", "audio"], 2);
    let last = Stream::new(nova.http(), "garden");
    let last = last.media("source").unwrap().open_number();
    // As a crash leaves it: the stream seems to be live.
    nova.signal(Signal::Kill);
    let mut nova = nova;
    nova.wait_exit();
    drop(publisher);

    let database = peers::postgres::database();
    site.keep_secret(PASSWORD);
    let sentence = copy(&site, &database.url(), &[]).failed_with_one_sentence();
    assert!(sentence.contains("the source is in use"), "{sentence}");
    assert!(sentence.contains("--force"), "{sentence}");
    let printed = copy(&site, &database.url(), &["--force"]).succeeded();
    assert!(printed.contains("copied users: 1 of 1 rows"), "{printed}");
    assert!(printed.contains("verified segments: "), "{printed}");
    let total = printed.lines().last().unwrap();
    assert!(
        total.contains("are the same in postgres://***@127.0.0.1"),
        "{total}"
    );
    assert!(!printed.contains(PASSWORD), "{printed}");

    // The same objects, the rows elsewhere.
    let url = database.url();
    let moved = [("NOVA__DATABASE__URL", url.as_str())];
    let checked = site.nova_with(&moved, &["db", "check"]).succeeded();
    assert!(
        checked.lines().last().unwrap().starts_with("sound: "),
        "{checked}"
    );
    let serve = site
        .serve()
        .variable("NOVA__DATABASE__URL", &database.url());
    let nova = serve.start();
    let _publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    wait_for("segments after those that were copied", LIMIT, || {
        let playlist = stream.media("source")?;
        let newest = playlist.segments.last().ok_or("no segment yet")?;
        (newest.number > last)
            .then_some(())
            .ok_or(format!("{}", newest.number))
    });
    let audio = stream.media("audio").unwrap();
    for segment in &audio.segments {
        let got = nova.http().fetch(&segment.uri);
        assert!(segment.gap || got.is_ok(), "{:?}", got.err());
    }
    // Somebody's own rows are not copied over.
    let sentence = copy(&site, &database.url(), &["--force"]).failed_with_one_sentence();
    assert!(sentence.contains("copy to an empty database"), "{sentence}");
}

#[test]
fn migrations_are_told() {
    let database = peers::postgres::database();
    for site in [Site::new(), Site::on_database(&database.url())] {
        let printed = site.nova(&["db", "migrate"]).succeeded();
        assert!(
            printed.starts_with("applied 1 accounts and streams\n"),
            "{printed}"
        );
        let printed = site.nova(&["db", "migrate"]).succeeded();
        assert_eq!(printed, "nothing to do: the tables are up to date");
        let printed = site.nova(&["db", "check"]).succeeded();
        assert!(printed.starts_with("sound: 0 rows"), "{printed}");
    }
}

#[test]
fn orphans_on_either_side_are_found() {
    let database = peers::postgres::database();
    let site = Site::on_database(&database.url());
    let key = site.create_stream("garden");
    let serve = site.serve().variable("NOVA__LIVE__GRACE_SECONDS", "0");
    let mut nova = serve.start();
    let publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    Stream::new(nova.http(), "garden").wait_live(&["source", "audio"], 3);
    drop(publisher);
    wait_for("the end of the broadcast", LIMIT, || {
        let ended = database.sql("SELECT COUNT(*) FROM live_sessions WHERE ended_at IS NOT NULL");
        (ended == "1").then_some(()).ok_or(ended)
    });
    nova.signal(Signal::Term);
    assert!(nova.wait_exit().success());
    // What the sweeper says when it has compared them itself.
    database.sql("UPDATE live_sessions SET settled_at = 1");
    let sound = site.nova(&["db", "check"]).succeeded();
    assert!(
        sound.contains("sound: ") && !sound.contains("sound: 0 rows"),
        "{sound}"
    );

    let folder = |below: &str| site.data_dir().join("objects/live").join(below);
    let stream = database.sql("SELECT id FROM streams");
    let source = folder(&format!("{stream}/0/source"));
    let number = database.sql("SELECT MIN(number) FROM segments WHERE rendition = 'source'");
    let number: u64 = number.parse().unwrap();
    fs::remove_file(source.join(format!("{number}.m4s"))).unwrap();
    let cut = source.join(format!("{}.m4s", number + 1));
    let size = fs::metadata(&cut).unwrap().len();
    fs::OpenOptions::new()
        .write(true)
        .open(&cut)
        .unwrap()
        .set_len(size - 1)
        .unwrap();
    fs::remove_file(folder(&format!("{stream}/0/audio/init.mp4"))).unwrap();
    fs::write(source.join("999999.m4s"), "an object").unwrap();
    fs::create_dir_all(folder("nobody")).unwrap();
    fs::write(folder("nobody/file"), "no key of ours").unwrap();
    let checked = site.nova(&["db", "check"]);
    assert_eq!(checked.status.code(), Some(1), "{}", checked.stdout);
    let mut lines: Vec<_> = checked.stdout.lines().collect();
    lines.sort_unstable();
    let base = format!("object live/{stream}/0");
    let mut expected = [
        format!("{base}/source/{number}.m4s is missing: a row says it is there"),
        format!(
            "{base}/source/{}.m4s has {} bytes: its row says {size}",
            number + 1,
            size - 1
        ),
        format!("{base}/audio/init.mp4 is missing: a row says it is there"),
        format!("{base}/source/999999.m4s is an orphan: no row says it is there"),
        "object live/nobody/file is an orphan: no row says it is there".to_owned(),
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
    assert_eq!(checked.stderr, "nova: there are 5 faults, see above");

    // Where it may come before its row, an object is no fault; below the floor nothing is.
    database.sql("UPDATE live_sessions SET settled_at = NULL");
    fs::remove_dir_all(folder("nobody")).unwrap();
    let kept = number + 2;
    database.sql(&format!("UPDATE streams SET kept_from = {kept}"));
    fs::write(folder(&format!("{stream}/0/audio/init.mp4")), "again").unwrap();
    let printed = site.nova(&["db", "check"]).succeeded();
    assert!(
        printed.starts_with("in progress: 1 objects have no row yet"),
        "{printed}"
    );
    assert!(printed.contains("\nsound: "), "{printed}");
}

#[test]
fn pictures_of_posts_are_compared_with_their_rows() {
    let database = peers::postgres::database();
    let site = Site::on_database(&database.url());
    site.create_user("ada", PASSWORD);
    let id = |number: u32| format!("01920000-0000-7000-8000-{number:012}");
    let [sound, missing, other_size, orphan, let_go, on_its_way] = [1, 2, 3, 4, 5, 6].map(id);
    for (id, size, let_go_at) in [
        (&sound, 8, "NULL"),
        (&missing, 8, "NULL"),
        (&other_size, 9, "NULL"),
        (&let_go, 8, "1"),
    ] {
        database.sql(&format!(
            "INSERT INTO images (id, owner_id, media_type, width, height, size, description,
                                 created_at, let_go_at)
             SELECT '{id}', id, 'image/jpeg', 1, 1, {size}, '', 0, {let_go_at} FROM users"
        ));
    }
    database.sql(&format!(
        "INSERT INTO jobs (id, queue, unique_key, payload, state, due_at, attempts, failures,
                           max_attempts, progress, cancel_requested, created_at)
         VALUES ('{}', 'drop-image', '{on_its_way}', '', 'ready', 0, 0, 0, 1, 0, FALSE, 0)",
        id(7)
    ));
    let put = |name: &str| {
        let file = site.data_dir().join("objects/images").join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "4444").unwrap();
    };
    for id in [&sound, &other_size, &let_go] {
        put(&format!("{id}/full.jpg"));
        put(&format!("{id}/preview.jpg"));
    }
    for name in [&missing, &orphan, &on_its_way] {
        put(&format!("{name}/full.jpg"));
    }
    put(&format!("{sound}/other.jpg"));
    put("nobody/full.jpg");
    let checked = site.nova(&["db", "check"]);
    let mut lines: Vec<_> = checked.stdout.lines().collect();
    lines.retain(|line| line.starts_with("object "));
    lines.sort_unstable();
    let mut expected = [
        format!("object images/{missing}/preview.jpg is missing: a row says it is there"),
        format!("object images/{other_size}/ has 8 bytes: its row says 9"),
        format!("object images/{orphan}/full.jpg is an orphan: no row says it is there"),
        format!("object images/{sound}/other.jpg is an orphan: no row says it is there"),
        "object images/nobody/full.jpg is an orphan: no row says it is there".to_owned(),
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
    assert_eq!(checked.stderr, "nova: there are 5 faults, see above");
}

/// What `nova serve` says of a database that it cannot use.
fn refused(site: &Site, url: &str) -> String {
    refused_by(site.serve(), url)
}

fn refused_by(serve: Serve, url: &str) -> String {
    let sentence = serve.variable("NOVA__DATABASE__URL", url).refused();
    println!("{sentence}");
    assert!(!sentence.contains(PASSWORD), "{sentence}");
    sentence
}

#[track_caller]
fn says(sentence: &str, all: &[&str]) {
    for said in all {
        assert!(sentence.contains(said), "{said}: {sentence}");
    }
}

#[test]
fn a_postgresql_that_cannot_be_used_says_what_to_do() {
    let site = Site::new();
    let database = peers::postgres::database();
    let url = database.url();
    assert!(url.contains(PASSWORD));

    let nobody = ReservedPort::any();
    let address = nobody.address().to_string();
    let sentence = refused(&site, &format!("postgres://nova:{PASSWORD}@{address}/nova"));
    says(
        &sentence,
        &[
            &address,
            "refused",
            "start it, or correct host and port in database.url",
        ],
    );

    let sentence = refused(
        &site,
        &format!("postgres://nova:{PASSWORD}@no-such-host.invalid/nova"),
    );
    says(
        &sentence,
        &[
            "no-such-host.invalid",
            "correct host and port in database.url",
        ],
    );

    let wrong = url.replace(PASSWORD, "another-password");
    let sentence = refused(&site, &wrong);
    says(
        &sentence,
        &[
            "password authentication failed",
            "correct the user and the password",
        ],
    );
    assert!(!sentence.contains("another-password"), "{sentence}");

    let (server, _) = url.rsplit_once('/').unwrap();
    let sentence = refused(&site, &format!("{server}/nowhere"));
    says(
        &sentence,
        &[
            "\"nowhere\" does not exist",
            "createdb --owner=nova nowhere",
        ],
    );

    for scheme in ["postgrse", "mysql"] {
        let sentence = refused(&site, &url.replacen("postgres", scheme, 1));
        says(&sentence, &[scheme, "expected sqlite:FILE or postgres://"]);
    }

    // Who may connect, and may not make tables.
    let guest = format!("guest_{}", std::process::id());
    database.sql(&format!("CREATE ROLE {guest} LOGIN PASSWORD '{PASSWORD}'"));
    let sentence = refused(&site, &url.replacen("nova:", &format!("{guest}:"), 1));
    database.sql(&format!("DROP ROLE {guest}"));
    says(
        &sentence,
        &["permission denied", "the owner of the database"],
    );

    site.nova_with(&[("NOVA__DATABASE__URL", &url)], &["db", "migrate"])
        .succeeded();
    database.sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', TRUE, '', 0)",
    );
    let sentence = refused(&site, &url);
    says(
        &sentence,
        &["migration 9999", "use the newer version of Nova"],
    );
}

#[test]
fn a_file_that_cannot_be_used_says_what_to_do() {
    let site = Site::new();
    let below = |path: &str| site.data_dir().join(path);
    let refused_at = |path: &str| refused(&site, &format!("sqlite:{}", below(path).display()));

    says(
        &refused_at("no/such/nova.db"),
        &["no/such is no directory", "make it"],
    );
    fs::write(below("a-file"), "").unwrap();
    says(&refused_at("a-file/nova.db"), &["a-file is no directory"]);
    fs::create_dir(below("a-folder")).unwrap();
    says(
        &refused_at("a-folder"),
        &["it is a directory", "a-folder/nova.db"],
    );
    fs::write(below("text"), "no database ".repeat(1_000)).unwrap();
    says(
        &refused_at("text"),
        &["file is not a database", "name another one"],
    );
    says(
        &refused(&site, "sqlite:"),
        &["it names no file", "expected sqlite:FILE"],
    );
    // A file system that nobody can write to.
    says(&refused(&site, "sqlite:/proc/nova.db"), &["write to /proc"]);
}

#[test]
fn a_directory_that_is_read_only_says_what_to_do() {
    let site = Site::new();
    site.nova(&["db", "migrate"]).succeeded();
    let folder = site.data_dir().join("read-only");
    fs::create_dir(&folder).unwrap();
    let url = |name: &str| format!("sqlite:{}", folder.join(name).display());
    fs::copy(site.data_dir().join("nova.db"), folder.join("old.db")).unwrap();
    fs::set_permissions(folder.join("old.db"), Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
    for name in ["new.db", "old.db"] {
        let sentence = refused_by(site.serve().without_privileges(), &url(name));
        says(
            &sentence,
            &[name, "let the user that runs Nova write to", "read-only"],
        );
    }
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_doctor_tells_of_the_database() {
    let database = peers::postgres::database();
    let free = [
        ("NOVA__HTTP__BIND", "127.0.0.1:0"),
        ("NOVA__INGEST__RTMP_BIND", "127.0.0.1:0"),
        ("NOVA__ADMIN__BIND", "127.0.0.1:0"),
    ];
    let line = |site: &Site, wanted: &str| {
        let report = site.nova_with(&free, &["doctor"]);
        let line = report
            .stdout
            .lines()
            .find(|line| line.contains(" database "));
        let line = line
            .unwrap_or_else(|| panic!("{}", report.stdout))
            .to_owned();
        assert!(line.starts_with(wanted), "{line}");
        assert!(!line.contains(PASSWORD), "{line}");
        line
    };
    let site = Site::on_database(&database.url());
    let before = line(&site, "ok ");
    says(
        &before,
        &[
            "PostgreSQL 1",
            " ms",
            "22 migrations to apply",
            "postgres://***@",
        ],
    );
    site.nova(&["db", "migrate"]).succeeded();
    says(&line(&site, "ok "), &["0 migrations to apply"]);
    let wrong = Site::on_database(&database.url().replace(PASSWORD, "another"));
    says(&line(&wrong, "FAULT"), &["password authentication failed"]);

    let site = Site::new();
    says(&line(&site, "ok "), &["nova.db will be made"]);
    site.nova(&["db", "migrate"]).succeeded();
    says(
        &line(&site, "ok "),
        &["SQLite 3.", " ms", "0 migrations to apply"],
    );
}

#[test]
fn readiness_follows_a_database_that_goes_and_comes_back() {
    let database = peers::postgres::database();
    let (gate, url) = Gate::before(&database.url());
    let site = Site::on_database(&url);
    site.keep_secret(PASSWORD);
    let nova = site.serve().start();
    let ready = |wanted: u16| {
        wait_for(&format!("{wanted} of /readyz"), LIMIT, || {
            let answer = nova.admin().get("/readyz")?;
            (answer.status == wanted)
                .then(|| answer.text())
                .ok_or(answer.text())
        })
    };
    ready(200);
    gate.close();
    let fault = ready(503);
    assert!(fault.contains("database"), "{fault}");
    assert!(!fault.contains(PASSWORD), "{fault}");
    assert_eq!(nova.admin().fetch("/healthz").unwrap().status, 200);
    gate.open();
    ready(200);
}
