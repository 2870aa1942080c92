//! What the operator can set. Each part has a plain struct; the default values here
//! are the schema: a key that is not in them does not exist.

mod access;
mod api;
mod check;
mod demo;
mod hooks;
mod load;
mod upstreams;

pub use api::{Api, Mail};
pub use hooks::Hooks;
pub use load::{ConfigError, load};
pub use upstreams::{MAX_UPSTREAMS, Tier, Upstream};

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use edge::PushConfig;
use edge::server::{Rate, ServerConfig, Tls, TlsError};
use edge::usage::AccessLogTarget;
use serde::{Deserialize, Serialize};
use storage::objects::ObjectsConfig;
use storage::without_credentials;
use transcode::{EncoderChoice, EngineName, Profile, all_engines};

use crate::edge_node::OnDatabaseLoss;

/// What stands in the place of a secret that is printed.
const HIDDEN: &str = "***";

/// Everything, after file and environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Where rows and objects are kept unless they have a URL of their own.
    pub data_dir: PathBuf,
    /// Rows.
    pub database: Database,
    /// Objects: segments and init segments.
    pub objects: Objects,
    /// Events between processes.
    pub events: Events,
    /// RTMP in.
    pub ingest: Ingest,
    /// Live streams: segments, window, grace.
    pub live: Live,
    /// The ladder.
    pub transcode: Transcode,
    /// Video on demand.
    pub vod: Vod,
    /// The origin, where it is a process of its own.
    pub origin: Origin,
    /// The edge cache.
    pub edge: Edge,
    /// Who may have what is protected.
    pub access: Access,
    /// Web pages, playback and the API.
    pub http: Http,
    /// Accounts and their limits.
    pub api: Api,
    /// How mails leave.
    pub mail: Mail,
    /// Another RTMP server that asks who may publish.
    pub hooks: Hooks,
    /// Health and metrics.
    pub admin: Admin,
}

/// `[database]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// `sqlite:FILE` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`; empty: `nova.db` in
    /// the data directory.
    pub url: String,
}

/// `[objects]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objects {
    /// `file:DIR` or `s3://BUCKET/PREFIX`; empty: `objects` in the data directory. S3
    /// credentials come from the usual AWS chain: environment, profile, role.
    pub url: String,
    /// `http://HOST:PORT` or `https://HOST` of an S3 service; empty: AWS.
    pub s3_endpoint: String,
    /// Region of the bucket; empty: that of the AWS environment, else `us-east-1`.
    pub s3_region: String,
    /// Whether the bucket stands in the path instead of the host name.
    pub s3_path_style: bool,
}

/// `[events]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// `local:`, or `nats://HOST:PORT` when several processes work together.
    pub url: String,
}

/// `[ingest]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingest {
    /// Where RTMP is taken.
    pub rtmp_bind: SocketAddr,
    /// Where encoders reach that, `rtmp://HOST:PORT`, as the studio tells it; empty: at the host
    /// of the page, and the port of `rtmp_bind`.
    pub rtmp_url: String,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once from one address.
    pub max_connections_per_address: usize,
}

/// `[live]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// A segment is cut at the first key frame at or after this.
    pub segment_seconds: u32,
    /// How long a stream whose publisher is gone is kept before it ends.
    pub grace_seconds: u32,
    /// Segments in a playlist.
    pub window_segments: usize,
    /// How long segments stay in the object store.
    pub keep_seconds: u32,
}

/// `[transcode]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcode {
    /// Whether there is a ladder; without it only the source is served.
    pub enabled: bool,
    /// What decodes, scales and encodes: `ffmpeg` or `gstreamer`.
    pub engine: EngineName,
    /// What encodes H.264: `software`, a device (`vaapi`, `nvenc`, `qsv`, `v4l2`), or
    /// `auto`, the first device that works.
    pub encoder: EncoderChoice,
    /// What streams are encoded to that have no ladder of their own: `economy`, `standard`,
    /// `quality`, or steps as in `1080p:5000k,720p:2.8M`.
    pub ladder: Profile,
    /// Memory that a worker may have, in MiB; 0: sized to what it encodes. One that takes
    /// more ends, and another goes on.
    pub worker_memory_mib: u64,
}

