//! A whole life on the real server, with a real encoder: from signing up to the end of it, the same
//! by REST and by GraphQL.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::{
    Encoder, Engine, Face, Graphql, Http, Nova, Person, Rest, Site, Socket, WARM_UP, wait_for,
};

const PASSWORD: &str = "correct horse";
/// How long something may take that has to happen at once, on a busy machine.
const SOON: Duration = Duration::from_secs(30);
/// What a subscription is asked for.
const SAID: &str = "subscription { chat(stream: \"garden\", after: 0) {
    __typename ... on ChatSaid { message { text author { name } } } } }";
/// The code of a socket whose session has ended.
const UNAUTHORIZED: u16 = 4401;

on_both_engines! {
    a_whole_life_by_rest,
    a_whole_life_by_graphql,
}

fn a_whole_life_by_rest(engine: Engine) {
    walk(engine, Face::Rest);
}

fn a_whole_life_by_graphql(engine: Engine) {
    walk(engine, Face::Graphql);
}

fn walk(engine: Engine, face: Face) {
    let runtime = Runtime::new().unwrap();
    let site = Site::on(engine);
    site.create_administrator("root", PASSWORD);
    let nova = site.serve().start();
    let anybody = nova.http();
    let root = Person::logged_in(&nova, face, "root", PASSWORD);
    let [ada, bob, carl] = ["ada", "bob", "carl"].map(|name| Person::registered(&nova, face, name));

    // A stream for those who follow its owner, and an encoder with its key.
    let key = ada.create_stream();
    site.keep_secret(&key);
    assert_eq!(bob.follow("ada"), Ok(()));
    let clip = Encoder::small().recorded(4);
    let mut publisher = clip.publish(&nova.rtmp_url(&key));
    wait_for("it is live", WARM_UP, || {
        let stream = bob.stream()?;
        let is_live = stream["is_live"] == true;
        is_live.then_some(()).ok_or_else(|| stream.to_string())
    });

    // It is played with a token, by who follows.
    let playlist = bob.playlist().unwrap();
    keep_token_secret(&site, &playlist);
    until_plays(&anybody, &playlist);
    assert_eq!(carl.playlist(), Err("not-found".to_owned()));
    until_status(&anybody, "/live/garden/index.m3u8", 403);

    // They chat; a timeout keeps one from it, until it is lifted.
    let mut chat = Listening::begin(&runtime, &bob);
    assert_eq!(ada.say("Welcome"), Ok(()));
    assert_eq!(chat.hear(), ("ada".to_owned(), "Welcome".to_owned()));
    assert_eq!(bob.say("Hello"), Ok(()));
    assert_eq!(chat.hear(), ("bob".to_owned(), "Hello".to_owned()));
    assert_eq!(carl.say("Me too"), Err("not-found".to_owned()));
    ada.time_out("bob");
    assert_eq!(bob.say("Hm?"), Err("chat-timed-out".to_owned()));
    assert_eq!(ada.say("Quiet now"), Ok(()));
    assert_eq!(chat.hear(), ("ada".to_owned(), "Quiet now".to_owned()));
    ada.lift("bob");
    assert_eq!(bob.say("Sorry"), Ok(()));
    assert_eq!(chat.hear(), ("bob".to_owned(), "Sorry".to_owned()));

    // The end, and what is kept of it.
    ada.stop_stream();
    publisher.wait_exit(SOON);
    let recording = wait_for("the recording", SOON, || bob.recording());
    let id = recording["id"].as_str().unwrap();
    let recorded = recording["playlist"].as_str().unwrap();
    keep_token_secret(&site, recorded);
    until_plays(&anybody, recorded);
    assert!(carl.recording().is_err());
    until_status(&anybody, &format!("/vod/{id}/index.m3u8"), 403);
    let of_ada = wait_for("her recording", SOON, || ada.recording());
    let of_ada = of_ada["playlist"].as_str().unwrap().to_owned();
    keep_token_secret(&site, &of_ada);
    until_plays(&anybody, &of_ada);

    // Who is banned has no session, no socket and no token any more. Others do.
    root.suspend("bob");
    assert_eq!(chat.until_closed(), UNAUTHORIZED);
    assert_eq!(bob.say("And now?"), Err("unauthenticated".to_owned()));
    until_status(&anybody, recorded, 403);
    until_plays(&anybody, &of_ada);

    // Deleted is deleted.
    ada.delete_stream();
    assert_eq!(ada.stream(), Err("not-found".to_owned()));
    wait_for("nothing is played", SOON, || {
        let status = anybody.get(&of_ada)?.status;
        let is_gone = [403, 404].contains(&status);
        is_gone.then_some(()).ok_or(status.to_string())
    });
    ada.delete_account();
    assert_eq!(ada.stream(), Err("unauthenticated".to_owned()));
    let login = json!({ "login": "ada", "password": PASSWORD });
    let refused = anybody.post_json("/api/v1/session", &login.to_string());
    assert_eq!(refused.unwrap().status, 401);
}

