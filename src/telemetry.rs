//! Logs, and the recorder behind `/metrics`.

use std::io::IsTerminal;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// What is logged when `RUST_LOG` says nothing.
const DEFAULT_FILTER: &str = "info";

/// The histograms of the edge, and where their buckets end.
const HISTOGRAMS: [(&str, &[f64]); 3] = [
    (
        "nova_edge_time_to_head_seconds",
        &[
            0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
        ],
    ),
    (
        "nova_edge_cmcd_buffer_length_seconds",
        &[0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0],
    ),
    (
        "nova_edge_cmcd_throughput_bits_per_second",
        &[
            250e3, 500e3, 1e6, 2e6, 4e6, 8e6, 16e6, 32e6, 64e6, 128e6, 256e6,
        ],
    ),
];

/// How often what was recorded of histograms is added up: until then every single value is
/// kept.
const UPKEEP: Duration = Duration::from_secs(5);

/// Starts logging to standard error.
pub fn start_logging(format: LogFormat) {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing_subscriber::filter::LevelFilter::INFO.into())
        .parse_lossy(std::env::var("RUST_LOG").unwrap_or_else(|_| DEFAULT_FILTER.to_owned()));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Human => builder
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}

/// Starts recording metrics; the handle renders them.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in HISTOGRAMS {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)?;
    }
    builder.install_recorder()
}

/// Keeps the memory of metrics small, whether or not somebody asks for them.
pub async fn keep_up(metrics: PrometheusHandle, shutdown: CancellationToken) {
    let pause = || tokio::time::sleep(UPKEEP);
    while shutdown.run_until_cancelled(pause()).await.is_some() {
        metrics.run_upkeep();
    }
}
