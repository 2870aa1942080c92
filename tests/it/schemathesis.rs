//! Whatever is asked, on both faces: Schemathesis makes requests from the schemas, right and
//! wrong ones, and looks at what is answered.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use social::caller::Scope;

use crate::harness::{Http, Nova, Process, Site};

/// Whom the requests are about: tests/schemathesis/schemathesis.toml names them.
const PEOPLE: [&str; 10] = [
    "ada", "bob", "cleo", "dan", "eve", "fay", "grace", "hal", "ida", "jon",
];
const PASSWORD: &str = "correct horse";
/// Who logs in there, and with what.
const LINUS: (&str, &str) = ("linus", "penguins on ice");

/// Far above what is asked here.
const GENEROUS: &str = "1000000";

/// Operations that an API token does not do; those that end the login are left out.
const OF_LOGINS: [&str; 8] = [
    "list_sessions",
    "change_password",
    "change_email",
    "delete_account",
    "export_account",
    "list_api_tokens",
    "create_api_token",
    "revoke_api_token",
];
const FIELDS_OF_LOGINS: [&str; 6] = [
    "Mutation.changePassword",
    "Mutation.changeEmail",
    "Mutation.deleteAccount",
    "Mutation.createApiToken",
    "Mutation.revokeApiToken",
    "Query.exportAccount",
];

/// What cannot be done without knowing something, or is prevented by what was done before; all
/// else is done at least once.
const NEVER_DONE: [&str; 33] = [
    // A link of a mail, a refresh token, the password.
    "POST /api/v1/registrations/verify",
    "Mutation.verifyEmail",
    "POST /api/v1/me/email/confirm",
    "Mutation.confirmEmail",
    "POST /api/v1/password-resets/confirm",
    "Mutation.resetPassword",
    "Mutation.refresh",
    "PUT /api/v1/me/email",
    "Mutation.changeEmail",
    "PUT /api/v1/me/password",
    "Mutation.changePassword",
    "DELETE /api/v1/me",
    "Mutation.deleteAccount",
    // They end the login, or are about one of the caller's.
    "DELETE /api/v1/me/sessions",
    "DELETE /api/v1/me/sessions/{id}",
    "Mutation.logoutEverywhere",
    "Mutation.endSession",
    "Mutation.revokeApiToken",
    // A file beside the document; a name that is as good as random.
    "Mutation.setAvatar",
    "Mutation.uploadImage",
    "GET /avatars/{user}/{file}",
    "GET /images/{image}/{file}",
    // Nobody has asked to follow, and all are blocked soon.
    "DELETE /api/v1/me/follow-requests/{name}",
    "PUT /api/v1/me/follow-requests/{name}",
    "DELETE /api/v1/me/followers/{name}",
    "Mutation.acceptFollow",
    "Mutation.refuseFollow",
    "Mutation.removeFollower",
    "Mutation.follow",
    // Nobody is live.
    "POST /api/v1/streams/{name}/viewers",
    "PUT /api/v1/streams/{name}/viewers/{id}",
    "Mutation.joinStream",
    "Mutation.stayInStream",
];

/// What a long round uses up before: names, tokens, exports of an hour, people who are not blocked.
const USED_UP: [&str; 4] = [
    "Mutation.register",
    "Mutation.createApiToken",
    "Query.exportAccount",
    "PUT /api/v1/users/{name}/follow",
];

/// How much is asked.
enum Effort {
    /// The same each time.
    Short,
    /// Much, and never the same: what it prints begins it again.
    Long,
}

impl Effort {
    /// How long one of its runs may take.
    fn limit(&self) -> Duration {
        Duration::from_secs(match self {
            Self::Short => 60,
            Self::Long => 1_200,
        })
    }

