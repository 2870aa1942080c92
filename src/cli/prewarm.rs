//! The command line of `nova prewarm`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use media::{NodeId, PrewarmId, VideoId};

/// `nova prewarm`
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    group = ArgGroup::new("subject").required(true).args(["urls", "urls_from", "video", "playlist"]),
)]
pub struct PrewarmArgs {
    /// What else is to be done
    #[command(subcommand)]
    pub command: Option<PrewarmCommand>,
    /// URLs, or their paths
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
    /// A file with a URL on each line, or - for standard input; 10,000 at most
    #[arg(long, value_name = "FILE")]
    pub urls_from: Option<PathBuf>,
    /// A video: its playlists, its manifest, and all its media
    #[arg(long, value_name = "ID")]
    pub video: Option<VideoId>,
    /// An HLS playlist, and what it names
    #[arg(long, value_name = "URL")]
    pub playlist: Option<String>,
    /// How many segments of each rendition: the first, or the newest of what is live
    /// [default: all]
    #[arg(long, value_name = "SEGMENTS", conflicts_with_all = ["urls", "urls_from"])]
    pub depth: Option<NonZeroU32>,
    /// One of the renditions, as its playlist is named: 720p [default: all]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["urls", "urls_from"])]
    pub rendition: Vec<String>,
    /// One of the edges, by its id in `nova node list` [default: all that are live]
    #[arg(long, value_name = "ID")]
    pub node: Vec<NodeId>,
    /// Wait for its end, and show how far it is; exit 1 when something could not be stored
    #[arg(long)]
    pub wait: bool,
}

/// What else `nova prewarm` does.
#[derive(Debug, Subcommand)]
pub enum PrewarmCommand {
    /// Show how far a prewarm is: one line for each edge, and what failed first
    Status {
        /// Its id
        id: PrewarmId,
    },
    /// End a prewarm; what is stored stays
    Cancel {
        /// Its id
        id: PrewarmId,
    },
}
