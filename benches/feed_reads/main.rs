//! What a large world's feeds and searches cost: 1,000,000 posts of 100,000 people, on each engine.
//!
//! `cargo run --release -p benches --bin feed_reads -- [--engine sqlite|postgres] [--reads N]
//! [--posts N] [--people N]` prints the plan of everything that a page asks, the time of pages that
//! one client reads, and how many of them a second of a processor gives; on PostgreSQL beside
//! `pgbench`, which asks the same texts with the same values. It fails if a plan reads a large
//! table whole.

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
use storage::rows::sql::recorded;
use world::Size;

/// Between two reads whose time is taken: who reads takes no more of a busy machine than its share, and
/// so waits for nobody else.
const PAUSE: Duration = Duration::from_millis(10);

/// Processor time is counted in hundredths of a second: pages are read for so much of it, without a
/// pause.
const PROCESSOR_TIME: Duration = Duration::from_secs(1);

/// Reads after which the processor time is looked at.
const READS_AT_ONCE: usize = 50;

struct Options {
    engines: Vec<Engine>,
    reads: usize,
    size: Size,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let mut whole = Vec::new();
    for engine in options.engines {
        let place = engine.place();
        let db = place.open().await;
        let now = SystemClock.now();
        let readers = world::fill(&db, &place, options.size, now).await?;
        let pages = Page::all(&readers);
        let mut statements = Vec::new();
        for page in &pages {
            let (read, asked) = recorded(page.read(&db)).await;
            read?;
            let found = plans::print(&db, page.name, &asked).await?;
            whole.extend(
                found
                    .into_iter()
                    .map(|line| format!("{}: {line}", page.name)),
            );
            statements.push(asked);
        }
        println!("\n{} reads of each page, by one client:", options.reads);
        for (page, asked) in pages.iter().zip(statements) {
            let read = read(&db, &place, page, options.reads).await?;
            println!("{:>42}: {read}", page.name);
            if let Place::Server(database) = &place {
                let peer = pgbench::read(database, &asked, read.without_pause)?;
                println!(
                    "{:>42}  pgbench {peer:.0} in a second of a processor: ratio {:.2}",
                    "",
                    read.per_processor_second / peer
                );
            }
        }
    }
    match whole.is_empty() {
        true => Ok(()),
        false => Err(format!("large tables are read whole:\n{}", whole.join("\n")).into()),
    }
}

/// What reading pages one after the other has cost.
struct Read {
    times: Quantiles,
    items: usize,
    without_pause: usize,
    per_processor_second: f64,
}

impl std::fmt::Display for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:>2} items, p50 {:.2} ms, p99 {:.2} ms, {:.0} in a second of a processor",
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
    let mut times = Vec::with_capacity(reads);
    let mut items = 0;
    for _ in 0..reads {
        tokio::time::sleep(PAUSE).await;
        let began = Instant::now();
        items = page.read(db).await?;
        times.push(began.elapsed());
    }
    let before = processor_time(place)?;
    let (mut spent, mut without_pause) = (Duration::ZERO, 0);
    while spent < PROCESSOR_TIME {
        for _ in 0..READS_AT_ONCE {
            page.read(db).await?;
        }
        without_pause += READS_AT_ONCE;
        spent = processor_time(place)? - before;
    }
    Ok(Read {
        times: Quantiles::of_times(times),
        items,
        without_pause,
        per_processor_second: without_pause as f64 / spent.as_secs_f64(),
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
        size: Size::default(),
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
            "--posts" => options.size.posts = value.parse::<u64>()?.clamp(10_000, 1_000_000),
            "--people" => options.size.people = value.parse::<u64>()?.clamp(2_000, 1_000_000),
            other => return Err(format!("{other} is not known").into()),
        }
    }
    Ok(options)
}