/// `[vod]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vod {
    /// Videos that are transcoded at once.
    pub jobs_at_once: usize,
    /// Chunks of one video that are transcoded at once: each is a worker process.
    pub chunks_at_once: usize,
}

/// `[origin]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Where edges reach the origin when it is not in their process.
    pub bind: SocketAddr,
    /// The same as edges elsewhere call it, `http://HOST:PORT`, for the registry of origins;
    /// empty: `bind`, if that is the address of one host.
    pub url: String,
}

/// `[edge]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The origin, `http://HOST:PORT` or `https://HOST:PORT`, when it is not in this process.
    pub origin: String,
    /// Origins, where there are several: they take the place of `origin`.
    pub origins: Vec<String>,
    /// Edges to ask instead of the origins, as long as enough of them are up.
    pub shields: Vec<String>,
    /// Whether it looks for origins and shields in the registry, beside those that are named
    /// here. It needs `database.url`.
    pub discover: bool,
    /// `edge`, or `shield`: then other edges that discover ask it.
    pub tier: Tier,
    /// Where other edges reach a shield, `http://HOST:PORT`; empty: `http.bind`, if that is the
    /// address of one host.
    pub shield_url: String,
    /// File of the certificate authorities of `https://` upstreams; empty: the system's.
    pub authorities: String,
    /// This edge's name among edges, by which it knows a loop; empty: made up at each start.
    pub node: String,
    /// Memory for cached responses, in MiB.
    pub memory_mib: u64,
    /// New media of what is watched here are pushed from where they are published, so that
    /// they are here when they are asked for.
    pub push: bool,
    /// Renditions of live streams that are pushed here at one time; at a shield as many again
    /// for edges.
    pub max_feeds: usize,
    /// In the place of `origin`, `origins` and `shields`, with groups and weights.
    pub upstreams: Vec<Upstream>,
    /// Disk for cached responses, in MiB; 0: none. An edge next to its origin has no use for
    /// it: what it would keep is in the object store already.
    pub disk_mib: u64,
    /// A directory of its own for cached responses on disk; empty: `edge/cache` in the
    /// data directory.
    pub disk_dir: String,
    /// Where a record of each request is written, one JSON line each: `off`, `-` for standard
    /// output, or a file.
    pub access_log: String,
    /// What its URLs begin with, `http://HOST:PORT`, for the registry of nodes; empty: not
    /// told.
    pub public_url: String,
    /// Where it is, for the registry of nodes; empty: not told.
    pub region: String,
    /// What it does when it cannot hear of purges: `revalidate`, or `serve`.
    pub on_database_loss: OnDatabaseLoss,
    /// Objects that all prewarms together fetch at a time.
    pub prewarm_concurrency: usize,
}

impl Edge {
    /// Where access records are written, if anywhere.
    pub fn access_log_target(&self) -> Option<AccessLogTarget> {
        match self.access_log.as_str() {
            "off" => None,
            "-" => Some(AccessLogTarget::Output),
            file => Some(AccessLogTarget::File(file.into())),
        }
    }
}

/// `[access]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Keys of signed URLs and cookies, `KID:ALGORITHM:KEY` with space or commas between
    /// them. All verify, the first that can sign does so. `nova url key` makes one.
    pub keys: String,
    /// A file of more keys, behind those; empty: none. It is read again when it changes.
    pub keys_file: PathBuf,
    /// The key that all nodes of a database share, behind all others; nobody configures it.
    #[serde(skip)]
    pub shared_key: String,
    /// Paths that need a token, with commas between them: all below `/live/NAME/`, or one
    /// resource where no slash is at the end.
    pub signed: String,
    /// Paths among those that need none.
    pub public: String,
    /// Whether cookies are for HTTPS only, also where something in front of the edge speaks it.
    pub secure_cookies: bool,
}

