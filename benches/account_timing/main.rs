//! Whether the time of an answer tells if there is an account: a login, a request for another
//! password and a registration, about accounts that are there and about as many that are not, in
//! random order over one connection to a real `nova serve`.
//!
//! `cargo run --release -p benches --bin account_timing -- [--nova FILE] [--samples N]` fails if
//! status, headers or text differ, and, after all of them, if times tell of an account. Where the
//! machine does something else, these mean nothing; and of a hundred comparisons of what is the
//! same, one fails.

mod comparison;
mod questions;
mod sink;

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use benches::account_server::{self, AccountServer};
use benches::http_client::{Answer, Client};
use benches::quantiles::Quantiles;
use comparison::KolmogorovSmirnov;
use questions::Operation;
use sink::Sink;

/// Requests before those that count.
const WARM_UP: usize = 50;
/// Between two requests, for the mails of the first.
const PAUSE: Duration = Duration::from_millis(10);

struct Options {
    nova: PathBuf,
    samples: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let sink = Sink::start().await?;
    let settings = [("MAIL__SMTP_URL", &*sink.url())];
    let server = AccountServer::start(&options.nova, &questions::accounts(), &settings).await?;
    let mut client = Client::connect(server.http()).await?;
    let mut told_apart = Vec::new();
    for operation in Operation::ALL {
        let mut measured = Measured::default();
        let order = [shuffled(WARM_UP), shuffled(options.samples)].concat();
        for (n, is_known) in order.into_iter().enumerate() {
            let question = operation.question(is_known, n);
            tokio::time::sleep(PAUSE).await;
            let begun = Instant::now();
            let answer = client.post(question.path, &question.body).await?;
            let time = begun.elapsed();
            measured.compare(is_known, &answer, &question.address)?;
            if n >= 2 * WARM_UP {
                measured.note(is_known, time);
            }
        }
        println!(
            "{}, {}",
            operation.name(),
            measured.told.unwrap_or_default()
        );
        if print(measured.known, measured.unknown).tells_apart() {
            told_apart.push(operation.name());
        }
    }
    println!("{} mails were handed over", sink.taken());
    match told_apart.as_slice() {
        [] => Ok(()),
        names => Err(format!("time tells if there is an account: {}", names.join(", ")).into()),
    }
}

/// What one operation is like.
#[derive(Default)]
struct Measured {
    known: Vec<Duration>,
    unknown: Vec<Duration>,
    /// What every answer has to be.
    told: Option<String>,
}

impl Measured {
    /// Fails if the answer is another than those before.
    fn compare(
        &mut self,
        is_known: bool,
        answer: &Answer,
        address: &str,
    ) -> Result<(), Box<dyn Error>> {
        let headers = answer.headers.iter();
        // Of these the values tell how often it was asked, and when.
        let counts = ["date", "ratelimit", "retry-after"];
        let headers = headers.map(|(name, value)| match counts.contains(&name.as_str()) {
            true => format!("{name}: *"),
            false => format!("{name}: {value}"),
        });
        let headers: Vec<String> = headers.collect();
        let seen = format!(
            "{} {}\n{}",
            answer.status,
            answer.body.replace(address, "*"),
            headers.join("\n")
        );
        let told = self.told.get_or_insert_with(|| seen.clone());
        match *told == seen {
            true => Ok(()),
            false => Err(format!("is_known = {is_known}: {seen}\nbut {told}").into()),
        }
    }

    fn note(&mut self, is_known: bool, time: Duration) {
        match is_known {
            true => self.known.push(time),
            false => self.unknown.push(time),
        }
    }
}

fn print(known: Vec<Duration>, unknown: Vec<Duration>) -> KolmogorovSmirnov {
    let (known, unknown) = (Quantiles::of_times(known), Quantiles::of_times(unknown));
    for (name, times) in [("known", &known), ("unknown", &unknown)] {
        println!(
            "  {name:>7} {} times: p50 {:7.3} ms, p90 {:7.3} ms, p99 {:7.3} ms",
            times.sorted().len(),
            times.percentile(50),
            times.percentile(90),
            times.percentile(99),
        );
    }
    let test = KolmogorovSmirnov::of(&known, &unknown);
    println!(
        "  medians differ by {:+.3} ms; Kolmogorov-Smirnov D {:.3}, critical {:.3} at 0.01: {}\n",
        known.percentile(50) - unknown.percentile(50),
        test.distance,
        test.critical,
        match test.tells_apart() {
            true => "TOLD APART",
            false => "not told apart",
        }
    );
    test
}

/// So many of both kinds, shuffled; the same in every run.
fn shuffled(of_each: usize) -> Vec<bool> {
    let mut order: Vec<bool> = (0..2 * of_each).map(|n| n % 2 == 0).collect();
    let mut state = 0x6e6f_7661_u64;
    for n in (1..order.len()).rev() {
        order.swap(n, (splitmix(&mut state) % (n as u64 + 1)) as usize);
    }
    order
}

/// SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        nova: PathBuf::from("target/release/nova"),
        samples: 500,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(format!("{name} needs a value"))?;
        match name.as_str() {
            "--nova" => options.nova = value.into(),
            "--samples" => options.samples = value.parse::<usize>()?.max(1),
            other => return Err(format!("{other} is not known").into()),
        }
    }
    account_server::check(&options.nova)?;
    Ok(options)
}
