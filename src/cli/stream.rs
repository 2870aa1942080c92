//! The command line of `nova stream`.

use std::str::FromStr;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use storage::rows::streams::TakeoverPolicy;
use transcode::{EncoderChoice, EngineName, Profile};

use crate::quantities::{Amount, Span, or_none};

/// `nova stream`
#[derive(Debug, Subcommand)]
pub enum StreamCommand {
    /// Create a stream and print its key, which is shown only now
    Create {
        /// Name of the stream, as in its URLs
        name: String,
        /// Name of the account it belongs to
        #[arg(long, value_name = "USER")]
        owner: String,
    },
    /// List streams
    List,
    /// Change what a stream keeps, who may take it over, and what it is encoded to
    Set(SetStream),
    /// Show what a stream keeps, what it is encoded to, and what it has
    Show {
        /// Name of the stream
        name: String,
    },
}

/// What `nova stream set` can change; one of them at least.
const CHANGES: [&str; 8] = [
    "recording",
    "keep_for",
    "byte_quota",
    "live_window",
    "takeover",
    "ladder",
    "engine",
    "encoder",
];

/// `nova stream set`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("changes").required(true).multiple(true).args(CHANGES))]
pub struct SetStream {
    /// Name of the stream
    pub name: String,
    /// Keep more than the live window; `off` lets a recording go
    #[arg(long, value_enum, value_name = "on|off")]
    pub recording: Option<Switch>,
    /// How long a recording is kept: 12h, 7d, 4w, or forever
    #[arg(long, value_name = "SPAN|forever")]
    pub keep_for: Option<KeepFor>,
    /// How much is kept, the newest: 500MB, 10GB, or none. The live window is kept all the
    /// same
    #[arg(long, value_name = "AMOUNT|none")]
    pub byte_quota: Option<ByteQuota>,
    /// How far back viewers may seek, recording or not: 90s, 30m, or default
    #[arg(long, value_name = "SPAN|default")]
    pub live_window: Option<LiveWindow>,
    /// What a second publisher with the right key meets
    #[arg(long, value_enum, value_name = "takeover|reject")]
    pub takeover: Option<Takeover>,
    /// Renditions below the source, from the next broadcast on: economy, standard, quality,
    /// steps such as 1080p:5000k,720p:2.8M (the largest first), or default
    #[arg(long, value_name = "PRESET|STEPS|default")]
    pub ladder: Option<StreamLadder>,
    /// What decodes and encodes it, from the next broadcast on
    #[arg(long, value_name = "ffmpeg|gstreamer|default")]
    pub engine: Option<StreamEngine>,
    /// What encodes its H.264, from the next broadcast on: software, a device (vaapi, nvenc,
    /// qsv, v4l2), auto for the first device that works, or default. Software does the work
    /// of a device that does not work; `nova doctor` tells which do
    #[arg(long, value_name = "software|DEVICE|auto|default")]
    pub encoder: Option<StreamEncoder>,
    /// With `--recording off`: yes, delete what was recorded
    #[arg(long, requires = "recording")]
    pub delete_recording: bool,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On
    On,
    /// Off
    Off,
}

/// What a second publisher meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Takeover {
    /// It takes over
    Takeover,
    /// It is rejected
    Reject,
}

impl From<Takeover> for TakeoverPolicy {
    fn from(given: Takeover) -> Self {
        match given {
            Takeover::Takeover => Self::Takeover,
            Takeover::Reject => Self::Reject,
        }
    }
}

/// A quantity, or the word for none.
macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident($inner:ty), $none:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub Option<$inner>);

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                or_none(text, $none).map(Self)
            }
        }
    };
}

quantity!(
    /// How long a recording is kept.
    KeepFor(Span), "forever"
);
quantity!(
    /// How many bytes are kept.
    ByteQuota(Amount), "none"
);
quantity!(
    /// How long everything is kept.
    LiveWindow(Span), "default"
);

/// What the transcoder reads, or the word for what is configured.
macro_rules! or_default {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(pub Option<$inner>);

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                if text == "default" {
                    return Ok(Self(None));
                }
                let read: Result<$inner, _> = text.parse();
                read.map(|read| Self(Some(read)))
                    .map_err(|error| format!("{error}, or default"))
            }
        }
    };
}

or_default!(
    /// What a stream is encoded to; none: as `transcode.ladder` says.
    StreamLadder(Profile)
);
or_default!(
    /// What decodes, scales and encodes a stream; none: as `transcode.engine` says.
    StreamEngine(EngineName)
);
or_default!(
    /// What encodes a stream's H.264; none: as `transcode.encoder` says.
    StreamEncoder(EncoderChoice)
);
