//! The task that stores what a stream leaves behind, and tries again what fails.

use std::sync::Arc;
use std::time::Duration;

use media::StreamId;
use storage::objects::ErrorKind;
use storage::rows::{RowError, segments};
use storage::{Database, ObjectError};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::alarm::{Alarm, Stage};
use super::queue::Record;
use super::{Desk, Shelves};

/// How long an object may take before it is an alarm. It is waited for all the same: a
/// thread that waits for a disk cannot be called back, and another would wait with it.
const PUT_LIMIT: Duration = Duration::from_secs(10);
/// How long a row may take before it is tried again.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// The pause after a failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause, and so how long a recovery may go unnoticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long after the end of a session what waits is still tried.
const AFTER_SESSION: Duration = Duration::from_secs(60);
/// How long it is tried when the process stops.
const AT_SHUTDOWN: Duration = Duration::from_secs(2);
/// How long the rows of what was given up may take together.
const LAST_ROWS: Duration = Duration::from_secs(1);

pub(super) struct Clerk {
    pub(super) shelves: Shelves,
    pub(super) stream: StreamId,
    pub(super) desk: Arc<Desk>,
    pub(super) alarm: Alarm,
    /// Nothing more comes.
    pub(super) closed: CancellationToken,
    /// The process stops.
    pub(super) shutdown: CancellationToken,
}

/// What has become of a row.
enum Written {
    Done,
    /// Its session is settled or its epoch deleted: nobody wants it any more.
    Unwanted,
}

impl Clerk {
    /// Objects and rows are stored side by side, so that a database that is away holds up
    /// no object: a row follows when it can.
    pub(super) async fn run(self) {
        let objects_done = CancellationToken::new();
        let work = async {
            let objects = async {
                self.store_objects().await;
                objects_done.cancel();
            };
            tokio::join!(objects, self.write_rows(&objects_done));
        };
        tokio::select! {
            () = work => {}
            () = self.patience() => self.give_up().await,
        }
    }

    /// Returns when what is not stored by now will not be.
    async fn patience(&self) {
        self.closed.cancelled().await;
        let stopping = async {
            self.shutdown.cancelled().await;
            sleep(AT_SHUTDOWN).await;
        };
        tokio::select! {
            () = sleep(AFTER_SESSION) => {}
            () = stopping => {}
        }
    }

    async fn store_objects(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let next = self.desk.queue().next_object();
            // Gaps have become rows.
            self.desk.rows_came.notify_one();
            let Some(entry) = next else {
                self.caught_up(Stage::Objects);
                if self.closed.is_cancelled() && !self.desk.queue().has_objects() {
                    return;
                }
                tokio::select! {
                    () = self.desk.objects_came.notified() => {}
                    () = self.closed.cancelled() => {}
                }
                continue;
            };
            let key = entry.record.object_key(self.stream);
            match self.put(&key, entry.bytes.unwrap_or_default()).await {
                Ok(()) => {
                    self.desk.queue().stored();
                    pause = FIRST_PAUSE;
                }
                Err(error) => {
                    let reason = error.kind().as_str();
                    self.alarm.failed(Stage::Objects, reason, &error);
                    if error.kind() == ErrorKind::Invalid {
                        self.desk.queue().leave_out_first().count();
                    } else {
                        self.desk.queue().not_stored();
                        sleep(pause).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
            }
        }
    }

    async fn put(&self, key: &str, bytes: bytes::Bytes) -> Result<(), ObjectError> {
        let mut put = self.shelves.objects.put(key, bytes);
        if let Ok(result) = timeout(PUT_LIMIT, &mut put).await {
            return result;
        }
        let what = format!("no answer within {PUT_LIMIT:?}");
        self.alarm.failed(Stage::Objects, "slow", &what);
        put.await
    }

    async fn write_rows(&self, objects_done: &CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            let next = self.desk.queue().next_row();
            let Some(record) = next else {
                self.caught_up(Stage::Rows);
                if objects_done.is_cancelled() && !self.desk.queue().has_rows() {
                    return;
                }
                tokio::select! {
                    () = self.desk.rows_came.notified() => {}
                    () = objects_done.cancelled() => {}
                }
                continue;
            };
            match self.write(&record).await {
                Ok(written) => {
                    self.desk.queue().written();
                    pause = FIRST_PAUSE;
                    if matches!(written, Written::Unwanted) {
                        self.discard(&record).await;
                    }
                }
                Err((reason, error)) => {
                    self.alarm.failed(Stage::Rows, reason, &error);
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn write(&self, record: &Record) -> Result<Written, (&'static str, String)> {
        let database = &self.shelves.database;
        match timeout(WRITE_LIMIT, insert(database, self.stream, record)).await {
            // By us, at an attempt whose answer was lost.
            Ok(Ok(()) | Err(RowError::NumberTaken { .. })) => Ok(Written::Done),
            Ok(Err(RowError::NotFound(_) | RowError::SessionSettled)) => Ok(Written::Unwanted),
            Ok(Err(error)) => Err((reason(&error), error.to_string())),
            Err(_) => Err(("slow", format!("no answer within {WRITE_LIMIT:?}"))),
        }
    }

    /// An object without a row would be nobody's.
    async fn discard(&self, record: &Record) {
        let key = record.object_key(self.stream);
        metrics::counter!("nova_live_segments_not_archived_total", "reason" => "unwanted")
            .increment(1);
        tracing::warn!(key, "came too late to be kept");
        if record.has_object()
            && let Err(error) = self.shelves.objects.delete(&key).await
        {
            tracing::warn!(key, %error, "an object that nobody wants was not deleted");
        }
    }

    fn caught_up(&self, stage: Stage) {
        let left_out = self.desk.queue().take_left_out();
        self.alarm.caught_up(stage, left_out);
    }

    /// The segments that wait become gaps, if there is anybody to tell.
    async fn give_up(&self) {
        let dropped = self.desk.queue().give_up_objects();
        dropped.count();
        let deadline = Instant::now() + LAST_ROWS;
        let rows = async {
            loop {
                let next = self.desk.queue().next_row();
                let Some(record) = next else { return };
                if self.write(&record).await.is_err() {
                    return;
                }
                self.desk.queue().written();
            }
        };
        tokio::select! {
            () = rows => {}
            () = sleep_until(deadline) => {}
        }
        if dropped.left_out > 0 || self.desk.queue().has_rows() {
            tracing::error!(
                stream = %self.stream, left_out = dropped.left_out,
                "the end of the stream was not stored in time"
            );
        }
    }
}

async fn insert(database: &Database, stream: StreamId, record: &Record) -> Result<(), RowError> {
    match record {
        Record::Rendition(epoch, rendition) => {
            segments::insert_rendition(database, stream, *epoch, rendition).await
        }
        Record::Segment(row) => segments::insert_segment(database, stream, row).await,
    }
}

/// As a metric's label.
fn reason(error: &RowError) -> &'static str {
    match error {
        RowError::Busy => "busy",
        RowError::DiskFull => "full",
        RowError::Disconnected(_) => "unavailable",
        _ => "failed",
    }
}
