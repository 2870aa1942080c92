//! One publication: its frames to segments, until it ends.

use std::sync::Arc;

use ingest::{Feed, Publication};
use media::{Epoch, Frame, Rendition, RenditionName, StreamName, Timestamp, TrackKind};
use packager::LiveStream;
use packager::live::{EpochPlan, Lead, LiveError};
use storage::rows::segments::{self, EpochRow};
use storage::rows::sessions::SessionRow;
use storage::rows::streams::{self, StoredEncoding};
use storage::rows::{Database, RowError};
use tokio::task::JoinSet;
use transcode::{Job, Profile, plan};

use super::Context;
use super::archive::Archive;
use super::ladder::{Ladder, LadderFeed, Telling};
use super::measure::{EpochMeter, SessionMeter};
use super::numbers::Numbers;
use super::packaged::{Outlet, Packaged};

/// Why a publication's frames are no longer taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum BroadcastError {
    /// Another process has the stream, or the rows cannot be written.
    #[error("a number could not be reserved: {0}")]
    Reserve(#[from] RowError),
    /// The pipeline was slower than the source's changes for too long.
    #[error("too many changes of the source were left unread")]
    CutOff,
    /// The live window does not take the epoch.
    #[error(transparent)]
    Window(#[from] LiveError),
}

/// What a publication's pipeline stands on.
pub(super) struct Broadcast<'a> {
    pub(super) context: &'a Context,
    /// The rows, fenced: another origin may take the stream.
    pub(super) rows: &'a Database,
    pub(super) session: &'a SessionRow,
    pub(super) window: &'a Arc<LiveStream>,
    pub(super) archive: &'a Archive,
    pub(super) meter: &'a SessionMeter,
}

impl Broadcast<'_> {
    /// Runs until the publication ends, and says where its media does. Whatever happens,
    /// what was open is finished.
    pub(super) async fn run(
        &self,
        mut publication: Publication,
    ) -> (Timestamp, Result<(), BroadcastError>) {
        let mut current: Option<Pipeline> = None;
        let since = self.context.shelves.clock.now();
        let mut media_end = Timestamp::default();
        let mut numbers = Numbers::new(self.rows, self.session.stream, self.context.ahead);
        // The next epoch does not wait for the last one's worker.
        let mut ending = JoinSet::new();
        let outcome = loop {
            let Some(item) = publication.feed.recv().await else {
                let cut_off = publication.feed.was_cut_off();
                break if cut_off {
                    Err(BroadcastError::CutOff)
                } else {
                    Ok(())
                };
            };
            let step = match item {
                Feed::EpochStarted(epoch) => {
                    self.start(&publication, epoch, since).await.map(|started| {
                        current = Some(started);
                    })
                }
                Feed::Frame(frame) => match &mut current {
                    Some(pipeline) => self.frame(pipeline, frame, &mut numbers).await,
                    None => Ok(()),
                },
                Feed::EpochEnded => {
                    if let Some(pipeline) = current.take() {
                        media_end = media_end.max(pipeline.finish(self.window, &mut ending));
                    }
                    Ok(())
                }
            };
            if let Err(error) = step {
                break Err(error);
            }
        };
        if let Some(pipeline) = current {
            media_end = media_end.max(pipeline.finish(self.window, &mut ending));
        }
        self.meter.end();
        numbers.give_back().await;
        ending.join_all().await;
        (media_end, outcome)
    }

    async fn start(
        &self,
        publication: &Publication,
        epoch: Arc<Epoch>,
        since: Timestamp,
    ) -> Result<Pipeline, BroadcastError> {
        let name = &publication.grant.name;
        let row = EpochRow {
            number: epoch.number,
            session: self.session.id,
            first_segment: epoch.first_segment,
            started_at: epoch.start,
            target_duration: epoch.target_duration,
        };
        segments::insert_epoch(self.rows, self.session.stream, &row).await?;
        let (ladder, passthrough) = match &self.context.encodings {
            None => (None, true),
            Some(encodings) => {
                let (profile, stored) = self.choices(name).await;
                let plan = plan(&epoch, &profile.ladder());
                tracing::info!(
                    stream = %name, epoch = %epoch.number, %profile, "ladder: {}", plan.reason
                );
                let job = match Job::new(&epoch, &plan) {
                    Some(job) => {
                        let encoding = encodings.of(name, &stored).await;
                        encoding.map(|encoding| encoding.of(job))
                    }
                    // Nobody has to wait for what is not used.
                    None => None,
                };
                let passthrough = plan.passthrough || job.is_none();
                (
                    job.map(|job| (encodings.command().clone(), job)),
                    passthrough,
                )
            }
        };
        let mut renditions = Vec::new();
        if let Some(video) = epoch.video.as_ref().filter(|_| passthrough) {
            renditions.push(Rendition::new(
                RenditionName::SOURCE,
                video.codec.clone(),
                video.bit_rate,
                video.frame_duration,
            ));
        }
        if let Some(audio) = &epoch.audio {
            renditions.push(Rendition::new(
                RenditionName::AUDIO,
                audio.codec.clone(),
                audio.bit_rate,
                audio.frame_duration,
            ));
        }
        let expected = ladder.iter().flat_map(|(_, job)| &job.rungs);
        let begun = self.window.begin_epoch(EpochPlan {
            number: epoch.number,
            first_segment: epoch.first_segment,
            start: epoch.start,
            target_duration: epoch.target_duration,
            renditions: renditions.clone(),
            expected: expected.map(|rung| rung.name.clone()).collect(),
        });
        begun?;
        let clock = self.context.shelves.clock.clone();
        let outlet = Outlet {
            window: self.window.clone(),
            archive: self.archive.clone(),
            epoch: epoch.number,
            meter: self.meter.begin(&epoch, since, clock),
        };
        let mut pipeline = Pipeline {
            lead: epoch
                .lead()
                .map(|(kind, track)| (kind, Lead::new(track.frame_duration))),
            video: None,
            audio: None,
            ladder: None,
            meter: outlet.meter.clone(),
            end: epoch.start,
        };
        for rendition in renditions {
            let track = if rendition.name == RenditionName::AUDIO {
                &mut pipeline.audio
            } else {
                &mut pipeline.video
            };
            *track = Some(Packaged::start(&outlet, rendition));
        }
        pipeline.ladder = ladder.map(|(command, job)| {
            let ladder = Ladder {
                command,
                stream: name.clone(),
                job,
                outlet,
                clock: self.context.shelves.clock.clone(),
                machine: self.context.machine.clone(),
                telling: Telling {
                    database: self.context.shelves.database.clone(),
                    session: self.session.clone(),
                    stream: name.clone(),
                },
            };
            ladder.start()
        });
        Ok(pipeline)
    }

    /// What the stream is encoded to, and with what, as its row says now; without an answer,
    /// as the configuration does.
    async fn choices(&self, name: &StreamName) -> (Profile, StoredEncoding) {
        let Context {
            ladder, shelves, ..
        } = self.context;
        let (text, stored) = match streams::by_id(&shelves.database, self.session.stream).await {
            Ok(row) => row
                .map(|row| (row.ladder, row.encoding))
                .unwrap_or_default(),
            Err(error) => {
                tracing::warn!(
                    stream = %name, %error, "what it is encoded to is not known: the default"
                );
                Default::default()
            }
        };
        let profile = text.and_then(|text| {
            let read = text.parse();
            let told = read.inspect_err(|error| {
                tracing::warn!(stream = %name, %error, "its ladder is the default's instead");
            });
            told.ok()
        });
        (profile.unwrap_or_else(|| ladder.clone()), stored)
    }

    async fn frame(
        &self,
        pipeline: &mut Pipeline,
        frame: Frame,
        numbers: &mut Numbers<'_>,
    ) -> Result<(), BroadcastError> {
        if let Some(number) = frame.starts {
            numbers.begin(number).await?;
        }
        pipeline.push(frame, self.window);
        Ok(())
    }
}

