//! Another RTMP server asks who may publish, byte for byte as nginx-rtmp does.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Engine, Http, Nova, Site};

const PASSWORD: &str = "correct horse";
const SECRET: &str = "known-to-two-servers";
const LIMIT: Duration = Duration::from_secs(30);

on_both_engines! {
    a_key_is_good_there_as_long_as_it_is_here,
    hooks_are_answered_to_whom_they_are_for,
}

/// A server that answers hooks which are asked from `addresses`, and ada's login.
fn start(engine: Engine, addresses: &str) -> (Site, Nova, Http) {
    let settings = [
        ("NOVA__HOOKS__SECRET", SECRET),
        ("NOVA__HOOKS__ADDRESSES", addresses),
    ];
    let site = Site::on_with(engine, &settings);
    site.keep_secret(SECRET);
    site.create_administrator("root", PASSWORD);
    site.create_user("ada", PASSWORD);
    let nova = site.serve().start();
    let http = nova.http();
    let ada = http.bearing(&http.log_in("ada", PASSWORD));
    (site, nova, ada)
}

/// Makes a stream, and gives its key and the key's id.
fn make(site: &Site, owner: &Http, name: &str) -> (String, String) {
    let made = owner.post_value("/api/v1/streams", &json!({ "name": name }), 201);
    let key = made["key"].as_str().unwrap().to_owned();
    site.keep_secret(&key);
    (key, made["stream_key"]["id"].as_str().unwrap().to_owned())
}

/// The status and the `Location` of the answer to a call about `name`, which a publisher has
/// put `arguments` behind.
fn call(
    nova: &Nova,
    secret: &str,
    hook: &str,
    call: &str,
    name: &str,
    arguments: &str,
) -> (u16, String) {
    let mut body = format!(
        "app=live&flashver=FMLE/3.0%20(compatible%3B%20FMSc/1.0)&swfurl=&\
         tcurl=rtmp://media.example.org:1935/live&pageurl=&addr=192.0.2.7&clientid=1&\
         call={call}&name={name}&type=live"
    );
    if !arguments.is_empty() {
        body = format!("{body}&{arguments}");
    }
    let address = nova.address(crate::harness::Listener::Http);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let request = format!(
        "POST /hooks/{hook}?secret={secret} HTTP/1.0\r\nHost: {address}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nConnection: Close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    // It reads the tenth character, and the fields by their names.
    let status = answer.get(9..12).and_then(|text| text.parse().ok());
    let location = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location")
            .then(|| value.trim().to_owned())
    });
    let status = status.unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (status, location.unwrap_or_default())
}

fn publish(nova: &Nova, name: &str, arguments: &str) -> (u16, String) {
    call(nova, SECRET, "on_publish", "publish", name, arguments)
}

fn a_key_is_good_there_as_long_as_it_is_here(engine: Engine) {
    let (site, nova, ada) = start(engine, "127.0.0.1");
    let (key, id) = make(&site, &ada, "engines");
    let renamed = (302, "engines".to_owned());
    let allowed = (200, String::new());
    assert_eq!(publish(&nova, &key, ""), renamed);
    let argument = format!("key={key}");
    assert_eq!(publish(&nova, "engines", &argument), allowed);
    assert_eq!(publish(&nova, "another", &argument), renamed);
    assert_eq!(publish(&nova, "engines", "").0, 403);
    assert_eq!(publish(&nova, "engines", "key=wrong").0, 403);
    assert_eq!(publish(&nova, "wrong", &format!("name={key}")).0, 403);
    let keys = ada.fetch("/api/v1/streams/engines/keys").unwrap();
    let keys: Value = serde_json::from_slice(&keys.body).unwrap();
    assert_ne!(keys["keys"][0]["last_used_at"], Value::Null);
    // Nothing is live here by it.
    let live = nova.http().fetch("/api/v1/live").unwrap();
    assert_eq!(live.text(), r#"{"streams":[],"next":null}"#);
    let goes_on = |name: &str| call(&nova, SECRET, "on_update", "update_publish", name, "").0;
    assert_eq!(goes_on(&key), 200);

    // Stopped, rotated with and without a grace period, of a suspended owner.
    assert_eq!(ada.put("/api/v1/streams/engines/stop").unwrap().status, 200);
    assert_eq!(publish(&nova, &key, "").0, 403);
    assert_eq!(goes_on(&key), 403);
    assert_eq!(
        ada.put("/api/v1/streams/engines/start").unwrap().status,
        200
    );
    assert_eq!(publish(&nova, &key, ""), renamed);
    let rotate = |id: &str, seconds: u32| {
        let path = format!("/api/v1/streams/engines/keys/{id}/rotate");
        let made = ada.post_value(&path, &json!({ "grace_seconds": seconds }), 201);
        let key = made["key"].as_str().unwrap().to_owned();
        site.keep_secret(&key);
        (key, made["stream_key"]["id"].as_str().unwrap().to_owned())
    };
    let (second, second_id) = rotate(&id, 3_600);
    assert_eq!(publish(&nova, &key, ""), renamed);
    assert_eq!(publish(&nova, &second, ""), renamed);
    let (third, _) = rotate(&second_id, 0);
    assert_eq!(publish(&nova, &second, "").0, 403);
    assert_eq!(publish(&nova, &third, ""), renamed);
    let http = nova.http();
    let root = http.bearing(&http.log_in("root", PASSWORD));
    let ban = json!({ "query": "mutation { suspend(name: \"ada\", reason: \"x\") { name } }" });
    let done = root.post_value("/graphql", &ban, 200);
    assert_eq!(done["errors"], Value::Null, "{done}");
    assert_eq!(publish(&nova, &third, "").0, 403);

    // The end is taken note of, whoever it was.
    for name in [&key, "anything"] {
        let done = call(&nova, SECRET, "on_publish_done", "publish_done", name, "");
        assert_eq!(done.0, 200);
    }
    let noted = "nova_hook_calls_total{call=\"on_publish_done\",outcome=\"noted\"}";
    assert_eq!(nova.metric(noted).unwrap(), 2.0);
}

fn hooks_are_answered_to_whom_they_are_for(engine: Engine) {
    let (site, nova, ada) = start(engine, "127.0.0.1");
    let (key, _) = make(&site, &ada, "engines");
    for secret in ["", "known-to-two-server", "KNOWN-TO-TWO-SERVERS"] {
        let refused = call(&nova, secret, "on_publish", "publish", &key, "");
        assert_eq!(refused, (401, String::new()));
    }
    // A publisher's arguments are no secret of the server's.
    let argument = format!("secret={SECRET}");
    let refused = call(&nova, "", "on_publish", "publish", &key, &argument);
    assert_eq!(refused.0, 401);
    assert_eq!(publish(&nova, &key, "").0, 302);
    drop(nova);

    let (site, nova, ada) = start(engine, "192.0.2.0/24,2001:db8::/32");
    let (key, _) = make(&site, &ada, "engines");
    assert_eq!(publish(&nova, &key, ""), (403, String::new()));
}

#[test]
fn nobody_is_answered_unless_it_is_configured() {
    let nova = Site::new().serve().start();
    let refused = call(&nova, SECRET, "on_publish", "publish", "a", "");
    assert_eq!(refused, (404, String::new()));
}
