//! `wrk`, and what it says.

use std::error::Error;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// What each contestant is given.
pub(crate) struct Load {
    pub(crate) seconds: u32,
    pub(crate) connections: u32,
}

/// What came of it.
pub(crate) struct Loaded {
    pub(crate) requests: u64,
    /// On the wall, of the requests together.
    pub(crate) seconds: f64,
    pub(crate) p99: Duration,
}

impl Load {
    pub(crate) async fn run(&self, url: &str) -> Result<Loaded, Box<dyn Error>> {
        let output = Command::new("wrk")
            .args(["--threads", "1", "--latency"])
            .args(["--connections", &self.connections.to_string()])
            .args(["--duration", &format!("{}s", self.seconds)])
            .arg(url)
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|error| format!("wrk: {error}; install it"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() || said.contains("Non-2xx") || said.contains("Socket errors") {
            return Err(format!("wrk {url}: {said}").into());
        }
        read(&said).ok_or_else(|| format!("wrk said something else than expected: {said}").into())
    }
}

fn read(said: &str) -> Option<Loaded> {
    let mut p99 = None;
    let mut sum = None;
    for line in said.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["99%", latency] => p99 = duration(latency),
            [requests, "requests", "in", time, ..] => {
                let time = duration(time.trim_end_matches(','))?;
                sum = Some((requests.parse().ok()?, time.as_secs_f64()));
            }
            _ => {}
        }
    }
    let (requests, seconds) = sum?;
    Some(Loaded {
        requests,
        seconds,
        p99: p99?,
    })
}

/// `1.25ms`.
fn duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    Some(Duration::from_secs_f64(
        number.parse::<f64>().ok()? * seconds,
    ))
}
