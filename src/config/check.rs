//! What cannot be, beyond the type of each value.

use std::path::Path;

use edge::access::KeyRing;
use storage::without_credentials;
use transcode::all_engines;

use super::{Config, ConfigError, is_http_origin};

impl Config {
    /// Refuses it.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let range = |key: &'static str, value: u64, from: u64, to: u64| {
            if (from..=to).contains(&value) {
                return Ok(());
            }
            Err(ConfigError::Value {
                key: key.to_owned(),
                given: value.to_string(),
                expected: format!("a number from {from} to {to}"),
            })
        };
        let live = &self.live;
        range("live.segment_seconds", live.segment_seconds.into(), 1, 4)?;
        range("live.grace_seconds", live.grace_seconds.into(), 0, 3_600)?;
        range(
            "live.window_segments",
            live.window_segments as u64,
            4,
            1_000,
        )?;
        range(
            "live.keep_seconds",
            live.keep_seconds.into(),
            60,
            31_536_000,
        )?;
        let memory = self.transcode.worker_memory_mib;
        if memory > 0 {
            range("transcode.worker_memory_mib", memory, 64, 1 << 20)?;
        }
        for (key, given) in [
            ("vod.jobs_at_once", self.vod.jobs_at_once),
            ("vod.chunks_at_once", self.vod.chunks_at_once),
        ] {
            range(key, given as u64, 1, 64)?;
        }
        range("edge.memory_mib", self.edge.memory_mib, 1, 1 << 20)?;
        let concurrency = self.edge.prewarm_concurrency as u64;
        range("edge.prewarm_concurrency", concurrency, 1, 256)?;
        range("edge.max_feeds", self.edge.max_feeds as u64, 1, 1 << 16)?;
        let keys = self.access.keys.parse::<KeyRing>().map_err(|error| {
            let key = "access.keys";
            ConfigError::Keys { key, error }
        })?;
        // The file is read by those who need it.
        let has_keys = !keys.is_empty() || !self.access.keys_file.as_os_str().is_empty();
        if !self.access_policy()?.is_open() && !has_keys {
            return Err(self.no_keys());
        }
        self.edge.check_upstreams()?;
        self.api.check()?;
        self.mail.check()?;
        self.hooks.check()?;
        if self.edge.disk_mib > 0 {
            range("edge.disk_mib", self.edge.disk_mib, 64, 1 << 30)?;
        }
        if self.edge.access_log.is_empty() {
            return Err(ConfigError::Value {
                key: "edge.access_log".to_owned(),
                given: "\"\"".to_owned(),
                expected: "off, - for standard output, or a file".to_owned(),
            });
        }
        let region = &self.edge.region;
        if region.len() > 64 || !region.chars().all(|c| c.is_ascii_graphic()) {
            return Err(ConfigError::Value {
                key: "edge.region".to_owned(),
                given: region.chars().take(80).collect(),
                expected: "at most 64 visible ASCII characters".to_owned(),
            });
        }
        let engines = all_engines();
        if !engines.is_empty() && !engines.contains(&self.transcode.engine) {
            let names: Vec<_> = engines.iter().map(|engine| engine.as_str()).collect();
            return Err(ConfigError::Value {
                key: "transcode.engine".to_owned(),
                given: self.transcode.engine.to_string(),
                expected: format!("an engine of this build: {}", names.join(" or ")),
            });
        }
        for (key, given) in [
            ("http.max_connections", self.http.max_connections),
            (
                "http.max_connections_per_address",
                self.http.max_connections_per_address,
            ),
            ("ingest.max_connections", self.ingest.max_connections),
            (
                "ingest.max_connections_per_address",
                self.ingest.max_connections_per_address,
            ),
        ] {
            range(key, given as u64, 1, 1_000_000)?;
        }
        range(
            "http.max_requests_per_second_per_address",
            self.http.max_requests_per_second_per_address.into(),
            0,
            1_000_000,
        )?;
        let [certificate, key] = [&self.http.tls_certificate, &self.http.tls_key];
        for (name, file, other) in [
            ("http.tls_certificate", certificate, "http.tls_key"),
            ("http.tls_key", key, "http.tls_certificate"),
        ] {
            if file == Path::new("") && certificate != key {
                return Err(ConfigError::Value {
                    key: name.to_owned(),
                    given: "\"\"".to_owned(),
                    expected: format!("a file, since {other} is given"),
                });
            }
        }
        let named =
            |key, named: Result<(), String>| named.map_err(|why| ConfigError::Url { key, why });
        let database = storage::rows::check_url(&self.database_url());
        named("database.url", database.map_err(|e| e.to_string()))?;
        let objects = storage::objects::check_url(&self.objects_url());
        named("objects.url", objects.map_err(|e| e.to_string()))?;
        let events = storage::events::check_url(&self.events.url);
        named("events.url", events.map_err(|e| e.to_string()))?;
        for (key, given, schemes) in [
            (
                "objects.s3_endpoint",
                &self.objects.s3_endpoint,
                &["http", "https"][..],
            ),
            (
                "http.playback_url",
                &self.http.playback_url,
                &["http", "https"],
            ),
            ("edge.public_url", &self.edge.public_url, &["http", "https"]),
            ("origin.url", &self.origin.url, &["http", "https"]),
            ("ingest.rtmp_url", &self.ingest.rtmp_url, &["rtmp", "rtmps"]),
        ] {
            // What is told to viewers has no password in it.
            let is_told = key != "objects.s3_endpoint";
            let is_origin = is_http_origin(given, schemes) && !(is_told && given.contains('@'));
            if !given.is_empty() && !is_origin {
                return Err(ConfigError::Value {
                    key: key.to_owned(),
                    given: without_credentials(given),
                    expected: format!("{}://HOST:PORT", schemes.join(":// or ")),
                });
            }
        }
        Ok(())
    }
}
