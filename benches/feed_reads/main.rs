//! What a large world's feeds and searches cost: 1,000,000 posts of 100,000 people, on each engine.
//!
//! `cargo run --release -p benches --bin feed_reads -- [--engine sqlite|postgres] [--reads N]`
//! prints the plan of each query, the time of pages that one client reads, and how many of them a
//! second of a processor gives; on PostgreSQL beside `pgbench`, which runs the same texts with
//! the same values. It fails if PostgreSQL reads a large table whole.

mod pages;
mod pgbench;
mod plans;
mod world;

use std::error::Error;
use std::time::{Duration, Instant};

use benches::databases::{Engine, Place};
use benches::processor;
use benches::quantiles::Quantiles;
use media::{Clock, SystemClock};
use pages::Page;
use storage::Database;

struct Options {
    engines: Vec<Engine>,
    reads: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    for engine in options.engines {
        let place = engine.place();
        let db = place.open().await;
        let now = SystemClock.now();
        let readers = world::fill(&db, now).await?;
        world::follow_up(&db, now).await?;
        let pages = Page::all(&readers);
        for page in &pages {
            if let Some(statement) = page.statement() {
                plans::print(&db, page.name, statement).await?;
            }
        }
        for page in &pages {
            let read = read(&db, &place, page, options.reads).await?;
            println!("{:>28}: {read}", page.name);
            if let (Place::Server(database), Some(statement)) = (&place, page.statement()) {
                let peer = pgbench::read(database, &statement, options.reads)?;
                println!(
                    "{:>28}  pgbench {peer:.0} in a second of a processor: {:.2} of it",
                    "",
                    read.per_processor_second / peer
                );
            }
        }
    }
    Ok(())
}

/// What reading pages one after the other has cost.
struct Read {
    times: Quantiles,
    items: usize,
    per_processor_second: f64,
}

impl std::fmt::Display for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} items, p50 {:.2} ms, p99 {:.2} ms, {:.0} in a second of a processor",
            self.items,
            self.times.percentile(50),
            self.times.percentile(99),
            self.per_processor_second
        )
    }
}

async fn read(
    db: &Database,
    place: &Place,
    page: &Page,
    reads: usize,
) -> Result<Read, Box<dyn Error>> {
    let mut items = 0;
    for _ in 0..reads / 10 {
        items = page.read(db).await?;
    }
    let before = processor_time(place)?;
    let mut times = Vec::with_capacity(reads);
    for _ in 0..reads {
        let began = Instant::now();
        page.read(db).await?;
        times.push(began.elapsed());
    }
    let spent = processor_time(place)? - before;
    Ok(Read {
        times: Quantiles::of_times(times),
        items,
        per_processor_second: reads as f64 / spent.as_secs_f64(),
    })
}

/// Of this process and of the database's server.
fn processor_time(place: &Place) -> Result<Duration, Box<dyn Error>> {
    let own = processor::time_of_tree(std::process::id())?;
    let server = match place {
        Place::File(_) => Duration::ZERO,
        Place::Server(database) => processor::time_of_tree(database.process())?,
    };
    Ok(own + server)
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        engines: Engine::ALL.into(),
        reads: 1_000,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(format!("{name} needs a value"))?;
        match name.as_str() {
            "--engine" => {
                options.engines.retain(|engine| engine.name() == value);
                if options.engines.is_empty() {
                    return Err(format!("{value} is no engine: expected sqlite or postgres").into());
                }
            }
            "--reads" => options.reads = value.parse::<usize>()?.max(10),
            other => return Err(format!("{other} is not known").into()),
        }
    }
    Ok(options)
}