/// `[http]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http {
    /// Where web pages, playback and the API are served.
    pub bind: SocketAddr,
    /// Where playback is, `http://HOST:PORT`, when the edge is another process.
    pub playback_url: String,
    /// A certificate chain in PEM form; with it and `tls_key` `bind` speaks nothing but TLS.
    /// Both files are read again when they change.
    pub tls_certificate: PathBuf,
    /// The key of the chain's first certificate, in PEM form.
    pub tls_key: PathBuf,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once from one IPv4 address or one IPv6 /64.
    pub max_connections_per_address: usize,
    /// Requests per second from one address, and ten times as many at once after a silence;
    /// 0: as many as come. A low-latency viewer makes about 12, and many may share an address.
    pub max_requests_per_second_per_address: u32,
}

impl Http {
    /// Whether it is reached by TLS.
    fn has_tls(&self) -> bool {
        self.tls_certificate != Path::new("")
    }

    /// Its certificate, read from the files, if it is to have one.
    pub fn tls(&self) -> Result<Option<Tls>, TlsError> {
        self.has_tls()
            .then(|| Tls::load(&self.tls_certificate, &self.tls_key))
            .transpose()
    }

    /// What `https://HOST:PORT` begins with, or `http`.
    pub fn scheme(&self) -> &'static str {
        match self.has_tls() {
            true => "https",
            false => "http",
        }
    }

    /// The limits of its listener.
    pub fn limits(&self) -> ServerConfig {
        let per_second = self.max_requests_per_second_per_address;
        ServerConfig {
            max_connections: self.max_connections,
            max_connections_per_address: self.max_connections_per_address,
            requests_per_address: Rate {
                per_second,
                burst: per_second.saturating_mul(10),
            },
            ..ServerConfig::default()
        }
    }
}

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admin {
    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    pub bind: SocketAddr,
}

impl Default for Config {
    fn default() -> Self {
        let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let limits = ServerConfig::default();
        Self {
            data_dir: PathBuf::from("nova-data"),
            database: Database { url: String::new() },
            objects: Objects {
                url: String::new(),
                s3_endpoint: String::new(),
                s3_region: String::new(),
                s3_path_style: false,
            },
            events: Events {
                url: "local:".to_owned(),
            },
            ingest: Ingest {
                rtmp_bind: any(1935),
                rtmp_url: String::new(),
                max_connections: 1_000,
                max_connections_per_address: 50,
            },
            live: Live {
                segment_seconds: 2,
                grace_seconds: 30,
                window_segments: 10,
                keep_seconds: 3_600,
            },
            transcode: Transcode {
                enabled: true,
                engine: all_engines().first().copied().unwrap_or_default(),
                encoder: EncoderChoice::Software,
                ladder: Profile::default(),
                worker_memory_mib: 0,
            },
            vod: Vod {
                jobs_at_once: 1,
                chunks_at_once: 2,
            },
            origin: Origin {
                bind: loopback(8081),
                url: String::new(),
            },
            edge: Edge {
                origin: "http://127.0.0.1:8081".to_owned(),
                origins: Vec::new(),
                shields: Vec::new(),
                discover: false,
                tier: Tier::Edge,
                shield_url: String::new(),
                authorities: String::new(),
                node: String::new(),
                memory_mib: 256,
                push: true,
                max_feeds: PushConfig::default().max_feeds,
                upstreams: Vec::new(),
                disk_mib: 0,
                disk_dir: String::new(),
                access_log: "off".to_owned(),
                public_url: String::new(),
                region: String::new(),
                on_database_loss: OnDatabaseLoss::Revalidate,
                prewarm_concurrency: 4,
            },
            access: Access {
                keys: String::new(),
                keys_file: PathBuf::new(),
                shared_key: String::new(),
                signed: String::new(),
                public: String::new(),
                secure_cookies: false,
            },
            http: Http {
                bind: any(8080),
                playback_url: String::new(),
                tls_certificate: PathBuf::new(),
                tls_key: PathBuf::new(),
                max_connections: limits.max_connections,
                max_connections_per_address: limits.max_connections_per_address,
                max_requests_per_second_per_address: limits.requests_per_address.per_second,
            },
            api: Api::default(),
            mail: Mail::default(),
            hooks: Hooks::default(),
            admin: Admin {
                bind: loopback(9090),
            },
        }
    }
}

