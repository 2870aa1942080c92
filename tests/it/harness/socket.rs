//! A client of the server's WebSockets.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::Http;

/// How long something may take that is waited for.
const LIMIT: Duration = Duration::from_secs(40);

/// The code of a connection that ended without one (RFC 6455 7.4.1).
pub(crate) const LOST: u16 = 1006;

/// An open socket, on which JSON is told and heard.
pub(crate) struct Socket<'a> {
    runtime: &'a Runtime,
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl<'a> Socket<'a> {
    /// The socket at `path`, with the subprotocol that it wants.
    pub(crate) fn open(
        runtime: &'a Runtime,
        http: &Http,
        path: &str,
        protocol: Option<&str>,
    ) -> Self {
        let url = http.url(path).replace("http://", "ws://");
        let mut request = url.into_client_request().unwrap();
        if let Some(protocol) = protocol {
            let protocol = protocol.parse().unwrap();
            request
                .headers_mut()
                .insert("sec-websocket-protocol", protocol);
        }
        let (stream, _) = runtime.block_on(connect_async(request)).unwrap();
        Self { runtime, stream }
    }

    /// The socket of chats, for whoever has the token.
    pub(crate) fn of_chats(runtime: &'a Runtime, http: &Http, token: Option<&str>) -> Self {
        let mut socket = Self::open(runtime, http, "/ws", None);
        let authorization = token.map(|token| format!("Bearer {token}"));
        socket.tell(&json!({ "type": "hello", "version": 1, "authorization": authorization }));
        assert_eq!(socket.expect()["type"], "welcome");
        socket
    }

    /// That of subscriptions.
    pub(crate) fn of_graphql(runtime: &'a Runtime, http: &Http, token: &str) -> Self {
        let protocol = Some("graphql-transport-ws");
        let mut socket = Self::open(runtime, http, "/graphql/ws", protocol);
        let payload = json!({ "Authorization": format!("Bearer {token}") });
        socket.tell(&json!({ "type": "connection_init", "payload": payload }));
        assert_eq!(socket.expect()["type"], "connection_ack");
        socket
    }

    pub(crate) fn tell(&mut self, what: &Value) {
        assert!(self.try_tell(what), "it is open");
    }

    /// Whether it is open still.
    pub(crate) fn try_tell(&mut self, what: &Value) -> bool {
        let message = Message::Text(what.to_string().into());
        self.runtime.block_on(self.stream.send(message)).is_ok()
    }

    /// What is said next, or the code that the socket is closed with: [`LOST`] where nobody closed it.
    pub(crate) fn hear(&mut self) -> Result<Value, u16> {
        let heard = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Ok(serde_json::from_str(&text).unwrap());
                    }
                    Some(Ok(Message::Close(frame))) => {
                        return Err(frame.map_or(1005, |frame| frame.code.into()));
                    }
                    Some(Ok(_)) => {}
                    None | Some(Err(_)) => return Err(LOST),
                }
            }
        };
        self.runtime
            .block_on(async { timeout(LIMIT, heard).await })
            .expect("something in time")
    }

    /// What is said next.
    #[track_caller]
    pub(crate) fn expect(&mut self) -> Value {
        self.hear().unwrap_or_else(|code| panic!("closed: {code}"))
    }

    /// The code that the socket is closed with, whatever is said before.
    pub(crate) fn until_closed(&mut self) -> u16 {
        loop {
            if let Err(code) = self.hear() {
                return code;
            }
        }
    }
}
