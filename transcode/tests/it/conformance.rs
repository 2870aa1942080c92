//! What every engine does alike. Each case makes a clip with the `ffmpeg` program, has a
//! worker encode it on every engine of this build, and looks at what comes out: through
//! its times, its marks, and Debian's `ffprobe`.

mod captions;
pub(crate) mod clip;
mod corrupt;
mod outputs;
mod pictures;
mod timing;
mod verdict;

use transcode::{EngineName, Job, all_engines};

use crate::rig::{Made, transcode};
use clip::Clip;

/// Encodes the clip on every engine, checks what all rungs have in common, and lets
/// `check` look at the rest.
async fn on_every_engine(clip: &Clip, job: Job, check: impl Fn(EngineName, &Made)) {
    for &engine in all_engines() {
        let job = Job {
            engine,
            ..job.clone()
        };
        let made = transcode(&job, &clip.frames)
            .await
            .unwrap_or_else(|error| panic!("{engine}: {error}"));
        verdict::conforms(engine, clip, &job, &made);
        check(engine, &made);
    }
}

/// The usual case: two rungs, the smaller half the size of the larger.
async fn conforms(clip: Clip) {
    let job = clip.job();
    on_every_engine(&clip, job, |_, _| ()).await;
}
