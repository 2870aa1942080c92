//! The command line.

mod prewarm;
mod stream;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use edge::access::{Algorithm, PathScope, SessionName};
use media::{AddressRange, VideoId};
use transcode::{EngineName, Profile};

use crate::quantities::Span;

pub use prewarm::{PrewarmArgs, PrewarmCommand};
pub use stream::{SetStream, StreamCommand, StreamEngine, Switch};

/// A streaming engine: RTMP in, an adaptive ladder, LL-HLS and DASH out.
#[derive(Debug, Parser)]
#[command(name = "nova", version, about, max_term_width = 100)]
pub struct Cli {
    /// How log lines are written; what is logged is set by RUST_LOG
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human)]
    pub log: LogFormat,
    #[command(flatten)]
    pub settings: Settings,
    #[command(subcommand)]
    pub command: Command,
}

/// Where settings come from.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Configuration file [default: nova.toml, where there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where rows and objects are kept [default: nova-data]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For a person at a terminal
    Human,
    /// One JSON object a line
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server: every role in one process, or some of them
    Serve(Serve),
    /// Publish a test picture or a file by RTMP
    Publish(Publish),
    /// Check this machine: codecs, ports, database, objects
    Doctor,
    /// Configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Database
    #[command(subcommand)]
    Db(DbCommand),
    /// Accounts
    #[command(subcommand)]
    User(UserCommand),
    /// Streams
    #[command(subcommand)]
    Stream(StreamCommand),
    /// Videos: recordings of broadcasts, and imported files
    #[command(subcommand)]
    Vod(VodCommand),
    /// Signed URLs and cookies for what is protected
    #[command(subcommand)]
    Url(UrlCommand),
    /// Have something leave the caches of all edges
    Purge(PurgeArgs),
    /// Have edges store something before anybody asks for it
    Prewarm(PrewarmArgs),
    /// Nodes: the edges of this installation
    #[command(subcommand)]
    Node(NodeCommand),
    /// Measure this machine
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Interface descriptions
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// The transcode worker; started by the server
    #[command(hide = true)]
    Worker,
    /// The demuxing process; started by the server
    #[command(hide = true)]
    Demux {
        /// What to do, as JSON
        task: String,
    },
    /// The process that makes pictures; started by the server
    #[command(hide = true)]
    Pictures,
}

/// `nova purge`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["url", "prefix", "pattern", "tag", "stream", "video", "everything"]))]
pub struct PurgeArgs {
    /// A URL, or its path
    pub url: Option<String>,
    /// All paths that begin with it
    #[arg(long, value_name = "PATH")]
    pub prefix: Option<String>,
    /// All paths that it matches: * is any text within a segment, ** any text
    #[arg(long)]
    pub pattern: Option<String>,
    /// All answers with this tag in Cache-Tag
    #[arg(long)]
    pub tag: Option<String>,
    /// All of a live stream
    #[arg(long, value_name = "NAME")]
    pub stream: Option<String>,
    /// All of a video
    #[arg(long, value_name = "ID")]
    pub video: Option<String>,
    /// All
    #[arg(long)]
    pub everything: bool,
    /// Have it asked about before it is used again, and keep it for when the origin fails
    #[arg(long)]
    pub soft: bool,
    /// Wait until every edge that serves has obeyed; exit 1 when one does not within 30 s
    #[arg(long)]
    pub wait: bool,
}

impl PurgeArgs {
    /// The kind of what is purged, and its text.
    pub fn selector(&self) -> (&'static str, &str) {
        let given = [
            ("url", &self.url),
            ("prefix", &self.prefix),
            ("pattern", &self.pattern),
            ("tag", &self.tag),
            ("stream", &self.stream),
            ("video", &self.video),
        ];
        given
            .into_iter()
            .find_map(|(kind, text)| Some((kind, text.as_deref()?)))
            .unwrap_or(("everything", ""))
    }
}

/// `nova node`
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List the edges: id, URL, region, version, state
    List,
}

/// `nova bench`
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Transcode a file as fast as it goes: frames per second, processor time, and how near
    /// each rung is to the source (PSNR and SSIM, for which `ffmpeg` is needed)
    Transcode(BenchTranscode),
}

/// `nova bench transcode`
#[derive(Debug, Args)]
pub struct BenchTranscode {
    /// Any file with pictures
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// economy, standard, quality, or steps such as 1080p:5000k,720p:2.8M,360p:700k
    #[arg(long, value_name = "LADDER")]
    pub ladder: Option<Profile>,
    /// What decodes and encodes
    #[arg(long, value_name = "ENGINE", default_value_t)]
    pub engine: EngineName,
    /// How much of the file
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Encode the source at its own size too
    #[arg(long)]
    pub source: bool,
}

/// `nova serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// Roles of this process
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROLE,...", default_values_t = Role::ALL)]
    pub role: Vec<Role>,
    /// Try it out: a small world of people, a stream with a fixed key and a test picture on it, all
    /// on loopback addresses
    #[arg(long)]
    pub demo: bool,
}

/// A part of the server that can be a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Role {
    /// RTMP in
    Ingest,
    /// The ladder
    Transcode,
    /// Packaging, and the origin that serves it
    Origin,
    /// The cache that players reach
    Edge,
    /// Web pages and the API
    Api,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ingest => "ingest",
            Self::Transcode => "transcode",
            Self::Origin => "origin",
            Self::Edge => "edge",
            Self::Api => "api",
        })
    }
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Ingest,
        Self::Transcode,
        Self::Origin,
        Self::Edge,
        Self::Api,
    ];
}

