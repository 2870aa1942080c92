//! What it takes to post as somebody whom 100,000 follow, and when all of their feeds show it, on each
//! engine: beside somebody whom 4,900 follow, and an ordinary account of 100.
//!
//! `cargo run --release -p benches --bin fan_out -- [--nova FILE] [--engine sqlite|postgres]
//! [--posts N]` first runs the API and the consumers of the outbox itself, with a threshold by which
//! each post of the first becomes 100,000 entries; and then a real `nova serve`, with the threshold
//! that servers have, by which they are pulled. It fails if feeds of the server do not show a post
//! within 10 s.

mod api;
mod feeds;
mod world;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{Account, Api, Own};
use benches::databases::Engine;
use benches::quantiles::Quantiles;
use benches::server::{self, Server, settled};
use media::SystemClock;
use storage::Database;
use storage::events::LocalBus;
use storage::rows::feed::{self, Threshold, Writer};
use storage::rows::outbox::{Relay, Start};
use storage::rows::{notifications, search};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// By then all feeds are to show a post.
const AIM: Duration = Duration::from_secs(10);

/// When those are given up that no server has to fill like this.
const AT_MOST: Duration = Duration::from_secs(120);

/// The posts of nobody are pulled.
const ENTRIES_ONLY: Threshold = Threshold {
    pulled_above: 1_000_000,
    entries_below: 900_000,
};

/// With it, the most-followed account posts so often.
const POSTS_WITH_ENTRIES: usize = 5;

/// Between posts of the ordinary account while entries are written.
const PAUSE: Duration = Duration::from_millis(20);

struct Options {
    nova: PathBuf,
    engines: Vec<Engine>,
    posts: usize,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    for engine in &options.engines {
        let place = engine.place();
        let db = place.open().await;
        let accounts = world::fill(&db).await?;
        let [most_followed, _, ordinary] = &accounts;

        let own = Own::start(&db).await?;
        let consumers = Consumers::start(&db);
        let mut api = Api::at(own.address, &accounts).await?;
        println!("\nposts of all become entries:");
        beside(&db, &mut api, most_followed, ordinary).await?;
        consumers.stop().await;
        drop(own);

        let server = Server::whole(&options.nova, &place).await?;
        let mut api = Api::at(server.http(), &accounts).await?;
        settled(&db).await?;
        let threshold = Threshold::default();
        println!(
            "\nposts are pulled above {} followers, by nova serve:",
            threshold.pulled_above
        );
        in_turn(&db, &mut api, &accounts, options.posts).await?;
    }
    Ok(())
}

/// What a server does with the outbox, but that the posts of nobody are pulled.
struct Consumers {
    stop: CancellationToken,
    running: JoinSet<()>,
}

impl Consumers {
    fn start(db: &Database) -> Self {
        let clock = Arc::new(SystemClock);
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        let writer = Arc::new(Writer::new(db.clone(), clock.clone(), ENTRIES_ONLY));
        let feeds = Relay::new(
            db.clone(),
            clock.clone(),
            feed::CONSUMER,
            Start::Oldest,
            writer,
        );
        running.spawn(feeds.run(stop.clone()));
        running.spawn(search::run(db.clone(), clock.clone(), stop.clone()));
        let bus = Arc::new(LocalBus::new());
        running.spawn(notifications::run(db.clone(), clock, bus, stop.clone()));
        Self { stop, running }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.join_all().await;
    }
}

/// The accounts post one after the other, each when all feeds show what the one before posted.
async fn in_turn(
    db: &Database,
    api: &mut Api,
    accounts: &[Account; 3],
    posts: usize,
) -> Result<(), Box<dyn Error>> {
    let mut requests = [const { Vec::new() }; 3];
    let mut waits = [const { Vec::new() }; 3];
    for _ in 0..posts {
        for (place, account) in accounts.iter().enumerate() {
            let began = Instant::now();
            let post = api.post(account).await?;
            requests[place].push(began.elapsed());
            feeds::shown(db, account, post, began, AIM).await?;
            waits[place].push(began.elapsed());
            feeds::is_in_all(db, account, post).await?;
        }
    }
    for ((account, requests), waits) in accounts.iter().zip(requests).zip(waits) {
        println!(
            "{:>8} followers: request {}; all feeds show it after {}",
            account.followers,
            shown(&Quantiles::of_times(requests)),
            shown(&Quantiles::of_times(waits)),
        );
    }
    println!("the aim of {} s is met", AIM.as_secs());
    Ok(())
}

/// The most-followed account posts, and the ordinary one goes on while entries are written.
async fn beside(
    db: &Database,
    api: &mut Api,
    most_followed: &Account,
    ordinary: &Account,
) -> Result<(), Box<dyn Error>> {
    let (mut requests, mut waits) = (Vec::new(), Vec::new());
    let (mut others, mut waits_of_others) = (Vec::new(), Vec::new());
    for _ in 0..POSTS_WITH_ENTRIES {
        let began = Instant::now();
        let post = api.post(most_followed).await?;
        requests.push(began.elapsed());
        let all_show_it = feeds::shown(db, most_followed, post, began, AT_MOST);
        tokio::pin!(all_show_it);
        let mut first_of_others = None;
        loop {
            tokio::select! {
                done = &mut all_show_it => {
                    done?;
                    waits.push(began.elapsed());
                    break;
                }
                () = tokio::time::sleep(PAUSE) => {
                    let began = Instant::now();
                    let post = api.post(ordinary).await?;
                    others.push(began.elapsed());
                    first_of_others.get_or_insert((post, began));
                }
            }
        }
        if let Some((post, began)) = first_of_others {
            feeds::shown(db, ordinary, post, began, AT_MOST).await?;
            waits_of_others.push(began.elapsed());
        }
        feeds::is_in_all(db, most_followed, post).await?;
    }
    println!(
        "{:>8} followers: request {}; all feeds show it after {}",
        most_followed.followers,
        shown(&Quantiles::of_times(requests)),
        shown(&Quantiles::of_times(waits)),
    );
    println!(
        "{:>8} followers, meanwhile: request {} of {}; all feeds show the first after {}",
        ordinary.followers,
        shown(&Quantiles::of_times(others.iter().copied())),
        others.len(),
        shown(&Quantiles::of_times(waits_of_others)),
    );
    Ok(())
}

fn shown(times: &Quantiles) -> String {
    let (half, most) = (times.percentile(50), times.percentile(99));
    format!("p50 {half:.1} ms, p99 {most:.1} ms")
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        nova: PathBuf::from("target/release/nova"),
        engines: Engine::ALL.into(),
        posts: 50,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(format!("{name} needs a value"))?;
        match name.as_str() {
            "--nova" => options.nova = value.into(),
            "--engine" => {
                options.engines.retain(|engine| engine.name() == value);
                if options.engines.is_empty() {
                    return Err(format!("{value} is no engine: expected sqlite or postgres").into());
                }
            }
            "--posts" => options.posts = value.parse::<usize>()?.max(1),
            other => return Err(format!("{other} is not known").into()),
        }
    }
    server::check(&options.nova)?;
    Ok(options)
}
