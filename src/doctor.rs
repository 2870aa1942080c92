//! `nova doctor`: one line for each thing this machine needs.

use std::net::SocketAddr;
use std::time::Instant;

use storage::rows::{Database, Fault, IfMissing};
use storage::without_credentials;
use tokio::net::TcpListener;

use crate::config::Config;

/// Checks, prints, and says whether all is well.
pub async fn doctor(config: &Config) -> bool {
    let mut report = Report { faults: 0 };
    codecs(&mut report);
    report.line(
        "hardware",
        Ok("no hardware encoder is used in this version".to_owned()),
    );
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
}

fn codecs(report: &mut Report) {
    let engines = transcode::engines();
    if engines.is_empty() {
        let why = "none in this build: only the source rendition can be served";
        report.line("engine", Err(why.to_owned()));
    }
    for engine in engines {
        let libraries: Vec<_> = engine
            .libraries
            .iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        report.line(
            "engine",
            Ok(format!("{} ({})", engine.name, libraries.join(", "))),
        );
        for codec in engine.codecs {
            let text = format!("{} ({})", codec.name, codec.purpose);
            let missing = format!("{text} is missing: install FFmpeg with it");
            report.line(
                "codec",
                if codec.present {
                    Ok(text)
                } else {
                    Err(missing)
                },
            );
        }
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
