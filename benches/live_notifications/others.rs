//! Somebody else, who uses the API meanwhile.

use std::error::Error;
use std::time::{Duration, Instant};

use benches::crowd::PASSWORD;
use benches::http_client::Client;
use benches::quantiles::Quantiles;
use serde_json::{Value, json};

use crate::world::{BUSY, READER};

/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(2);

/// What is asked in a round.
const REQUESTS: [&str; 4] = ["notifications", "unread count", "home", "like, or not"];

/// A reader who has logged in and follows.
pub(crate) struct Others {
    client: Client,
    token: String,
    /// What they like.
    post: String,
}

/// How long each of [`REQUESTS`] took.
pub(crate) struct Times([Quantiles; REQUESTS.len()]);

impl Others {
    /// Lets them log in and follow, and there is something to be read.
    pub(crate) async fn begin(mut client: Client) -> Result<Self, Box<dyn Error>> {
        let author = client.log_in(BUSY, PASSWORD).await?;
        let token = client.log_in(READER, PASSWORD).await?;
        let follow = format!("/api/v1/users/{BUSY}/follow");
        client.ask_as(&token, "PUT", &follow, None).await?;
        let text = json!({ "text": "Hello everybody, what do you think of #this?" });
        let mut post = Value::Null;
        for _ in 0..20 {
            let made = client.ask_as(&author, "POST", "/api/v1/posts", Some(&text));
            post = made.await?;
        }
        Ok(Self {
            client,
            token,
            post: post["id"]
                .as_str()
                .ok_or("a post without an id")?
                .to_owned(),
        })
    }

    /// One request after the other, round by round.
    pub(crate) async fn act(
        &mut self,
        goes_on: impl Fn(u32) -> bool,
    ) -> Result<Times, Box<dyn Error>> {
        let mut times = [const { Vec::new() }; REQUESTS.len()];
        let like = format!("/api/v1/posts/{}/like", self.post);
        let mut acts = 0;
        while goes_on(acts) {
            let turn = if acts % 2 == 0 { "PUT" } else { "DELETE" };
            let requests = [
                ("GET", "/api/v1/notifications"),
                ("GET", "/api/v1/notifications/unread"),
                ("GET", "/api/v1/feeds/home"),
                (turn, like.as_str()),
            ];
            for ((method, path), times) in requests.into_iter().zip(&mut times) {
                let began = Instant::now();
                let asked = self.client.ask_as(&self.token, method, path, None);
                asked.await?;
                times.push(began.elapsed());
            }
            acts += 1;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Times(times.map(Quantiles::of_times)))
    }
}

impl Times {
    /// Those before, and those meanwhile.
    pub(crate) fn print(before: &Self, meanwhile: &Self) {
        for ((what, before), meanwhile) in REQUESTS.iter().zip(&before.0).zip(&meanwhile.0) {
            println!(
                "{what:>14}: p50 {:.1} ms, p99 {:.1} ms before; meanwhile {} with p50 {:.1} ms, \
                 p99 {:.1} ms, at most {:.1} ms",
                before.percentile(50),
                before.percentile(99),
                meanwhile.sorted().len(),
                meanwhile.percentile(50),
                meanwhile.percentile(99),
                meanwhile.percentile(100),
            );
        }
    }
}
