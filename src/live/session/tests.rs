mod coming;

use storage::objects::MemoryStore;
use storage::rows::sql::query;

use super::*;
use crate::live::simulation::World;

async fn run(world: &World, statement: &'static str) {
    let mut transaction = world.database().write().await.unwrap();
    query(statement).execute(&mut transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_session_that_another_process_has_taken_up_is_left_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::on_sqlite(directory.path(), Arc::new(MemoryStore::default())).await;
    let stream = world.stream("garden").await;
    let mut session = Session::new(world.context.clone(), stream, "garden".parse().unwrap());
    assert!(session.claim(Claim::Takeover).await.unwrap());
    let open = session.go_live().await.unwrap();
    session.state = State::Open(open, Instant::now());
    let name = "garden".parse().unwrap();
    assert!(world.context.streams.get(&name).is_some());
    // As the same directory's next process does.
    let taking = "UPDATE leases SET token = token + 1 WHERE name LIKE 'live/%'";
    run(&world, taking).await;
    session.expire().await;
    assert!(session.unwritten.is_none(), "nothing is left to write");
    assert!(world.context.streams.get(&name).is_none());
    let unfinished = sessions::unfinished_sessions(world.database())
        .await
        .unwrap();
    assert_eq!(unfinished.len(), 1, "it is open for its new owner");
    let error = session.go_live().await.err().unwrap();
    assert!(matches!(error, RowError::LeaseLost { .. }), "{error}");
}

#[tokio::test]
async fn an_ended_stream_is_let_go_when_another_origin_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::on_sqlite(directory.path(), Arc::new(MemoryStore::default())).await;
    let other = World::new(
        world.database().clone(),
        world.shelves().objects.clone(),
        crate::live::simulation::START,
    )
    .await;
    let stream = world.stream("garden").await;
    let name: StreamName = "garden".parse().unwrap();
    let mut here = Session::new(world.context.clone(), stream, name.clone());
    assert!(here.claim(Claim::Encoder).await.unwrap());
    let open = here.go_live().await.unwrap();
    here.state = State::Open(open, Instant::now());
    here.expire().await;
    here.look().await.unwrap();
    let known = |world: &World| world.context.streams.get(&name).is_some();
    assert!(known(&world), "its playlists are still served");
    assert!(here.begin(Claim::Takeover).await.unwrap().is_some());
    assert!(known(&world), "until somebody publishes");

    let mut there = Session::new(other.context.clone(), stream, name.clone());
    assert!(!there.inherit().await.unwrap(), "there is no session");
    assert!(there.claim(Claim::Encoder).await.unwrap());
    let open = there.go_live().await.unwrap();
    there.state = State::Open(open, Instant::now());
    here.look().await.unwrap();
    assert!(!known(&world) && known(&other));
    // The other's is open and its own: nothing is taken from it.
    assert!(!here.inherit().await.unwrap());
    there.look().await.unwrap();
    assert!(known(&other));
}

#[tokio::test]
async fn a_claim_that_fails_halfway_leaves_the_stream_to_be_inherited() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::on_sqlite(directory.path(), Arc::new(MemoryStore::default())).await;
    let stream = world.stream("garden").await;
    let name: StreamName = "garden".parse().unwrap();
    let now = world.context.shelves.clock.now();
    // As a crash leaves it: an encoder was on.
    let opened = sessions::open_session(world.database(), stream, now).await;
    let mut session = Session::new(world.context.clone(), stream, name);
    // What the row says cannot be.
    run(&world, "UPDATE live_sessions SET started_at = 'never'").await;
    let failed = session.begin(Claim::Encoder).await;
    assert!(failed.is_err());
    assert!(session.held.is_none() && !session.has_session());
    let open = origins::open_streams(world.database(), now).await.unwrap();
    assert_eq!(open[0].origin, Some(world.context.place.id()), "it is ours");

    run(&world, "UPDATE live_sessions SET started_at = 1").await;
    assert!(session.inherit().await.unwrap());
    assert!(session.has_session());
    let row = sessions::open_session_of(world.database(), stream).await;
    let row = row.unwrap().unwrap();
    assert_eq!(row.id, opened.unwrap().session.id);
    assert_eq!(row.publisher_left_at, Some(now), "it has no encoder");
}

#[tokio::test]
async fn a_session_that_was_let_go_ends_while_the_stream_is_live_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::on_sqlite(directory.path(), Arc::new(MemoryStore::default())).await;
    let stream = world.stream("garden").await;
    let name: StreamName = "garden".parse().unwrap();
    let now = world.context.shelves.clock.now();
    sessions::open_session(world.database(), stream, now)
        .await
        .unwrap();
    let mut session = Session::new(world.context.clone(), stream, name);
    let deadline = |session: &Session| match session.state {
        State::Idle(deadline) => deadline,
        State::Open(..) | State::Ended(..) => panic!("it has nothing to serve"),
    };
    let before = deadline(&session);
    while Instant::now() <= before - BEGIN {
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        session.look().await.unwrap();
    }
    assert_eq!(deadline(&session), before);
}

#[tokio::test]
async fn who_was_let_in_and_does_not_begin_leaves_the_stream_to_others() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::on_sqlite(directory.path(), Arc::new(MemoryStore::default())).await;
    let stream = world.stream("garden").await;
    let name: StreamName = "garden".parse().unwrap();
    let mut session = Session::new(world.context.clone(), stream, name.clone());
    assert!(session.begin(Claim::Encoder).await.unwrap().is_some());
    let lease = format!("live/{stream}");
    let is_held = async || {
        let held = query("SELECT 1 FROM leases WHERE name = $1 AND expires_at > 0");
        held.bind(&lease).exists(world.database()).await.unwrap()
    };
    assert!(is_held().await);
    session.state = State::Idle(Instant::now());
    let (_commands, mailbox) = mpsc::channel(1);
    session.run(mailbox).await;
    assert!(!is_held().await);
    // Nor does who looks for a session, and finds none.
    let mut heir = Session::new(world.context.clone(), stream, name);
    assert!(!heir.inherit().await.unwrap());
    assert!(!is_held().await);
}

#[tokio::test]
async fn the_end_of_a_session_is_written_when_the_database_takes_it_again() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::on_sqlite(directory.path(), Arc::new(MemoryStore::default())).await;
    let stream = world.stream("garden").await;
    let name: StreamName = "garden".parse().unwrap();
    let mut session = Session::new(world.context.clone(), stream, name);
    assert!(session.claim(Claim::Takeover).await.unwrap());
    let open = session.go_live().await.unwrap();
    session.state = State::Open(open, Instant::now());
    run(
        &world,
        "CREATE TRIGGER refuses BEFORE UPDATE OF ended_at ON live_sessions
         BEGIN SELECT RAISE(ABORT, 'not now'); END",
    )
    .await;
    assert!(session.expire().await, "its task goes on");
    let unfinished = || sessions::unfinished_sessions(world.database());
    assert_eq!(unfinished().await.unwrap().len(), 1);
    let begun = session.begin(Claim::Takeover).await;
    assert!(begun.is_err(), "it is not gone on with");

    run(&world, "DROP TRIGGER refuses").await;
    session.unwritten.as_mut().unwrap().try_at = Instant::now();
    let (_commands, mailbox) = mpsc::channel(1);
    let task = tokio::spawn(session.run(mailbox));
    while !unfinished().await.unwrap().is_empty() {
        assert!(!task.is_finished());
        tokio::task::yield_now().await;
    }
    task.abort();
}
