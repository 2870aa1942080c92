//! What every test of the real binary is written with: a server, encoders, players,
//! and eyes on the playlists.

mod browser;
pub(crate) mod cmaf;
mod crowd;
mod encoder;
mod follower;
mod gate;
mod history;
mod http;
mod network;
mod obs;
mod pages;
mod person;
mod playlist;
mod probe;
mod process;
mod recording;
mod replay;
mod server;
#[macro_use]
mod site;
mod socket;
mod stream;
mod versioned_origin;
mod wait;
mod watcher;

pub(crate) use browser::{Browser, Cue, browser_command, browser_cues, browser_plays};
pub(crate) use crowd::Crowd;
pub(crate) use encoder::{Clip, Encoder, Publisher, make_file};
pub(crate) use follower::Follower;
pub(crate) use gate::Gate;
pub(crate) use history::{History, Seen, now};
pub(crate) use http::{Http, Response, resolve};
pub(crate) use network::{Host, Network};
pub(crate) use obs::Obs;
pub(crate) use pages::Pages;
pub(crate) use person::{Face, Graphql, Person, Rest};
pub(crate) use playlist::{MediaPlaylist, Segment};
pub(crate) use probe::{Medium, Probed};
pub(crate) use process::{
    Lines, Process, Signal, is_running, peak_of_the_ended_kib, processor_time, resident_kib,
    resident_peak_kib,
};
pub(crate) use recording::{ALARM, ALL_CLEAR, newest_object};
pub(crate) use replay::{Asked, Replay, ReplayOrigin};
pub(crate) use server::{Listener, Nova, Serve};
pub(crate) use site::{Engine, Finished, Site};
pub(crate) use socket::{LOST, Socket};
pub(crate) use stream::{Rendition, Stream, WARM_UP};
pub(crate) use versioned_origin::VersionedOrigin;
pub(crate) use wait::{wait_for, wait_until};
pub(crate) use watcher::Watcher;