    fn arguments(&self) -> &[&str] {
        match self {
            Self::Short => &[
                "--phases=coverage,fuzzing",
                "--max-examples=12",
                "--generation-deterministic",
                "--no-shrink",
            ],
            Self::Long => &[
                "--phases=coverage,fuzzing,stateful",
                "--max-examples=400",
                "--no-shrink",
            ],
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis")
}

/// A server with some people, none of whom asks too often.
fn serve(site: &Site) -> Nova {
    site.create_administrator("root", PASSWORD);
    for name in PEOPLE {
        site.create_user(name, PASSWORD);
    }
    let (name, password) = LINUS;
    site.create_user(name, password);
    let mut serve = site.serve();
    for limit in [
        "REQUESTS_PER_MINUTE",
        "VIEWERS_PER_MINUTE",
        "WRITES_PER_MINUTE",
        "POSTS_PER_HOUR",
        "EDITS_PER_HOUR",
        "LOGINS_PER_MINUTE_PER_ACCOUNT",
        "LOGINS_PER_MINUTE_PER_ADDRESS",
        "REGISTRATIONS_PER_HOUR_PER_ADDRESS",
        "RESETS_PER_HOUR_PER_ADDRESS",
        "MAILS_PER_HOUR_PER_RECIPIENT",
    ] {
        serve = serve.variable(&format!("NOVA__API__LIMITS__{limit}"), GENEROUS);
    }
    serve.start()
}

/// An administrator's API token: it is good for as long as this takes.
fn api_token(http: &Http, login: &str) -> String {
    let body = json!({ "name": "schemathesis", "scopes": Scope::ALL });
    let made = http
        .bearing(login)
        .post_value("/api/v1/me/tokens", &body, 201);
    made["token"].as_str().unwrap().to_owned()
}

/// Things of an administrator, of which each face has its own: no made-up id is one of them.
fn known(http: &Http, login: &str) -> Value {
    let http = http.bearing(login);
    let make = |path: &str, body: &Value| -> Value {
        let made = http.post_json(path, &body.to_string()).unwrap();
        assert!((200..300).contains(&made.status), "{path}: {}", made.text());
        serde_json::from_slice(&made.body).unwrap()
    };
    let ids = |count, path: &str, body: &dyn Fn(usize) -> Value| {
        let id = |number| make(path, &body(number))["id"].clone();
        (0..count).map(id).collect::<Vec<_>>()
    };
    let streams = (0..40).map(|number| {
        let name = format!("stream-{number}");
        let created = make("/api/v1/streams", &json!({ "name": name }));
        let messages = format!("/api/v1/streams/{name}/chat/messages");
        let message = make(&messages, &json!({ "text": "Hello" }));
        json!({ "name": name, "key": created["stream_key"]["id"], "message": message["id"] })
    });
    let streams: Vec<_> = streams.collect();
    json!({
        "streams": streams,
        "posts": ids(40, "/api/v1/posts", &|number| json!({ "text": format!("Post {number} #rust") })),
        "reports": ids(20, "/api/v1/reports", &|_| json!({ "user": "ada", "reason": "other" })),
        "purges": ids(4, "/api/v1/cdn/purges", &|number| {
            json!({ "kind": "stream", "subject": format!("stream-{number}") })
        }),
        "prewarms": ids(4, "/api/v1/cdn/prewarms", &|number| {
            json!({ "urls": [format!("/live/stream-{number}/index.m3u8")] })
        }),
        "assets": ids(16, "/api/v1/cdn/assets", &|number| {
            json!({
                "name": format!("Files {number}"),
                "path_prefix": format!("/files/{number}/"),
                "kind": "other",
                "access": "public",
            })
        }),
    })
}

/// Both faces of a server, and what is asked of them.
struct Asked {
    nova: Nova,
    effort: Effort,
    /// What is there.
    known: Value,
    /// Where it is written which operations were asked for, and which were done.
    operations: PathBuf,
}

impl Asked {
    /// Asks as whoever has the token, and fails unless all answers were as they should be.
    fn ask(&self, path: &str, token: &str, options: &[&str]) {
        self.nova.site().keep_secret(token);
        let mut command = Command::new(folder().join(".venv/bin/schemathesis"));
        command
            .current_dir(folder())
            .env("OPERATIONS_FILE", &self.operations)
            .env("KNOWN", self.known.to_string())
            .args(["run", &self.nova.http().url(path), "--no-color"])
            .args(["--header", &format!("Authorization: Bearer {token}")])
            .args(self.effort.arguments())
            .args(options);
        let mut run = Process::start("schemathesis", &mut command);
        let status = run.wait_exit(self.effort.limit());
        let (stdout, stderr) = run.output();
        println!("{}", stdout.join("\n"));
        assert!(status.success(), "{status}\n{}", stderr.join("\n"));
        // It was somebody who may do everything, to the end.
        let me = self.nova.http().bearing(token).fetch("/api/v1/me").unwrap();
        let me: Value = serde_json::from_slice(&me.body).unwrap();
        assert_eq!(me["role"], "admin");
    }

    /// Fails if something was never done that can be.
    fn check_what_was_done(&self) {
        let lines = std::fs::read_to_string(&self.operations).unwrap();
        let of = |kind: &str| -> BTreeSet<&str> {
            let lines = lines.lines().filter_map(|line| line.strip_prefix(kind));
            lines.collect()
        };
        let (done, asked) = (of("done "), of("asked "));
        assert!(done.len() > 40, "{done:?}");
        let mut excused = BTreeSet::from(NEVER_DONE);
        if matches!(self.effort, Effort::Long) {
            excused.extend(USED_UP);
        }
        // Each is the name of something that was tried.
        let all = &asked | &done;
        let misspelt: Vec<_> = excused.difference(&all).collect();
        assert!(misspelt.is_empty(), "no operations: {misspelt:?}");
        let never: BTreeSet<_> = asked.difference(&done).copied().collect();
        let never: Vec<_> = never.difference(&excused).collect();
        assert!(never.is_empty(), "never done: {never:?}");
    }
}

fn ask_both_faces(site: Site, effort: Effort) {
    let nova = serve(&site);
    let http = nova.http();
    let login = http.log_in("root", PASSWORD);
    let api_token = api_token(&http, &login);
    let known = known(&http, &login);
    let asked = Asked {
        nova,
        effort,
        known,
        operations: site.data_dir().join("operations"),
    };
    let rest_checks = "--exclude-checks=graphql_errors_are_the_clients";
    let graphql_checks = "--checks=graphql_errors_are_the_clients";
    asked.ask("/openapi.json", &api_token, &[rest_checks]);
    asked.ask("/graphql", &api_token, &[graphql_checks]);
    let ids = OF_LOGINS.iter();
    let mut options: Vec<_> = ids.flat_map(|id| ["--include-operation-id", id]).collect();
    options.push(rest_checks);
    asked.ask("/openapi.json", &http.log_in("root", PASSWORD), &options);
    let names = FIELDS_OF_LOGINS.iter();
    let mut options: Vec<_> = names.flat_map(|name| ["--include-name", name]).collect();
    options.push(graphql_checks);
    asked.ask("/graphql", &http.log_in("root", PASSWORD), &options);

    asked.check_what_was_done();
    // What went wrong there is told to the log and to nobody else.
    let faults = asked.nova.events("request failed");
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn whatever_is_asked_is_answered_as_the_schemas_say() {
    ask_both_faces(Site::new(), Effort::Short);
}

#[test]
fn long_whatever_is_asked_is_answered_as_the_schemas_say() {
    ask_both_faces(Site::new(), Effort::Long);
}

#[test]
fn long_whatever_is_asked_is_answered_as_the_schemas_say_on_postgresql() {
    let database = peers::postgres::database();
    ask_both_faces(Site::on_database(&database.url()), Effort::Long);
}
