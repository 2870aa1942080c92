//! What a large world's feeds and searches cost: 1,000,000 posts of 100,000 people, on each engine.
//!
//! `cargo run --release -p benches --bin feed_reads -- [--engine sqlite|postgres] [--reads N]
//! [--posts N] [--people N]` prints the plans of everything that pages ask, the time of whole pages
//! that one client is shown, made by the services as for REST, and how many of them a second of a
//! processor gives; and the same of their rows alone, on PostgreSQL beside `pgbench`, which asks the
//! same texts with the same values. It fails if a plan reads a large table whole.

mod pages;
mod pgbench;
mod plans;
mod world;

use std::error::Error;
use std::time::{Duration, Instant};

use benches::databases::{Engine, Place};
use benches::processor;
use benches::quantiles::Quantiles;
use benches::services;
use media::{Clock, SystemClock};
use pages::Page;
use plans::Plans;
use storage::rows::sql::recorded;
use world::Size;

/// A page, in 99 of 100 cases.
const AIM: Duration = Duration::from_millis(10);

/// Of reads of rows, to those of `pgbench`.
const AIM_OF_RATIO: f64 = 0.5;

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
        let (services, _running) = services::start(&db).await?;
        let mut plans = Plans::default();
        for page in &pages {
            let (shown, asked) = recorded(page.show(&services)).await;
            shown?;
            let found = plans.print(&db, page.name, &asked).await?;
            let found = found.into_iter();
            whole.extend(found.map(|line| format!("{}: {line}", page.name)));
        }
        println!("\n{} of each page, for one client:", options.reads);
        for page in &pages {
            let show = async || page.show(&services).await;
            let (items, times) = timed(options.reads, &show).await?;
            let (p50, p99) = (times.percentile(50), times.percentile(99));
            let pages = per_processor_second(&place, &show).await?;
            println!(
                "{:>42}: {items:>2} items, p50 {p50:.2} ms, p99 {p99:.2} ms: {}; {:.0} in a second \
                 of a processor",
                page.name,
                outcome(p99 < AIM.as_secs_f64() * 1e3),
                pages.per_second,
            );
            let rows = per_processor_second(&place, async || Ok(page.read(&db).await?)).await?;
            print!("{:>42}  rows alone {:.0}", "", rows.per_second);
            if let Place::Server(database) = &place {
                let (read, asked) = recorded(page.read(&db)).await;
                read?;
                let peer = pgbench::read(database, &asked, rows.times)?;
                let ratio = rows.per_second / peer;
                print!(
                    ", pgbench {peer:.0}: ratio {ratio:.2}: {}",
                    outcome(ratio >= AIM_OF_RATIO)
                );
            }
            println!();
        }
        println!(
            "aims: p99 of a page under {} ms, ratio at least {AIM_OF_RATIO}",
            AIM.as_millis()
        );
    }
    match whole.is_empty() {
        true => Ok(()),
        false => Err(format!("large tables are read whole:\n{}", whole.join("\n")).into()),
    }
}

fn outcome(is_met: bool) -> &'static str {
    match is_met {
        true => "met",
        false => "MISSED",
    }
}

/// Does it so often, with pauses: what it gave last, and how long it took.
async fn timed<T: Default>(
    times: usize,
    work: impl AsyncFn() -> Result<T, Box<dyn Error>>,
) -> Result<(T, Quantiles), Box<dyn Error>> {
    let mut taken = Vec::with_capacity(times);
    let mut last = T::default();
    for _ in 0..times {
        tokio::time::sleep(PAUSE).await;
        let began = Instant::now();
        last = work().await?;
        taken.push(began.elapsed());
    }
    Ok((last, Quantiles::of_times(taken)))
}

/// How often something was done without a pause, and how often a second of a processor does it.
struct Rate {
    times: usize,
    per_second: f64,
}

async fn per_processor_second<T>(
    place: &Place,
    work: impl AsyncFn() -> Result<T, Box<dyn Error>>,
) -> Result<Rate, Box<dyn Error>> {
    let before = processor_time(place)?;
    let (mut spent, mut times) = (Duration::ZERO, 0);
    while spent < PROCESSOR_TIME {
        for _ in 0..READS_AT_ONCE {
            work().await?;
        }
        times += READS_AT_ONCE;
        spent = processor_time(place)? - before;
    }
    Ok(Rate {
        times,
        per_second: times as f64 / spent.as_secs_f64(),
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
