//! `nova serve` with a stream, and somebody who talks there.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;

use benches::account_server::{AccountServer, PASSWORD};
use benches::http_client::Client;
use serde_json::{Value, json};

/// Sockets that a server takes.
const SOCKETS: &str = "100000";

/// It.
pub(crate) struct Server {
    server: AccountServer,
    /// The access token of who talks.
    pub(crate) token: String,
}

impl Server {
    pub(crate) async fn start(nova: &Path) -> Result<Self, Box<dyn Error>> {
        let accounts = ["talker".to_owned()];
        let settings = [
            ("HTTP__MAX_CONNECTIONS", SOCKETS),
            ("HTTP__MAX_CONNECTIONS_PER_ADDRESS", SOCKETS),
            ("API__LIMITS__CHAT_MESSAGES_PER_MINUTE", "1000000"),
        ];
        let server = AccountServer::start(nova, &accounts, &settings).await?;
        server.make_stream(nova, "demo", "talker")?;
        let mut client = Client::connect(server.http()).await?;
        let login = json!({ "login": "talker", "password": PASSWORD }).to_string();
        let answer = client.post("/api/v1/session", &login).await?;
        let answer: Value = serde_json::from_str(&answer.body)?;
        let token = answer["access_token"].as_str().ok_or("no login")?;
        Ok(Self {
            token: token.to_owned(),
            server,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.http()
    }

    pub(crate) fn process(&self) -> u32 {
        self.server.process()
    }
}
