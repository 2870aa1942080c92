//! Logins per second of a real `nova serve` at the bound of its memory for passwords, and beside
//! them what the bare `argon2` crate computes on as many threads; and the memory that it takes for
//! them, beside what the computations that go on at once need.
//!
//! `cargo run --release -p benches --bin logins -- [--nova FILE] [--seconds N] [--clients N,N]`
//! fails if a login is answered anything but 200, or 429 with `Retry-After` and `RateLimit`, or if
//! logins take more memory than the computations, `BESIDE_MIB`, and `KIB_PER_CLIENT` of each client.
//! The clients share the machine with the server.

mod bare;
mod crowd;

use std::error::Error;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use argon2::Params;
use bare::Bare;
use benches::account_server::{self, AccountServer};
use benches::quantiles::Quantiles;
use benches::{memory, processor};
use crowd::Answers;

/// Who logs in. Each has a few sessions at once.
const ACCOUNTS: usize = 32;

/// `api.password_memory_mib`, and how many computations of 19 MiB go on at once by it.
const MEMORY: [(&str, usize); 3] = [("19", 1), ("38", 2), ("64", 3)];

/// What a server may take beside computations once somebody logs in: pages of SQLite's, and what an
/// allocator keeps.
const BESIDE_MIB: f64 = 32.0;

/// What a connection may take with its request.
const KIB_PER_CLIENT: f64 = 32.0;

struct Options {
    nova: PathBuf,
    seconds: u64,
    clients: Vec<usize>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    // A connection is a file, here and there.
    rlimit::increase_nofile_limit(u64::MAX)?;
    let processors = available_parallelism()?;
    let seconds = options.seconds;
    println!("{processors} processors; {seconds} s each; the default memory is 64 MiB");
    let accounts: Vec<String> = (0..ACCOUNTS).map(|n| format!("user-{n}")).collect();
    for (memory, turns) in MEMORY {
        let bare = bare::compute(turns, seconds)?;
        println!(
            "\n{memory} MiB, {turns} at once: bare argon2 {:.1}/s, {:.1} in a second of a processor",
            bare.per_second, bare.per_processor_second
        );
        for clients in &options.clients {
            let settings = [("API__PASSWORD_MEMORY_MIB", memory)];
            let server = AccountServer::start(&options.nova, &accounts, &settings).await?;
            let http = server.http();
            let idle = memory::resident_kib(server.process())?;
            // Warm-up.
            crowd::log_in(http, &accounts, turns, 1).await?;
            let before = processor::time_of_tree(server.process())?;
            let answers = crowd::log_in(http, &accounts, *clients, seconds).await?;
            let spent = processor::time_of_tree(server.process())? - before;
            print(*clients, &answers, spent, &bare);
            let peak = memory::peak_kib(server.process())?;
            check_memory(idle, peak, turns, *clients)?;
        }
    }
    Ok(())
}

fn print(clients: usize, answers: &Answers, spent: Duration, bare: &Bare) {
    let logins = answers.let_in.len() as f64;
    let per_second = logins / answers.span.as_secs_f64();
    let per_processor_second = logins / spent.as_secs_f64();
    let times = Quantiles::of_times(answers.let_in.iter().copied());
    println!(
        "{clients:>5} clients: {per_second:.1} logins/s ({:.2} of bare), \
         {per_processor_second:.1} in a second of a processor ({:.2} of bare)",
        per_second / bare.per_second,
        per_processor_second / bare.per_processor_second,
    );
    println!(
        "               p50 {:.0} ms, p99 {:.0} ms; {} refused by 429, the slowest after {:.0} ms",
        times.percentile(50),
        times.percentile(99),
        answers.refused,
        answers.slowest_refusal.as_secs_f64() * 1e3,
    );
}

/// Prints what the server took, in KiB before anybody logged in and at the most; too much is a fault.
fn check_memory(idle: f64, peak: f64, turns: usize, clients: usize) -> Result<(), Box<dyn Error>> {
    let grown = (peak - idle) / 1_024.0;
    let computations = turns as f64 * f64::from(Params::DEFAULT_M_COST) / 1_024.0;
    let margin = BESIDE_MIB + clients as f64 * KIB_PER_CLIENT / 1_024.0;
    println!(
        "               {:.0} MiB idle, {grown:.0} more at the most: {computations:.0} for the \
         computations, at most {margin:.0} beside them",
        idle / 1_024.0,
    );
    match grown <= computations + margin {
        true => Ok(()),
        false => Err("logins take more memory than they may, see above".into()),
    }
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        nova: PathBuf::from("target/release/nova"),
        seconds: 10,
        clients: vec![32, 1_000],
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(format!("{name} needs a value"))?;
        match name.as_str() {
            "--nova" => options.nova = value.into(),
            "--seconds" => options.seconds = value.parse::<u64>()?.max(1),
            "--clients" => {
                let clients = value.split(',').map(str::parse);
                options.clients = clients.collect::<Result<_, _>>()?;
            }
            other => return Err(format!("{other} is not known").into()),
        }
    }
    account_server::check(&options.nova)?;
    Ok(options)
}
