//! Timeouts and bans on sockets: those that were open, and those that are opened.

use std::net::SocketAddr;

use media::Micros;
use serde_json::{Value, json};

use crate::app::{Person, TestApp};
use crate::chat::{demo, sanction_of, say};
use crate::chat_sockets::Chat;
use crate::sockets::listen;

on_both_engines! {
    a_ban_holds_on_every_socket_whatever_its_account_is_called,
    a_timeout_says_on_a_socket_how_long_it_is,
}

impl Chat {
    async fn send(&mut self, text: &str) -> Value {
        self.tell(json!({ "type": "send", "id": text, "text": text }))
            .await;
        loop {
            let heard = self.hear_event().await;
            if heard["id"] == text {
                return heard;
            }
        }
    }

    async fn is_refused(&mut self, code: &str) -> Value {
        let refused = self.send("refused").await;
        assert_eq!(
            (&refused["type"], &refused["code"]),
            (&json!("error"), &json!(code))
        );
        refused
    }

    async fn is_sent(&mut self) {
        let sent = self.send("said").await;
        assert_eq!(sent["type"], "sent", "{sent}");
    }
}

/// A program of somebody's, on a socket of its own.
async fn program(person: &Person<'_>, address: SocketAddr) -> Chat {
    let body = json!({ "name": "program", "scopes": ["chat:read", "chat:write"] });
    let made = person.post("/api/v1/me/tokens", &body).await.ok(201);
    let mut program = person.clone();
    program.access_token = made["token"].as_str().unwrap().to_owned();
    Chat::of(address, &program).await
}

async fn a_ban_holds_on_every_socket_whatever_its_account_is_called(app: TestApp) {
    let other = app.second_node().await;
    let (ada, bob) = demo(&app).await;
    let addresses = [listen(&app).await, listen(&other).await];
    let mut sockets = Vec::new();
    for address in addresses {
        sockets.push(Chat::of(address, &bob).await);
        sockets.push(program(&bob, address).await);
    }
    for socket in &mut sockets {
        socket.is_sent().await;
    }
    ada.put(&sanction_of("bob"), &json!({})).await.ok(200);
    for socket in &mut sockets {
        socket.is_refused("chat-banned").await;
    }

    let renamed = json!({ "display_name": "Somebody Else" });
    bob.patch("/api/v1/me", &renamed).await.ok(200);
    let again = app.logged_in("bob").await;
    for address in addresses {
        sockets.push(Chat::of(address, &again).await);
        sockets.push(program(&again, address).await);
    }
    for socket in &mut sockets {
        socket.is_refused("chat-banned").await;
    }
    let said = r#"mutation { sendChatMessage(stream: "demo", input: { text: "x" }) { event } }"#;
    assert_eq!(again.graphql_code(said).await, "chat-banned");
    // Who is banned reads on, and others are told nothing of what they tried.
    say(&ada, "still read").await;
    for socket in &mut sockets {
        while socket.hear_text().await != "still read" {}
    }

    ada.delete(&sanction_of("bob")).await.ok(204);
    for socket in &mut sockets {
        socket.is_sent().await;
    }
}

async fn a_timeout_says_on_a_socket_how_long_it_is(app: TestApp) {
    let (ada, bob) = demo(&app).await;
    let address = listen(&app).await;
    let mut chat = Chat::of(address, &bob).await;
    let timeout = json!({ "seconds": 60 });
    ada.put(&sanction_of("bob"), &timeout).await.ok(200);
    for seconds in [60, 20] {
        let refused = chat.is_refused("chat-timed-out").await;
        assert_eq!(refused["retry_after_seconds"], seconds);
        app.later(Micros::from_secs(40));
        chat = Chat::of(address, &bob).await;
    }
    chat.is_sent().await;
}
