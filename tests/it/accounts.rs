//! Accounts on the real server: from signing up to an open socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Http, Listener, Site};

/// How long a mail and an answer on a socket may take.
const SOON: Duration = Duration::from_secs(20);
/// What a frame has that closes a socket with 4401.
const UNAUTHORIZED: &[u8] = &4401_u16.to_be_bytes();

/// What follows `begin` in `text` until what no token has.
fn token_after(text: &str, begin: &str) -> Option<String> {
    let (_, after) = text.split_once(begin)?;
    let is_token = |c: &char| c.is_ascii_alphanumeric() || *c == '-' || *c == '_';
    Some(after.chars().take_while(is_token).collect())
}

#[test]
fn somebody_signs_up_logs_in_and_listens() {
    let nova = Site::new().serve().start();
    let http = nova.http();
    let password = "correct horse";
    let body = json!({ "name": "ada", "email": "ada@example.org", "password": password });
    http.post_value("/api/v1/registrations", &body, 202);
    // Without a mail server the mail is in the log.
    let token = nova
        .log()
        .wait_for("a mail", SOON, |line| token_after(line, "/verify#token="));
    let body = json!({ "token": token });
    http.post_value("/api/v1/registrations/verify", &body, 201);
    let body = json!({ "login": "ada", "password": password });
    let session = http.post_value("/api/v1/session", &body, 200);
    let access = session["access_token"].as_str().unwrap();
    assert_eq!(session["user"]["name"], "ada");

    let question = json!({ "query": "{ live { nodes { name } } }" });
    let answer = http.post_value("/graphql", &question, 200);
    assert_eq!(answer["data"]["live"]["nodes"], json!([]));
    let document = http.fetch("/openapi.json").unwrap();
    let document: Value = serde_json::from_slice(&document.body).unwrap();
    assert!(document["paths"]["/api/v1/session"].is_object());
    assert!(
        http.fetch("/docs")
            .unwrap()
            .text()
            .contains("API reference")
    );

    let _socket = listen(&http, access);
    // A server that ends does not wait for the socket.
    drop(nova);
}

/// Two processes on one database and one bus.
#[test]
fn s05_what_ends_a_login_closes_its_sockets_at_another_process() {
    let database = peers::postgres::database();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let nats = runtime.block_on(peers::nats::NatsServer::start());
    let site = Site::with_settings(&[
        ("NOVA__DATABASE__URL", database.url().as_str()),
        ("NOVA__EVENTS__URL", nats.url().as_str()),
    ]);
    let password = "correct horse";
    site.create_administrator("root", password);
    let start = || {
        let serve = site.serve();
        serve
            .roles("api", &[Listener::Http, Listener::Admin])
            .start()
    };
    let (here, there) = (start(), start());
    let log_in = |name: &str| here.http().log_in(name, password);
    let root = log_in("root");
    for (name, document) in [
        (
            "ada",
            "mutation { suspend(name: \"ada\", reason: \"Spam\") { name } }",
        ),
        ("grace", "mutation { logoutEverywhere }"),
    ] {
        site.create_user(name, password);
        let token = log_in(name);
        let mut socket = listen(&there.http(), &token);
        let whoever = if name == "ada" { &root } else { &token };
        let asked = here.http().bearing(whoever);
        let done = asked.post_value("/graphql", &json!({ "query": document }), 200);
        assert_eq!(done["errors"], Value::Null, "{done}");
        read_until(&mut socket, UNAUTHORIZED);
        let me = there.http().bearing(&token).get("/api/v1/me").unwrap();
        assert_eq!(me.status, 401, "{name}");
    }
}

/// Opens a socket for subscriptions.
fn listen(http: &Http, access: &str) -> TcpStream {
    let mut socket = TcpStream::connect(http.url("").trim_start_matches("http://")).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let request = "GET /graphql/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n";
    socket.write_all(request.as_bytes()).unwrap();
    read_until(&mut socket, b"\r\n\r\n");
    let bearer = format!("Bearer {access}");
    let init = json!({ "type": "connection_init", "payload": { "Authorization": bearer } });
    socket.write_all(&frame(&init.to_string())).unwrap();
    read_until(&mut socket, b"connection_ack");
    socket
}

/// A text from a client (RFC 6455 5.2), masked with zeros.
fn frame(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    let mut frame = vec![0x81, 0x80 | 126];
    frame.extend(length.to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}

fn read_until(socket: &mut TcpStream, bytes: &[u8]) {
    let (mut all, mut piece) = (Vec::new(), [0; 1024]);
    while !all.windows(bytes.len()).any(|some| some == bytes) {
        let read = socket.read(&mut piece).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&all));
        all.extend(&piece[..read]);
    }
}
