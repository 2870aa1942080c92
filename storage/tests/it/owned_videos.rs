//! Somebody's videos, as their owner sees them in a list.

use std::collections::HashMap;

use media::{Micros, Timestamp, UserId, VideoId};
use storage::rows::videos::imports::{self, NewImport};
use storage::rows::videos::owned::{self, OwnedVideo};
use storage::rows::videos::{VideoState, recordings};
use storage::rows::{retention, sessions, streams};

use crate::fixtures::{NOW, TestDatabase};
use crate::windows::Live;

on_both_engines! {
    an_owners_videos_come_in_pages,
    what_goes_is_not_listed,
    broadcasts_of_several_streams_are_measured_at_once,
}

const LATER: Timestamp = Timestamp::from_micros(NOW.as_micros() + 60_000_000);

async fn import(test: &TestDatabase, owner: UserId) -> VideoId {
    let id = VideoId::new();
    let new = NewImport {
        id,
        owner,
        title: "garden.mp4",
        original_size: 1_000,
    };
    let mut transaction = test.db.write().await.unwrap();
    imports::create(&mut transaction, new, NOW).await.unwrap();
    transaction.commit().await.unwrap();
    id
}

/// A broadcast of `demo` that is recorded, and goes on; whose the stream is.
async fn recorded(test: TestDatabase) -> (Live, UserId) {
    let live = Live::new(test).await;
    let db = &live.test.db;
    retention::change_rules(db, live.stream, |rules| rules.recording = true)
        .await
        .unwrap();
    let stream = streams::by_id(db, live.stream).await.unwrap().unwrap();
    live.epoch(0, 0..4).await;
    (live, stream.owner)
}

async fn end(live: &Live) {
    sessions::end_session(&live.test.db, live.session, LATER)
        .await
        .unwrap();
}

async fn listed(live: &Live, owner: UserId) -> Vec<OwnedVideo> {
    owned::of_owner(&live.test.db, owner, None, 10)
        .await
        .unwrap()
}

async fn an_owners_videos_come_in_pages(test: TestDatabase) {
    let (live, owner) = recorded(test).await;
    let db = &live.test.db;
    let first = import(&live.test, owner).await;
    let others = live.test.user("bob").await;
    import(&live.test, others).await;
    end(&live).await;
    let last = import(&live.test, owner).await;

    let all = listed(&live, owner).await;
    let ids: Vec<_> = all.iter().map(|video| video.id).collect();
    assert_eq!((ids.len(), ids[0], ids[2]), (3, last, first));
    let imported = &all[2];
    assert_eq!(imported.title, "garden.mp4");
    assert_eq!(imported.state, VideoState::Transcoding);
    assert_eq!((imported.duration, imported.created_at), (None, NOW));
    assert_eq!(imported.recorded, None);
    let recording = &all[1];
    assert_eq!(
        (&recording.title[..], recording.created_at),
        ("demo", LATER)
    );
    assert_eq!(recording.state, VideoState::Ready);
    let recorded = recording.recorded.clone().unwrap();
    assert_eq!(recorded.stream.as_str(), "demo");
    assert_eq!(recorded.visibility, streams::Visibility::Public);
    let of_stream = recordings::of_stream(db, live.stream, None, 10).await;
    assert_eq!(of_stream.unwrap(), [recorded.recording]);

    let page = owned::of_owner(db, owner, None, 2).await.unwrap();
    assert_eq!(page, all[..2]);
    let rest = owned::of_owner(db, owner, Some(page[1].id), 2).await;
    assert_eq!(rest.unwrap(), all[2..]);
    let behind = owned::of_owner(db, owner, Some(first), 2).await;
    assert_eq!(behind.unwrap(), []);
}

async fn what_goes_is_not_listed(test: TestDatabase) {
    let (live, owner) = recorded(test).await;
    let db = &live.test.db;
    end(&live).await;
    let (cancelled, failed) = (
        import(&live.test, owner).await,
        import(&live.test, owner).await,
    );
    assert_eq!(listed(&live, owner).await.len(), 3);

    let mut transaction = db.write().await.unwrap();
    imports::cancel(&mut transaction, cancelled).await.unwrap();
    imports::fail(&mut transaction, failed, "no media file")
        .await
        .unwrap();
    streams::delete(db, &mut transaction, live.stream, LATER)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let left = listed(&live, owner).await;
    let told: Vec<_> = left.iter().map(|video| (video.id, video.state)).collect();
    assert_eq!(told, [(failed, VideoState::Failed)]);
}

async fn broadcasts_of_several_streams_are_measured_at_once(test: TestDatabase) {
    let (mut live, _) = recorded(test).await;
    let long = live.session;
    live.stream = live.test.stream("attic").await;
    let opened = sessions::open_session(&live.test.db, live.stream, NOW).await;
    live.session = opened.unwrap().session.id;
    // Of the same number, and where the other stream has segments too.
    live.epoch(0, 2..3).await;
    let kept = recordings::kept(&live.test.db, &[long, live.session]).await;
    let kept: HashMap<_, _> = kept.unwrap().into_iter().collect();
    assert_eq!(kept.len(), 2);
    let (long, short) = (kept[&long], kept[&live.session]);
    assert_eq!((long.size, long.duration), (8_000, Micros::from_secs(8)));
    assert_eq!((short.size, short.duration), (2_000, Micros::from_secs(2)));
}