/// Nothing that is written may have the signature of the token in a path.
fn keep_token_secret(site: &Site, path: &str) {
    let token = path.split('/').nth(2);
    let signature = token.and_then(|token| token.rsplit('.').next());
    site.keep_secret(signature.unwrap());
}

/// Plays the beginning of what the playlist has: the source's first segment.
fn until_plays(http: &Http, index: &str) {
    let media = index.replace("index.m3u8", "source.m3u8");
    wait_for("it plays", WARM_UP, || {
        http.fetch(index)?;
        let list = http.fetch(&media)?.text();
        let segment = list.lines().find(|line| line.ends_with(".m4s"));
        let segment = segment.ok_or_else(|| list.clone())?;
        http.fetch(&media.replace("source.m3u8", segment)).map(drop)
    });
}

fn until_status(http: &Http, path: &str, status: u16) {
    wait_for(&format!("the answer {status}"), SOON, || {
        let answer = http.get(path)?;
        let is_so = answer.status == status;
        is_so.then_some(()).ok_or(answer.status.to_string())
    });
}

/// What follows `begin` in `text` until what no token has.
fn token_after(text: &str, begin: &str) -> Option<String> {
    let (_, after) = text.split_once(begin)?;
    let is_token = |c: &char| c.is_ascii_alphanumeric() || *c == '-' || *c == '_';
    Some(after.chars().take_while(is_token).collect())
}

