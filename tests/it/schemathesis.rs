//! Whatever is asked, on both faces: Schemathesis makes requests from the schemas, right and
//! wrong ones, and looks at what is answered.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Http, Nova, Process, Site};

/// How long it may take.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(3_000);

const PASSWORD: &str = "correct horse";

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
const FIELDS_OF_LOGINS: [&str; 5] = [
    "Mutation.changePassword",
    "Mutation.changeEmail",
    "Mutation.deleteAccount",
    "Mutation.createApiToken",
    "Mutation.revokeApiToken",
];

/// How much is asked.
enum Effort {
    /// The same each time.
    Short,
    /// Much, and never the same: what it prints begins it again.
    Long,
}

impl Effort {
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
fn serve(site: Site) -> Nova {
    for (name, options) in [
        ("root", &["--admin"][..]),
        ("ada", &[]),
        ("grace", &[]),
        ("eve", &[]),
    ] {
        let email = format!("{name}@example.org");
        let mut command = site.command();
        command.args(["user", "create", name, "--email", &email]);
        site.finish(command.args(options), PASSWORD).succeeded();
    }
    let mut serve = site.serve();
    for limit in [
        "REQUESTS_PER_MINUTE",
        "WRITES_PER_MINUTE",
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
    let scopes = [
        "account:read",
        "account:write",
        "people:read",
        "people:write",
        "moderation",
        "admin",
    ];
    let body = json!({ "name": "schemathesis", "scopes": scopes });
    let made = http.bearing(login);
    let made = made.post_json("/api/v1/me/tokens", &body.to_string());
    let made = made.unwrap();
    let made: Value = serde_json::from_slice(&made.body).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

fn log_in(http: &Http) -> String {
    let body = json!({ "login": "root", "password": PASSWORD });
    let answer = http
        .post_json("/api/v1/session", &body.to_string())
        .unwrap();
    let session: Value = serde_json::from_slice(&answer.body).unwrap();
    session["access_token"].as_str().unwrap().to_owned()
}

/// Asks as whoever has the token, and fails unless all answers were as they should be.
fn ask(nova: &Nova, path: &str, token: &str, effort: &Effort, options: &[&str]) {
    let mut command = Command::new(folder().join(".venv/bin/schemathesis"));
    command
        .current_dir(folder())
        .args(["run", &nova.http().url(path), "--no-color"])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(effort.arguments())
        .args(options);
    let mut run = Process::start("schemathesis", &mut command);
    let status = run.wait_exit(LIMIT);
    let (stdout, stderr) = run.output();
    println!("{}", stdout.join("\n"));
    assert!(status.success(), "{status}\n{}", stderr.join("\n"));
    // It was let in to the end.
    let me = nova.http().bearing(token).get("/api/v1/me").unwrap();
    assert_eq!(me.status, 200, "{}", me.text());
}

fn ask_both_faces(site: Site, effort: &Effort) {
    let nova = serve(site);
    let http = nova.http();
    let api_token = api_token(&http, &log_in(&http));
    let rest_checks = "--exclude-checks=graphql_errors_are_the_clients";
    let graphql_checks = "--checks=graphql_errors_are_the_clients";
    ask(&nova, "/openapi.json", &api_token, effort, &[rest_checks]);
    ask(&nova, "/graphql", &api_token, effort, &[graphql_checks]);
    let mut rest = vec![rest_checks];
    rest.extend(
        OF_LOGINS
            .iter()
            .flat_map(|id| ["--include-operation-id", id]),
    );
    ask(&nova, "/openapi.json", &log_in(&http), effort, &rest);
    let mut graphql = vec![graphql_checks];
    graphql.extend(
        FIELDS_OF_LOGINS
            .iter()
            .flat_map(|name| ["--include-name", name]),
    );
    ask(&nova, "/graphql", &log_in(&http), effort, &graphql);
    // What went wrong there is told to the log and to nobody else.
    let faults = nova.events("request failed");
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn whatever_is_asked_is_answered_as_the_schemas_say() {
    ask_both_faces(Site::new(), &Effort::Short);
}

#[test]
fn long_whatever_is_asked_is_answered_as_the_schemas_say() {
    ask_both_faces(Site::new(), &Effort::Long);
}

#[test]
fn long_whatever_is_asked_is_answered_as_the_schemas_say_on_postgresql() {
    let database = peers::postgres::database();
    ask_both_faces(Site::on_database(&database.url()), &Effort::Long);
}
