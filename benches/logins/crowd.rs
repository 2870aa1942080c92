//! People who log in again and again, each over a connection of their own.

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use benches::account_server::PASSWORD;
use benches::http_client::{Answer, Client};
use serde_json::json;
use tokio::task::JoinSet;

/// What they were answered.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// How long each took who was let in.
    pub(crate) let_in: Vec<Duration>,
    /// How often somebody was refused.
    pub(crate) refused: usize,
    /// The longest that anybody waited to be refused.
    pub(crate) slowest_refusal: Duration,
    /// From the first request to the last answer.
    pub(crate) span: Duration,
}

/// Has `clients` of them log in for so long. Who is refused comes back when they were told to.
pub(crate) async fn log_in(
    server: SocketAddr,
    accounts: &[String],
    clients: usize,
    seconds: u64,
) -> Result<Answers, Box<dyn Error>> {
    let mut connections = Vec::with_capacity(clients);
    for _ in 0..clients {
        connections.push(Client::connect(server).await?);
    }
    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds);
    let mut people = JoinSet::new();
    for (client, name) in connections.into_iter().zip(accounts.iter().cycle()) {
        let body = json!({ "login": name, "password": PASSWORD }).to_string();
        people.spawn(async move {
            let answers = one(client, &body, end).await;
            answers.map_err(|error| error.to_string())
        });
    }
    let mut all = Answers::default();
    while let Some(answers) = people.join_next().await {
        let answers = answers??;
        all.let_in.extend(answers.let_in);
        all.refused += answers.refused;
        all.slowest_refusal = all.slowest_refusal.max(answers.slowest_refusal);
    }
    all.span = begun.elapsed();
    Ok(all)
}

async fn one(mut client: Client, body: &str, end: Instant) -> Result<Answers, Box<dyn Error>> {
    let mut answers = Answers::default();
    while Instant::now() < end {
        let begun = Instant::now();
        let answer = client.post("/api/v1/session", body).await?;
        let time = begun.elapsed();
        if answer.status == 200 {
            answers.let_in.push(time);
            continue;
        }
        let back = Instant::now() + told(&answer)?;
        answers.refused += 1;
        answers.slowest_refusal = answers.slowest_refusal.max(time);
        tokio::time::sleep_until(back.min(end).into()).await;
    }
    Ok(answers)
}

/// When somebody who was refused may ask again. Nothing but that is an answer.
fn told(answer: &Answer) -> Result<Duration, Box<dyn Error>> {
    let after = answer.header("retry-after").map(str::parse);
    match (answer.status, after, answer.header("ratelimit")) {
        (429, Some(Ok(seconds)), Some(_)) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("a login was answered {answer:?}").into()),
    }
}
