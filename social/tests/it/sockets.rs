//! GraphQL over WebSocket, on a real socket.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::app::{Person, TestApp};

on_both_engines! {
    s05_an_open_socket_is_told_and_closed_when_its_session_ends,
    a_socket_has_so_many_operations,
    who_is_not_known_does_not_get_in,
    what_is_no_socket_is_told,
}

pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What a server said at the end.
pub(crate) type Closed = (u16, String);

impl Socket {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let url = format!("ws://{address}/graphql/ws");
        let mut request = url.into_client_request().unwrap();
        let protocol = "graphql-transport-ws".parse().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocol);
        Self(connect_async(request).await.unwrap().0)
    }

    pub(crate) async fn say(&mut self, what: Value) {
        let text = what.to_string();
        self.0.send(Message::Text(text.into())).await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> Result<Value, Closed> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err((frame.code.into(), frame.reason.to_string()));
                }
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn introduce(&mut self, person: &Person<'_>) {
        let bearer = format!("Bearer {}", person.access_token);
        let payload = json!({ "Authorization": bearer });
        self.say(json!({ "type": "connection_init", "payload": payload }))
            .await;
        assert_eq!(self.hear().await.unwrap()["type"], "connection_ack");
    }
}

pub(crate) async fn listen(app: &TestApp) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = app.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

pub(crate) fn subscribe(id: &str) -> Value {
    let payload = json!({ "query": "subscription { sessionEnded { id } }" });
    json!({ "id": id, "type": "subscribe", "payload": payload })
}

async fn s05_an_open_socket_is_told_and_closed_when_its_session_ends(app: TestApp) {
    let other = app.second_node().await;
    let ada = app.person("ada").await;
    let mut socket = Socket::open(listen(&other).await).await;
    socket.introduce(&ada).await;
    socket.say(subscribe("1")).await;
    // Answered in order: when this is, the subscription is there.
    let query = json!({ "query": "{ live { nodes { name } } }" });
    socket
        .say(json!({ "id": "2", "type": "subscribe", "payload": query }))
        .await;
    assert_eq!(socket.hear().await.unwrap()["id"], "2");
    assert_eq!(socket.hear().await.unwrap()["type"], "complete");
    ada.delete("/api/v1/me/sessions").await.ok(204);
    let told = socket.hear().await.unwrap();
    assert_eq!((&told["type"], &told["id"]), (&json!("next"), &json!("1")));
    assert!(told["payload"]["data"]["sessionEnded"]["id"].is_string());
    let complete = socket.hear().await.unwrap();
    assert_eq!(complete, json!({ "type": "complete", "id": "1" }));
    assert_eq!(socket.hear().await.unwrap_err().0, 4401);
}

async fn a_socket_has_so_many_operations(app: TestApp) {
    let ada = app.person("ada").await;
    let mut socket = Socket::open(listen(&app).await).await;
    socket.introduce(&ada).await;
    for id in 0..21 {
        socket.say(subscribe(&id.to_string())).await;
    }
    assert_eq!(socket.hear().await.unwrap_err().0, 4429);
}

async fn who_is_not_known_does_not_get_in(app: TestApp) {
    let address = listen(&app).await;
    let mut socket = Socket::open(address).await;
    let payload = json!({ "Authorization": "Bearer x" });
    socket
        .say(json!({ "type": "connection_init", "payload": payload }))
        .await;
    let closed = socket.hear().await.unwrap_err();
    assert!(closed.0 >= 1002, "{closed:?}");
    // Nobody in particular may ask what everybody may.
    let mut socket = Socket::open(address).await;
    socket.say(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.hear().await.unwrap()["type"], "connection_ack");
    socket.say(subscribe("1")).await;
    let answer = socket.hear().await.unwrap();
    let error = &answer["payload"]["errors"][0];
    assert_eq!(error["extensions"]["code"], "unauthenticated", "{answer}");
}

async fn what_is_no_socket_is_told(app: TestApp) {
    let answer = app.request("GET", "/graphql/ws").await;
    answer.problem(400, "validation");
}