/// The renditions of the current epoch.
struct Pipeline {
    /// The track whose segment boundaries are the stream's.
    lead: Option<(TrackKind, Lead)>,
    video: Option<Packaged>,
    audio: Option<Packaged>,
    ladder: Option<LadderFeed>,
    meter: Arc<EpochMeter>,
    /// Where the latest frame ends, or begins where it does not say.
    end: Timestamp,
}

impl Pipeline {
    fn push(&mut self, frame: Frame, window: &LiveStream) {
        self.end = self.end.max(frame.pts + frame.duration.unwrap_or_default());
        self.meter.arrived(&frame);
        let cut = match &mut self.lead {
            Some((kind, lead)) if *kind == frame.track => lead.observe(&frame),
            _ => None,
        };
        match frame.track {
            TrackKind::Video => {
                if let Some(ladder) = &mut self.ladder {
                    ladder.push(&frame);
                }
                if let Some(video) = &mut self.video {
                    video.push(frame);
                }
            }
            TrackKind::Audio => {
                if let Some(audio) = &mut self.audio {
                    audio.push(frame);
                }
            }
        }
        if let Some(cut) = cut {
            window.close_segment(cut);
            if let Some(audio) = &mut self.audio {
                audio.stop_behind(cut.number);
            }
        }
    }

    /// Ends what is open; the ladder ends as a task of `ending`. Gives the end of media.
    fn finish(mut self, window: &LiveStream, ending: &mut JoinSet<()>) -> Timestamp {
        for track in [&mut self.video, &mut self.audio].into_iter().flatten() {
            track.finish();
        }
        let mut end = self.end;
        if let Some(cut) = self.lead.and_then(|(_, mut lead)| lead.finish()) {
            end = end.max(cut.start + cut.duration);
            window.close_segment(cut);
        }
        if let Some(ladder) = self.ladder {
            ending.spawn(ladder.finish());
        }
        end
    }
}
