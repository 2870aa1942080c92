//! The API, by HTTP: of a real server, or of this process.

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;

use axum::Extension;
use benches::crowd::PASSWORD;
use benches::http_client::Client;
use benches::services;
use media::{PostId, UserId};
use serde_json::json;
use storage::Database;
use tokio::net::TcpListener;
use tokio_util::sync::DropGuard;
use tokio_util::task::AbortOnDropHandle;

/// Somebody whom so many follow.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) id: UserId,
    pub(crate) name: String,
    pub(crate) followers: u64,
    /// From the first to the last.
    pub(crate) some_followers: Vec<UserId>,
}

/// A connection, on which some have logged in.
pub(crate) struct Api {
    client: Client,
    tokens: HashMap<UserId, String>,
}

impl Api {
    /// Connects, and logs in as each of them.
    pub(crate) async fn at(
        address: SocketAddr,
        accounts: &[Account],
    ) -> Result<Self, Box<dyn Error>> {
        let mut client = Client::connect(address).await?;
        let mut tokens = HashMap::new();
        for account in accounts {
            let token = client.log_in(&account.name, PASSWORD).await?;
            tokens.insert(account.id, token);
        }
        Ok(Self { client, tokens })
    }

    /// Posts something.
    pub(crate) async fn post(&mut self, account: &Account) -> Result<PostId, Box<dyn Error>> {
        let token = self.tokens.get(&account.id).ok_or("nobody of the three")?;
        let body = json!({ "text": "Hello everybody, what do you think of #this?" });
        let asked = self
            .client
            .ask_as(token, "POST", "/api/v1/posts", Some(&body));
        let post = asked.await?;
        Ok(post["id"].as_str().ok_or("a post without an id")?.parse()?)
    }
}

/// The API's own router in this process, without a server around it.
pub(crate) struct Own {
    pub(crate) address: SocketAddr,
    _serving: AbortOnDropHandle<std::io::Result<()>>,
    _running: DropGuard,
}

impl Own {
    pub(crate) async fn start(db: &Database) -> Result<Self, Box<dyn Error>> {
        let (services, running) = services::start(db).await?;
        let client = social::rest::Client::default();
        let router = social::router(services).layer(Extension(client));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(async { axum::serve(listener, router).await });
        Ok(Self {
            address,
            _serving: AbortOnDropHandle::new(serving),
            _running: running,
        })
    }
}
