//! Going live with very many followers: how soon all of them are told, and what others notice
//! meanwhile, on each engine.
//!
//! `cargo run --release -p benches --bin live_notifications -- [--engine sqlite|postgres]
//! [--followers N]` prints how long the request takes that goes live, after which time the last
//! follower was told (the rows are committed, and whoever looks was woken), and the times of
//! pages of notifications and of likes, one after the other, before and meanwhile.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::databases::Engine;
use benches::quantiles::Quantiles;
use media::{Clock, Micros, PostId, StreamId, SystemClock, UserId};
use storage::Database;
use storage::events::{Bus, LocalBus, SubjectPattern};
use storage::rows::notifications::{self, CONSUMER, NEWS, News};
use storage::rows::outbox::{self, Start};
use storage::rows::posts::{self, NewPost, Shows, Visibility};
use storage::rows::sql::query;
use storage::rows::streams::{self, NewStream, TakeoverPolicy};
use storage::rows::users::{self, NewUser};
use storage::rows::{RowError, likes, sessions};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Nobody waits for longer.
const DEADLINE: Duration = Duration::from_secs(120);

/// Rows of a statement with which the world is made.
const AT_ONCE: u64 = 1_000;

/// What others do before, for comparison.
const BEFORE: u32 = 200;

struct Options {
    engines: Vec<Engine>,
    followers: u64,
}

/// Who is there.
struct World {
    owner: UserId,
    stream: StreamId,
    reader: UserId,
    post: PostId,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    for engine in options.engines {
        let place = engine.place();
        let db = place.open().await;
        let began = Instant::now();
        let world = fill(&db, options.followers).await?;
        println!(
            "{} followers, made in {:.1} s",
            options.followers,
            began.elapsed().as_secs_f64()
        );
        measure(&db, &world, options.followers).await?;
    }
    Ok(())
}

async fn measure(db: &Database, world: &World, followers: u64) -> Result<(), Box<dyn Error>> {
    let bus: Arc<dyn Bus> = Arc::new(LocalBus::new());
    let mut news = bus.subscribe(&SubjectPattern::new(NEWS)?).await?;
    let clock = Arc::new(SystemClock);
    outbox::register(db, CONSUMER, Start::Next, clock.now()).await?;
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(notifications::run(
        db.clone(),
        clock.clone(),
        bus,
        shutdown.clone(),
    ));
    let before = Others::act(db, world, |acts| acts < BEFORE).await?;
    println!("before:    {before}");

    let began = Instant::now();
    sessions::open_session(db, world.stream, clock.now()).await?;
    let request = began.elapsed();
    let (done, is_done) = tokio::sync::watch::channel(false);
    let told = async {
        let (mut first, mut told) = (None, 0);
        while told < followers {
            let message = tokio::time::timeout(DEADLINE, news.recv()).await??;
            // The owner is told of likes.
            let users = News::read(&message.event.payload)?.0;
            let followers = users.iter().filter(|user| **user != world.owner);
            told += followers.count() as u64;
            if told > 0 {
                first.get_or_insert(began.elapsed());
            }
        }
        let last = began.elapsed();
        done.send_replace(true);
        Ok::<_, Box<dyn Error>>((first.unwrap_or_default(), last))
    };
    let others = Others::act(db, world, |_| !*is_done.borrow());
    let (told, meanwhile) = tokio::join!(told, others);
    let ((first, last), meanwhile) = (told?, meanwhile?);
    println!("meanwhile: {meanwhile}");
    println!(
        "going live took {:.1} ms; the first {} were told after {:.2} s, all {followers} after {:.2} s",
        request.as_secs_f64() * 1e3,
        notifications::USERS_AT_ONCE,
        first.as_secs_f64(),
        last.as_secs_f64(),
    );
    let (rows,): (u64,) = query("SELECT COUNT(*) FROM notifications WHERE kind = 'went_live'")
        .one(db)
        .await?;
    assert_eq!(rows, followers, "each is told once");
    shutdown.cancel();
    running.await?;
    Ok(())
}

/// What others do, one thing after the other.
struct Others {
    reads: Quantiles,
    writes: Quantiles,
}

