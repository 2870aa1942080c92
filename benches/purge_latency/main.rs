//! How long a purge takes until three edges have obeyed it, alone and with requests under way.
//!
//! `cargo run --release -p benches --bin purge_latency -- [--nova FILE] [--purges N]
//! [--requests PER_SECOND]` starts PostgreSQL, NATS, an origin and three `nova serve --role
//! edge`, and fails if p99 is 150 ms or more, or if anybody is given what was purged before
//! they asked.

mod site;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use benches::http_client::Client;
use site::Site;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// What p99 must be below.
const LIMIT: Duration = Duration::from_millis(150);
/// Connections that requests come over.
const CONNECTIONS: u64 = 24;
/// Segments that are asked for.
const PATHS: u64 = 200;

struct Options {
    nova: PathBuf,
    purges: usize,
    requests: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let site = Site::start(&options.nova).await?;
    println!(
        "three edges, PostgreSQL and NATS; {} purges each",
        options.purges
    );
    let mut is_well = true;
    for rate in [0, options.requests] {
        let load = Load::start(&site, rate);
        let mut times = Vec::with_capacity(options.purges);
        let admin = site.admin(0);
        let mut client = Client::connect(admin).await?;
        for n in 0..options.purges {
            let newer = site.origin.change();
            let body = match n % 4 {
                0 => r#"{"kind":"stream","subject":"a"}"#.to_owned(),
                1 => r#"{"kind":"tag","subject":"all"}"#.to_owned(),
                2 => r#"{"kind":"pattern","subject":"/live/*/**.m4s"}"#.to_owned(),
                _ => r#"{"kind":"prefix","subject":"/live/"}"#.to_owned(),
            };
            let begun = Instant::now();
            let answer = client.post("/api/v1/cdn/purges", &body).await?;
            times.push(begun.elapsed());
            if answer.status != 200 {
                return Err(
                    format!("a purge was answered {}: {}", answer.status, answer.body).into(),
                );
            }
            load.floor.store(newer, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let served = load.stop().await?;
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
        println!(
            "{:>6} requests/s: p50 {:6.1} ms, p90 {:6.1} ms, p99 {:6.1} ms, max {:6.1} ms",
            served,
            at(0.5).as_secs_f64() * 1e3,
            at(0.9).as_secs_f64() * 1e3,
            at(0.99).as_secs_f64() * 1e3,
            at(1.0).as_secs_f64() * 1e3,
        );
        is_well &= at(0.99) < LIMIT;
    }
    match is_well {
        true => Ok(()),
        false => Err(format!("p99 is not below {LIMIT:?}").into()),
    }
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        nova: PathBuf::from("target/release/nova"),
        purges: 200,
        requests: 5_000,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(format!("{name} needs a value"))?;
        match name.as_str() {
            "--nova" => options.nova = value.into(),
            "--purges" => options.purges = value.parse::<usize>()?.max(1),
            "--requests" => options.requests = value.parse()?,
            other => return Err(format!("{other} is not known").into()),
        }
    }
    if !options.nova.is_file() {
        let shown = options.nova.display();
        return Err(format!("there is no {shown}: cargo build --release, or --nova FILE").into());
    }
    Ok(options)
}

/// Requests to all edges at a steady rate.
struct Load {
    floor: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    begun: Instant,
    tasks: JoinSet<Result<(), String>>,
}

impl Load {
    fn start(site: &Site, rate: u64) -> Self {
        let load = Self {
            floor: Arc::default(),
            ended: Arc::default(),
            served: Arc::default(),
            begun: Instant::now(),
            tasks: JoinSet::new(),
        };
        let mut load = load;
        for connection in 0..CONNECTIONS {
            if rate == 0 {
                break;
            }
            let edge = site.http(connection as usize % 3);
            let period = Duration::from_secs(CONNECTIONS) / u32::try_from(rate).unwrap_or(u32::MAX);
            let (floor, ended, served) =
                (load.floor.clone(), load.ended.clone(), load.served.clone());
            load.tasks.spawn(async move {
                let mut client = Client::connect(edge).await.map_err(|e| e.to_string())?;
                let mut ticks = interval(period);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
                let mut n = connection;
                while !ended.load(Ordering::SeqCst) {
                    ticks.tick().await;
                    n += 1;
                    let least = floor.load(Ordering::SeqCst);
                    let path = format!("/live/a/{}.m4s", n % PATHS);
                    let answer = client.get(&path).await.map_err(|e| e.to_string())?;
                    let version: u64 = answer.body.parse().unwrap_or(0);
                    if answer.status != 200 || version < least {
                        return Err(format!(
                            "{path} was answered {} {}, after {least} had come",
                            answer.status, answer.body
                        ));
                    }
                    served.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        load
    }

    /// How many requests a second were answered.
    async fn stop(mut self) -> Result<u64, Box<dyn Error>> {
        self.ended.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        Ok((self.served.load(Ordering::SeqCst) as f64 / seconds) as u64)
    }
}
