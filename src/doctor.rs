//! `nova doctor`: one line for each thing this machine needs.

use std::net::SocketAddr;
use std::time::Instant;

use storage::rows::{Database, Fault, IfMissing};
use storage::without_credentials;
use tokio::net::TcpListener;
use transcode::{EncoderChoice, EngineReport, WorkerCommand, WorkerError};

use crate::config::Config;

/// Checks, prints, and says whether all is well.
pub async fn doctor(config: &Config) -> bool {
    let mut report = Report { faults: 0 };
    engines(config, &mut report).await;
    for (key, address) in [
        ("ingest.rtmp_bind", config.ingest.rtmp_bind),
        ("http.bind", config.http.bind),
        ("admin.bind", config.admin.bind),
    ] {
        report.line(key, port(address).await);
    }
    report.line("database", database(config).await);
    report.line("objects", objects(config).await);
    report.line("events", events(config).await);
    report.faults == 0
}

struct Report {
    faults: u32,
}

impl Report {
    fn line(&mut self, what: &str, finding: Result<String, String>) {
        let (mark, text) = match finding {
            Ok(text) => ("ok   ", text),
            Err(text) => {
                self.faults += 1;
                ("FAULT", text)
            }
        };
        println!("{mark} {what:<18} {text}");
    }

    /// What is not there and not needed.
    fn note(&mut self, what: &str, text: &str) {
        println!("--    {what:<18} {text}");
    }
}

async fn engines(config: &Config, report: &mut Report) {
    let command = match WorkerCommand::this_program() {
        Ok(command) => command,
        Err(WorkerError::NoEngine) => {
            let why = "none in this build: only the source rendition can be served";
            report.line("engine", Err(why.to_owned()));
            return;
        }
        Err(error) => {
            report.line("engine", Err(error.to_string()));
            return;
        }
    };
    for &name in transcode::all_engines() {
        let wanted = name == config.transcode.engine;
        match transcode::survey(&command, name).await {
            Ok(engine) => {
                describe(&engine, wanted, report);
                let choice = wanted.then_some(config.transcode.encoder);
                hardware(&engine, choice, &command, report).await;
            }
            Err(error) => report.line("engine", Err(format!("{name}: {error}"))),
        }
    }
}

/// An engine, and what it needs. What one lacks that is not asked for is no fault.
fn describe(engine: &EngineReport, wanted: bool, report: &mut Report) {
    let libraries: Vec<_> = engine
        .libraries
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let libraries = libraries.join(", ");
    let used = if wanted { ", used" } else { "" };
    report.line("engine", Ok(format!("{} ({libraries}){used}", engine.name)));
    for codec in &engine.codecs {
        let text = format!("{}: {} ({})", engine.name, codec.name, codec.purpose);
        let missing = format!("{text} is missing: install {}", codec.package);
        match (codec.present, wanted) {
            (true, _) => report.line("codec", Ok(text)),
            (false, true) => report.line("codec", Err(missing)),
            (false, false) => report.note("codec", &missing),
        }
    }
}

/// The devices that an engine has an encoder for, each tried with a picture. `choice` is
/// what the operator asks of this engine.
async fn hardware(
    engine: &EngineReport,
    choice: Option<EncoderChoice>,
    command: &WorkerCommand,
    report: &mut Report,
) {
    for &(device, ref name) in &engine.devices {
        let asked_for = choice == Some(EncoderChoice::Device(device));
        let text = format!("{}: {device} ({name})", engine.name);
        match transcode::try_device(command, engine.name, device).await {
            Ok(()) => report.line("hardware", Ok(format!("{text} is usable"))),
            Err(error) if asked_for => {
                report.line(
                    "hardware",
                    Err(format!("{text} is there but fails: {error}")),
                );
            }
            Err(error) => report.note("hardware", &format!("{text} is there but fails: {error}")),
        }
    }
    match choice {
        Some(EncoderChoice::Device(device))
            if !engine.devices.iter().any(|(found, _)| *found == device) =>
        {
            let why = format!("{}: no encoder for {device} is installed", engine.name);
            report.line("hardware", Err(why));
        }
        _ if engine.devices.is_empty() => {
            let text = format!("{}: no hardware encoder is installed", engine.name);
            report.note("hardware", &text);
        }
        _ => {}
    }
}

async fn port(address: SocketAddr) -> Result<String, String> {
    match TcpListener::bind(address).await {
        Ok(_) => Ok(format!("{address} is free")),
        Err(error) => Err(format!("{address}: {error}")),
    }
}

async fn database(config: &Config) -> Result<String, String> {
    let url = config.database_url();
    let database = match Database::open(&url, IfMissing::Fail).await {
        Ok(database) => database,
        Err(storage::rows::RowError::Missing(path)) => {
            return Ok(format!("{} will be made", path.display()));
        }
        Err(error) => return Err(error.to_string()),
    };
    let looked = async {
        let version = database.version().await?;
        let asked = Instant::now();
        database.ping().await?;
        Ok((version, asked.elapsed(), database.check_migrations().await?))
    };
    let looked: Result<_, storage::rows::RowError> = looked.await;
    database.close().await;
    let (version, latency, mut faults) = looked.map_err(|error| error.to_string())?;
    // The server applies those when it starts.
    let all = faults.len();
    faults.retain(|fault| !matches!(fault, Fault::Pending(_)));
    let pending = all - faults.len();
    if faults.is_empty() {
        let latency = latency.as_secs_f64() * 1_000.0;
        let url = without_credentials(&url);
        return Ok(format!(
            "{url}: {version}, answers in {latency:.1} ms, {pending} migrations to apply"
        ));
    }
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    Err(faults.join("; "))
}

async fn objects(config: &Config) -> Result<String, String> {
    let url = config.objects_url();
    let store = storage::objects::open(&config.objects())
        .await
        .map_err(|error| error.to_string())?;
    let probe = "doctor/probe";
    let tried = async {
        store
            .put(probe, bytes::Bytes::from_static(b"probe"))
            .await?;
        store.get(probe).await?;
        store.delete(probe).await
    };
    tried.await.map(|()| url).map_err(|error| error.to_string())
}

async fn events(config: &Config) -> Result<String, String> {
    let url = &config.events.url;
    match storage::events::open(url).await {
        Ok(_) if url == "local:" => Ok("in this process".to_owned()),
        Ok(_) => Ok(format!(
            "{} answers",
            storage::events::without_credentials(url)
        )),
        Err(error) => Err(error.to_string()),
    }
}