impl Others {
    async fn act(
        db: &Database,
        world: &World,
        goes_on: impl Fn(u32) -> bool,
    ) -> Result<Self, RowError> {
        let (mut reads, mut writes, mut acts) = (Vec::new(), Vec::new(), 0);
        while goes_on(acts) {
            acts += 1;
            let began = Instant::now();
            notifications::page(db, world.reader, None, 20).await?;
            notifications::unread(db, world.reader).await?;
            reads.push(began.elapsed());
            let began = Instant::now();
            let mut transaction = db.write().await?;
            let now = SystemClock.now();
            match acts % 2 {
                1 => likes::like(db, &mut transaction, world.reader, world.post, now).await?,
                _ => likes::unlike(db, &mut transaction, world.reader, world.post, now).await?,
            };
            transaction.commit().await?;
            writes.push(began.elapsed());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(Self {
            reads: Quantiles::of_times(reads),
            writes: Quantiles::of_times(writes),
        })
    }
}

impl std::fmt::Display for Others {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (what, times) in [("pages", &self.reads), ("likes", &self.writes)] {
            write!(
                f,
                "{} {what}: p50 {:.1} ms, p99 {:.1} ms, at most {:.1} ms; ",
                times.sorted().len(),
                times.percentile(50),
                times.percentile(99),
                times.percentile(100),
            )?;
        }
        Ok(())
    }
}

/// An owner of a stream whom so many follow, a post of theirs, and one who reads and likes.
async fn fill(db: &Database, followers: u64) -> Result<World, Box<dyn Error>> {
    let now = SystemClock.now();
    let mut made = Vec::new();
    for name in ["owner", "reader"] {
        let user = NewUser {
            name,
            email: &format!("{name}@example.org"),
            password_hash: "",
            is_admin: false,
        };
        made.push(users::create(db, user, now).await?.id);
    }
    let (owner, reader) = (made[0], made[1]);
    let stream = NewStream {
        owner,
        name: &"engines".parse()?,
        takeover: TakeoverPolicy::Takeover,
    };
    let stream = streams::create(db, stream, &"key-of-engines".parse()?, now).await?;
    let mut n = 0;
    while n < followers {
        let mut transaction = db.write().await?;
        for _ in 0..AT_ONCE.min(followers - n) {
            let id = Uuid::now_v7();
            query(
                "INSERT INTO users (id, name, email, password_hash, created_at)
                 VALUES ($1, $2, $2, '', 0)",
            )
            .bind(id)
            .bind(format!("follower{n}"))
            .execute(&mut transaction)
            .await?;
            query(
                "INSERT INTO follows (follower_id, followed_id, created_at, accepted_at)
                 VALUES ($1, $2, $3, $3)",
            )
            .bind(id)
            .bind(owner)
            .bind(now - Micros::from_secs(1))
            .execute(&mut transaction)
            .await?;
            n += 1;
        }
        transaction.commit().await?;
    }
    if db.engine() == storage::rows::sql::Engine::Postgres {
        let mut transaction = db.write().await?;
        query("ANALYZE").execute(&mut transaction).await?;
        transaction.commit().await?;
    }
    let mut transaction = db.write().await?;
    let post = NewPost {
        author: owner,
        parent: None,
        quote_of: None,
        shows: Shows::Nothing,
        visibility: Visibility::Public,
        body: "Hello",
        mentions: &[],
        hashtags: &[],
    };
    let post = posts::create(db, &mut transaction, &post, now)
        .await?
        .post
        .id;
    transaction.commit().await?;
    Ok(World {
        owner,
        stream: stream.id,
        reader,
        post,
    })
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        engines: Engine::ALL.to_vec(),
        followers: 100_000,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let missing = format!("{argument} needs a value");
            arguments.next().ok_or(missing)
        };
        match argument.as_str() {
            "--engine" => {
                let name = value()?;
                options.engines.retain(|engine| engine.name() == name);
                if options.engines.is_empty() {
                    return Err(format!("{name} is no engine: expected sqlite or postgres").into());
                }
            }
            "--followers" => options.followers = value()?.parse()?,
            other => return Err(format!("{other} is not known").into()),
        }
    }
    Ok(options)
}
