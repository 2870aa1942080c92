//! One room of a real `nova serve`, and very many who listen: deliveries in a second of a processor
//! of the server, how long a message takes to all of them, and what a socket costs that says
//! nothing. Beside it, in the same run and with the same crowd, axum's own chat example.
//!
//! `cargo run --release -p benches --bin chat_fanout -- [--nova FILE] [--seconds N] [--sockets N,N]
//! [--rate N]` fails if somebody does not hear every message. Each of those who talk says three messages
//! a second at most, so that few sockets get less than the rate. The crowd is this process: it decodes
//! every message and counts it, and shares the machine with the server.

mod crowd;
mod example;
mod nova;

use std::error::Error;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use benches::memory::resident_kib;
use benches::{account_server, processor};
use crowd::{Crowd, Protocol};

struct Options {
    nova: PathBuf,
    seconds: u64,
    sockets: Vec<usize>,
    /// Messages in a second, as far as those who talk may say so many.
    rate: u64,
}

/// What was measured of one server.
struct Measured {
    per_processor_second: f64,
    kib_per_idle_socket: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    // A connection is a file, here and there.
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mut arguments = std::env::args().skip(1).peekable();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    // This program is the example's server, too.
    if arguments.next_if(|first| first == example::SERVE).is_some() {
        let address = arguments.next().ok_or("an address is missing")?;
        return runtime.block_on(example::serve(address.parse()?));
    }
    let options = options(arguments)?;
    runtime.block_on(compare(&options))
}

async fn compare(options: &Options) -> Result<(), Box<dyn Error>> {
    let processors = available_parallelism()?;
    println!(
        "{processors} processors; {} s each, {} messages a second at most",
        options.seconds, options.rate
    );
    for &sockets in &options.sockets {
        let server = nova::Server::start(&options.nova).await?;
        let protocol = Protocol::Nova(server.token.clone());
        let nova = measure(
            "nova",
            server.address(),
            server.process(),
            protocol,
            sockets,
            options,
        );
        let nova = nova.await?;
        drop(server);
        let server = example::Server::start().await?;
        let (address, process) = (server.address(), server.process());
        let example = measure(
            "example",
            address,
            process,
            Protocol::Example,
            sockets,
            options,
        );
        let example = example.await?;
        println!(
            "{sockets:>6} sockets: nova delivers {:.2} of the example in a second of a processor, \
             an idle socket costs {:.2} of its",
            nova.per_processor_second / example.per_processor_second,
            nova.kib_per_idle_socket / example.kib_per_idle_socket,
        );
    }
    Ok(())
}

async fn measure(
    name: &str,
    address: std::net::SocketAddr,
    process: u32,
    protocol: Protocol,
    sockets: usize,
    options: &Options,
) -> Result<Measured, Box<dyn Error>> {
    // What is taken once is taken before.
    drop(Crowd::gather(address, &protocol, 20).await.map_err(told)?);
    let before = resident_kib(process)?;
    let crowd = Crowd::gather(address, &protocol, sockets)
        .await
        .map_err(told)?;
    // How many are there has been told by then.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let kib_per_idle_socket = (resident_kib(process)? - before) / sockets as f64;

    let before = processor::time_of_tree(process)?;
    let rate = options.rate.min(crowd::max_rate(sockets));
    let heard = crowd.hear(rate, options.seconds).await.map_err(told)?;
    let spent = processor::time_of_tree(process)? - before;
    let per_processor_second = heard.deliveries as f64 / spent.as_secs_f64();
    println!(
        "{sockets:>6} sockets, {name}: {} deliveries, {:.0}/s, {per_processor_second:.0} in a second of \
         a processor; p50 {:.1} ms, p99 {:.1} ms; {kib_per_idle_socket:.1} KiB for an idle socket",
        heard.deliveries,
        heard.deliveries as f64 / heard.span.as_secs_f64(),
        heard.delays.percentile(50),
        heard.delays.percentile(99),
    );
    Ok(Measured {
        per_processor_second,
        kib_per_idle_socket,
    })
}

fn told(failure: crowd::Failure) -> String {
    failure.to_string()
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        nova: PathBuf::from("target/release/nova"),
        seconds: 10,
        sockets: vec![1_000, 5_000],
        rate: 20,
    };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(format!("{name} needs a value"))?;
        match name.as_str() {
            "--nova" => options.nova = value.into(),
            "--seconds" => options.seconds = value.parse::<u64>()?.max(1),
            "--rate" => options.rate = value.parse::<u64>()?.max(1),
            "--sockets" => {
                let sockets = value.split(',').map(str::parse);
                options.sockets = sockets.collect::<Result<_, _>>()?;
                if options.sockets.contains(&0) {
                    return Err("--sockets: in a room of 0 nobody hears anything".into());
                }
            }
            other => return Err(format!("{other} is not known").into()),
        }
    }
    account_server::check(&options.nova)?;
    Ok(options)
}
