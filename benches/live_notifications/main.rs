//! Going live with very many followers: how soon all of them are told, and what others notice
//! meanwhile, on each engine, by a real `nova serve` with all that runs in it.
//!
//! `cargo run --release -p benches --bin live_notifications -- [--nova FILE] [--engine
//! sqlite|postgres] [--followers N]` publishes by RTMP, as an encoder does, and prints how long that
//! request takes until it is accepted, beside that of somebody whom nobody follows; after which time
//! the last follower has a notification in the database; and the times of requests of the API, one
//! after the other on one connection, before and meanwhile. It fails if somebody is not told within
//! 60 s.

mod broadcast;
mod others;
mod world;

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use benches::databases::Engine;
use benches::http_client::Client;
use benches::server::{self, Server, settled};
use broadcast::Broadcast;
use others::{Others, Times};
use storage::Database;
use storage::rows::sql::query;
use world::{BUSY, World};

/// By then all followers are to be told.
const AIM: Duration = Duration::from_secs(10);

/// When it is given up.
const AT_MOST: Duration = Duration::from_secs(60);

/// Between two looks at the database.
const POLL: Duration = Duration::from_millis(20);

/// How often others do everything before, for comparison.
const BEFORE: u32 = 200;

struct Options {
    nova: PathBuf,
    engines: Vec<Engine>,
    followers: u64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    for engine in &options.engines {
        let place = engine.place();
        let db = place.open().await;
        let world = World::fill(&db, options.followers).await?;
        let server = Server::whole(&options.nova, &place).await?;
        measure(&db, &server, &world).await?;
    }
    Ok(())
}

async fn measure(db: &Database, server: &Server, world: &World) -> Result<(), Box<dyn Error>> {
    let mut others = Others::begin(Client::connect(server.http()).await?).await?;
    let followers = world.followers + 1;
    settled(db).await?;
    let quiet = Broadcast::begin(&server.rtmp_url(world::QUIET_KEY)).await?;
    let request_of_quiet = quiet.accepted_after;
    quiet.end();
    settled(db).await?;
    let before = others.act(|acts| acts < BEFORE).await?;

    let (done, is_done) = tokio::sync::watch::channel(false);
    let told = async {
        let told = go_live(db, server, world, followers).await;
        done.send_replace(true);
        told
    };
    let meanwhile = others.act(|_| !*is_done.borrow());
    let (told, meanwhile) = tokio::join!(told, meanwhile);
    let (request, told) = told?;
    Times::print(&before, &meanwhile?);
    println!(
        "going live: the request took {:.1} ms, of somebody whom nobody follows {:.1} ms; all \
         {followers} followers were told after {:.2} s: the aim of {} s is {}",
        request.as_secs_f64() * 1e3,
        request_of_quiet.as_secs_f64() * 1e3,
        told.as_secs_f64(),
        AIM.as_secs(),
        if told <= AIM { "met" } else { "MISSED" },
    );
    Ok(())
}

/// How long the request took, and after which time all were told.
async fn go_live(
    db: &Database,
    server: &Server,
    world: &World,
    followers: u64,
) -> Result<(Duration, Duration), Box<dyn Error>> {
    let began = Instant::now();
    let broadcast = Broadcast::begin(&server.rtmp_url(world::KEY)).await?;
    let is_told = "SELECT 1 FROM live_fan_outs o JOIN live_sessions l ON l.id = o.session_id
         WHERE l.stream_id = $1 AND o.finished_at IS NOT NULL";
    while !query(is_told).bind(world.stream).exists(db).await? {
        if began.elapsed() > AT_MOST {
            let seconds = AT_MOST.as_secs();
            return Err(format!("not all of {BUSY}'s followers are told after {seconds} s").into());
        }
        broadcast.check()?;
        tokio::time::sleep(POLL).await;
    }
    let told = began.elapsed();
    let (people, rows): (u64, u64) = query(
        "SELECT COUNT(DISTINCT recipient_id), COUNT(*) FROM notifications
         WHERE kind = 'went_live' AND target_id = $1",
    )
    .bind(world.stream)
    .one(db)
    .await?;
    match (people, rows) == (followers, followers) {
        true => Ok((broadcast.accepted_after, told)),
        false => Err(format!("{people} of {followers} were told, by {rows} rows").into()),
    }
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        nova: PathBuf::from("target/release/nova"),
        engines: Engine::ALL.to_vec(),
        followers: 100_000,
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
            "--followers" => options.followers = value.parse::<u64>()?.max(1),
            other => return Err(format!("{other} is not known").into()),
        }
    }
    server::check(&options.nova)?;
    Ok(options)
}
