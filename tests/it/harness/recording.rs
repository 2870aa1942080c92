//! Whether what is live is stored too.

use std::path::Path;
use std::time::Duration;

use super::{Nova, Site, wait_for};

const LIMIT: Duration = Duration::from_secs(90);
const DEGRADED: &str = "nova_live_recording_degraded";

/// What the log says once when it is not.
pub(crate) const ALARM: &str = "recording is degraded; live goes on";
/// What it says once when it is again.
pub(crate) const ALL_CLEAR: &str = "recording has recovered";

/// The highest number of a stored segment below a folder of objects.
pub(crate) fn newest_object(folder: &Path) -> Option<u64> {
    let number = |name: &Path| name.file_stem()?.to_str()?.parse().ok();
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let newest = entries
        .map(|entry| entry.path())
        .map(|path| match path.is_dir() {
            true => newest_object(&path),
            false => number(&path),
        });
    newest.max().flatten()
}

impl Nova {
    /// Waits until so many streams are not stored as they should be.
    #[track_caller]
    pub(crate) fn wait_degraded(&self, streams: u32) {
        wait_for("the metric of recording", LIMIT, || {
            let value = self.metric(DEGRADED)?;
            (value == f64::from(streams))
                .then_some(())
                .ok_or(format!("{value}"))
        });
    }
}

impl Site {
    /// Checks that rows and objects agree, and that there are some.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        let printed = self.nova(&["db", "check"]).succeeded();
        let last = printed.lines().last().unwrap_or_default();
        assert!(last.starts_with("sound: "), "{printed}");
        assert!(!last.starts_with("sound: 0 rows"), "{printed}");
    }
}