impl Config {
    /// Makes the data directory if there is none.
    pub fn make_data_dir(&self) -> Result<(), ConfigError> {
        std::fs::create_dir_all(&self.data_dir).map_err(|source| ConfigError::DataDir {
            path: self.data_dir.clone(),
            source,
        })
    }

    /// The URL of the rows, with its default filled in.
    pub fn database_url(&self) -> String {
        default_url(
            &self.database.url,
            "sqlite:",
            &self.data_dir.join("nova.db"),
        )
    }

    /// The URL of the objects, with its default filled in.
    pub fn objects_url(&self) -> String {
        default_url(&self.objects.url, "file:", &self.data_dir.join("objects"))
    }

    /// Where the edge keeps responses on disk; None without a disk tier.
    pub fn edge_disk(&self) -> Option<PathBuf> {
        let directory = match self.edge.disk_dir.as_str() {
            "" => self.data_dir.join("edge").join("cache"),
            given => PathBuf::from(given),
        };
        (self.edge.disk_mib > 0).then_some(directory)
    }

    /// Which object store, and how to reach it.
    pub fn objects(&self) -> ObjectsConfig {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        ObjectsConfig {
            url: self.objects_url(),
            s3_endpoint: given(&self.objects.s3_endpoint),
            s3_region: given(&self.objects.s3_region),
            s3_path_style: self.objects.s3_path_style,
            ..ObjectsConfig::default()
        }
    }

    /// Where viewers reach playback.
    pub fn playback_url(&self) -> String {
        match self.http.playback_url.as_str() {
            "" => format!(
                "{}://localhost:{}",
                self.http.scheme(),
                self.http.bind.port()
            ),
            url => url.to_owned(),
        }
    }

    /// Where encoders publish to, as pages tell it; `{host}` is the host that a page came from.
    pub fn told_rtmp_url(&self) -> String {
        match (self.ingest.rtmp_url.as_str(), self.ingest.rtmp_bind.port()) {
            ("", 1935) => "rtmp://{host}".to_owned(),
            ("", port) => format!("rtmp://{{host}}:{port}"),
            (url, _) => url.to_owned(),
        }
    }

    /// The effective values as TOML, keys and passwords in URLs hidden.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        let mut shown = self.clone();
        shown.database.url = without_credentials(&self.database_url());
        shown.objects.url = without_credentials(&self.objects_url());
        shown.objects.s3_endpoint = without_credentials(&self.objects.s3_endpoint);
        shown.events.url = storage::events::without_credentials(&self.events.url);
        if !shown.access.keys.is_empty() {
            shown.access.keys = HIDDEN.to_owned();
        }
        shown.mail.smtp_url = without_credentials(&self.mail.smtp_url);
        shown.hooks.hide_secret();
        shown.edge.hide_credentials();
        toml::to_string(&shown)
    }
}

/// A scheme, a host and maybe a port, and nothing after.
pub fn is_http_origin(text: &str, schemes: &[&str]) -> bool {
    text.split_once("://").is_some_and(|(scheme, authority)| {
        schemes.contains(&scheme) && authority.parse::<http::uri::Authority>().is_ok()
    })
}

fn default_url(given: &str, scheme: &str, path: &Path) -> String {
    if given.is_empty() {
        format!("{scheme}{}", path.display())
    } else {
        given.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_that_cannot_be_made_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let config = Config {
            data_dir: file.join("nova-data"),
            ..Config::default()
        };
        let sentence = config.make_data_dir().unwrap_err().to_string();
        assert!(sentence.contains("file/nova-data"), "{sentence}");
        assert!(sentence.contains("--data-dir"), "{sentence}");
    }
}