/// `nova publish`
#[derive(Debug, Args)]
pub struct Publish {
    /// rtmp://HOST:PORT/APP/KEY; without KEY it is read from NOVA_STREAM_KEY
    pub url: String,
    /// A file with H.264 and AAC, or `test` for the test picture
    #[arg(long, value_name = "FILE|test")]
    pub input: String,
    /// Start a file again when it ends
    #[arg(long)]
    pub repeat: bool,
}

/// `nova config`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration and print the effective values, secrets hidden
    Check,
}

/// `nova db`
#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Bring the tables up to date, and say what was done
    Migrate,
    /// Check rows and objects: one line for each fault, exit 1 when there is one
    ///
    /// Rows: what the engine finds damaged, migrations that are missing or foreign, rows that
    /// refer to rows that are not there. Objects of live streams and videos: rows whose object is
    /// missing or has another size, and objects that no row names (orphans). Objects of a
    /// broadcast that goes on, or was not settled after its end, and of a video that is being
    /// made, are only counted. The server may run.
    Check,
    /// Copy every row from one database to another, of either engine
    ///
    /// The destination must exist (PostgreSQL) or is made (SQLite), and must be empty; its tables
    /// are made by this command. Objects are not copied: both databases name the same ones.
    ///
    /// A password that is not in a URL is taken from PGPASSWORD or ~/.pgpass.
    ///
    /// Stop Nova first. The source is read at one instant: what is written to it later is not
    /// copied. A source with a lease that is held or a stream that is live is refused.
    ///
    /// Interrupted, the same command goes on where it was; until it is through, nothing else
    /// uses the destination. At the end every table is read again on both sides, and counts
    /// and SHA-256 are compared. Exit 1 when they differ; the first difference is named.
    Copy {
        /// Where rows are: sqlite:FILE or postgres://USER:PASSWORD@HOST:PORT/DATABASE
        #[arg(long, value_name = "URL")]
        from: String,
        /// Where they go, in the same forms
        #[arg(long, value_name = "URL")]
        to: String,
        /// Copy also when the source seems to be in use: after a crash, a stream that was
        /// live seems so until the server has run again
        #[arg(long)]
        force: bool,
    },
}

/// `nova user`
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Create an account; the password is read from standard input when that is not a
    /// terminal, and made up and printed otherwise
    Create {
        /// Name of the account
        name: String,
        /// E-mail address
        #[arg(long)]
        email: String,
        /// May do everything
        #[arg(long)]
        admin: bool,
    },
}

/// `nova vod`
#[derive(Debug, Subcommand)]
pub enum VodCommand {
    /// Import a file: it is copied, and transcoded by a server with the transcode role
    ///
    /// Any MP4, Matroska, WebM, MPEG-TS, AVI, FLV or similar file, up to 8K and 24 h, or one
    /// of sound alone. What is wrong with a file, `nova vod show` tells.
    Import {
        /// The file
        file: PathBuf,
        /// Name of the account it belongs to
        #[arg(long, value_name = "USER")]
        owner: String,
        /// What people read [default: the file's name]
        #[arg(long)]
        title: Option<String>,
    },
    /// List videos: id, title, state
    List,
    /// Show a video: where it plays, or how far it is
    Show {
        /// Its id
        id: VideoId,
    },
    /// Stop transcoding a video and delete it; or delete one that has failed
    Cancel {
        /// Its id
        id: VideoId,
    },
}

/// `nova url`
#[derive(Debug, Subcommand)]
pub enum UrlCommand {
    /// Sign a URL with the first key of `access.keys` that can
    Sign(SignUrl),
    /// Make a new key, for `access.keys` or the file that `access.keys_file` names
    Key {
        /// What tokens name it by: letters, digits, - and _
        id: String,
        /// hmac-sha256, or ed25519, which has a public key for those who only verify
        #[arg(long, value_name = "ALGORITHM", default_value = "hmac-sha256")]
        algorithm: Algorithm,
    },
}

/// `nova url sign`
#[derive(Debug, Args)]
pub struct SignUrl {
    /// What it opens: all below /live/NAME/, or one resource where no slash is at the end
    #[arg(long, value_name = "PATH")]
    pub path: PathScope,
    /// How long
    #[arg(long, value_name = "SPAN")]
    pub expires_in: Span,
    /// From when on [default: at once]
    #[arg(long, value_name = "SPAN")]
    pub starts_in: Option<Span>,
    /// For whom: an address, or the first bits of some, such as 192.0.2.0/24
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<AddressRange>,
    /// Name of the viewer's session
    #[arg(long, value_name = "NAME")]
    pub session: Option<SessionName>,
    /// Where playback is, http://HOST:PORT [default: as configured]
    #[arg(long, value_name = "URL")]
    pub base: Option<String>,
    /// Where the token stands
    #[arg(long, value_enum, default_value_t = TokenForm::Path)]
    pub form: TokenForm,
}

/// Where a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TokenForm {
    /// In the URL's path: for every player
    Path,
    /// In the URL's query: for browsers, which get a cookie for it
    Query,
    /// In a cookie: the value of Set-Cookie
    Cookie,
    /// Alone
    Token,
}

/// `nova schema`
#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// The GraphQL schema
    Graphql,
}