impl Person {
    /// Somebody who asks for an account, and follows the link of the mail.
    fn registered(nova: &Nova, face: Face, name: &str) -> Self {
        let stranger = Self::stranger(nova, face);
        let email = format!("{name}@example.org");
        let body = json!({ "name": name, "email": email, "password": PASSWORD });
        let document = format!(
            "mutation {{ register(input: {{
                 name: {name:?}, email: {email:?}, password: {PASSWORD:?} }}) {{ message }} }}"
        );
        stranger.do_it(
            Rest("POST", "registrations", body),
            Graphql::new(&document, "register"),
        );
        // Without a mail server the mail is in the log.
        let token = nova.log().wait_for("a mail", SOON, |line| {
            let is_theirs = line.contains(&email);
            is_theirs
                .then(|| token_after(line, "/verify#token="))
                .flatten()
        });
        let document =
            format!("mutation {{ verifyEmail(input: {{ token: {token:?} }}) {{ id }} }}");
        stranger.do_it(
            Rest("POST", "registrations/verify", json!({ "token": token })),
            Graphql::new(&document, "verifyEmail"),
        );
        Self::logged_in(nova, face, name, PASSWORD)
    }

    /// Makes the stream, and gives its key.
    fn create_stream(&self) -> String {
        let body = json!({ "name": "garden", "visibility": "followers", "recording": true });
        let document = "mutation { createStream(input: {
            name: \"garden\", visibility: FOLLOWERS, recording: true }) { key } }";
        let made = self.do_it(
            Rest("POST", "streams", body),
            Graphql::new(document, "createStream"),
        );
        made["key"].as_str().unwrap().to_owned()
    }

    fn stream(&self) -> Result<Value, String> {
        let document = "{ stream(name: \"garden\") { isLive } }";
        self.ask(
            Rest("GET", "streams/garden", Value::Null),
            Graphql::new(document, "stream"),
        )
    }

    fn playlist(&self) -> Result<String, String> {
        let document = "{ stream(name: \"garden\") { playback { playlist } } }";
        let playback = self.ask(
            Rest("GET", "streams/garden/playback", Value::Null),
            Graphql::new(document, "stream/playback"),
        )?;
        Ok(playback["playlist"].as_str().unwrap().to_owned())
    }

    fn say(&self, text: &str) -> Result<(), String> {
        let document = format!(
            "mutation {{ sendChatMessage(stream: \"garden\", input: {{ text: {text:?} }}) {{ id }} }}"
        );
        let asked = self.ask(
            Rest(
                "POST",
                "streams/garden/chat/messages",
                json!({ "text": text }),
            ),
            Graphql::new(&document, "sendChatMessage"),
        );
        asked.map(drop)
    }

    fn time_out(&self, name: &str) {
        let document = format!(
            "mutation {{ sanctionInChat(stream: \"garden\", name: {name:?},
                 input: {{ seconds: 600 }}) {{ until }} }}"
        );
        let path = format!("streams/garden/chat/sanctions/{name}");
        let sanction = self.do_it(
            Rest("PUT", &path, json!({ "seconds": 600 })),
            Graphql::new(&document, "sanctionInChat"),
        );
        assert_ne!(sanction["until"], Value::Null, "{sanction}");
    }

    fn lift(&self, name: &str) {
        let document = format!("mutation {{ liftInChat(stream: \"garden\", name: {name:?}) }}");
        let path = format!("streams/garden/chat/sanctions/{name}");
        self.do_it(
            Rest("DELETE", &path, Value::Null),
            Graphql::new(&document, "liftInChat"),
        );
    }

    fn stop_stream(&self) {
        let document = "mutation { stopStream(name: \"garden\") { isLive } }";
        self.do_it(
            Rest("PUT", "streams/garden/stop", Value::Null),
            Graphql::new(document, "stopStream"),
        );
    }

    /// The one recording, when something of it is there to be played.
    fn recording(&self) -> Result<Value, String> {
        let document = "{ stream(name: \"garden\") { recordings {
            items: nodes { id state duration playlist } } } }";
        let mut page = self.ask(
            Rest("GET", "streams/garden/recordings", Value::Null),
            Graphql::new(document, "stream/recordings"),
        )?;
        let recording = page["items"][0].take();
        let state = recording["state"].as_str().unwrap_or_default();
        let is_one = ["finishing", "ready"].contains(&state.to_ascii_lowercase().as_str());
        let is_long = recording["duration"].as_f64() > Some(0.0);
        let told = recording.to_string();
        (is_one && is_long).then_some(recording).ok_or(told)
    }

    fn suspend(&self, name: &str) {
        let document = format!("mutation {{ suspend(name: {name:?}, reason: \"Spam\") {{ id }} }}");
        let path = format!("users/{name}/suspension");
        self.do_it(
            Rest("PUT", &path, json!({ "reason": "Spam" })),
            Graphql::new(&document, "suspend"),
        );
    }

    fn delete_stream(&self) {
        let document = "mutation { deleteStream(name: \"garden\") }";
        self.do_it(
            Rest("DELETE", "streams/garden", Value::Null),
            Graphql::new(document, "deleteStream"),
        );
    }

    fn delete_account(&self) {
        let document = format!("mutation {{ deleteAccount(input: {{ password: {PASSWORD:?} }}) }}");
        self.do_it(
            Rest("DELETE", "me", json!({ "password": PASSWORD })),
            Graphql::new(&document, "deleteAccount"),
        );
    }
}

/// Somebody who is in the chat: by its own socket, or by a subscription.
struct Listening<'a> {
    socket: Socket<'a>,
    face: Face,
}

impl<'a> Listening<'a> {
    fn begin(runtime: &'a Runtime, person: &Person) -> Self {
        let Person { http, face, token } = person;
        let socket = match face {
            Face::Rest => {
                let mut socket = Socket::of_chats(runtime, http, Some(token));
                socket.tell(&json!({ "type": "join", "room": "garden", "after": 0 }));
                assert_eq!(socket.expect()["type"], "joined");
                socket
            }
            Face::Graphql => {
                let mut socket = Socket::of_graphql(runtime, http, token);
                let payload = json!({ "query": SAID });
                socket.tell(&json!({ "type": "subscribe", "id": "1", "payload": payload }));
                socket
            }
        };
        Self {
            socket,
            face: *face,
        }
    }

    /// Who says what next.
    fn hear(&mut self) -> (String, String) {
        loop {
            let mut heard = self.socket.expect();
            let message = match self.face {
                Face::Rest => heard["message"].take(),
                Face::Graphql => {
                    assert_eq!(heard["payload"]["errors"], Value::Null, "{heard}");
                    heard["payload"]["data"]["chat"]["message"].take()
                }
            };
            if let (Some(author), Some(text)) =
                (message["author"]["name"].as_str(), message["text"].as_str())
            {
                return (author.to_owned(), text.to_owned());
            }
        }
    }

    fn until_closed(&mut self) -> u16 {
        self.socket.until_closed()
    }
}
