//! A lease has one owner.

use std::sync::Arc;
use std::time::Duration;

use media::{Clock, ManualClock, Micros, Timestamp};
use proptest::prelude::*;
use storage::rows::leases::{self, Lease};
use storage::{Database, RowError};

use crate::fixtures::{NOW, TestDatabase};

const TTL: Micros = Micros::from_secs(10);

on_both_engines! {
    one_of_many_acquires,
    an_expired_lease_is_taken_with_a_greater_token,
    a_renewed_lease_stays,
    an_expired_lease_is_lost_even_if_nobody_takes_it,
    a_released_lease_is_free_at_once_and_its_token_stays,
    nobody_acquires_between_the_guard_and_the_commit,
    leases_do_not_know_each_other,
}

async fn acquire(db: &Database, owner: &str, now: Timestamp) -> Option<Lease> {
    leases::acquire(db, "sweeper", owner, TTL, now)
        .await
        .unwrap()
}

/// Whether a guarded write would be committed.
async fn may_write(db: &Database, lease: &Lease, now: Timestamp) -> bool {
    let mut transaction = db.write().await.unwrap();
    match lease.guard(&mut transaction, now).await {
        Ok(()) => true,
        Err(RowError::LeaseLost { name }) => {
            assert_eq!(name, lease.name());
            false
        }
        Err(error) => panic!("{error}"),
    }
}

async fn one_of_many_acquires(test: TestDatabase) {
    let mut tasks = tokio::task::JoinSet::new();
    for owner in 0..8 {
        let db = match owner % 2 {
            0 => test.db.clone(),
            _ => test.another_handle().await,
        };
        tasks.spawn(async move { acquire(&db, &owner.to_string(), NOW).await });
    }
    let acquired = tasks.join_all().await.into_iter().flatten();
    assert_eq!(acquired.count(), 1);
}

async fn an_expired_lease_is_taken_with_a_greater_token(test: TestDatabase) {
    let first = acquire(&test.db, "one", NOW).await.unwrap();
    let just_before = NOW + TTL - Micros::new(1);
    assert_eq!(acquire(&test.db, "two", just_before).await, None);
    assert!(may_write(&test.db, &first, just_before).await);

    let second = acquire(&test.db, "two", NOW + TTL).await.unwrap();
    assert!(second.token() > first.token());
    assert!(may_write(&test.db, &second, NOW + TTL).await);
    // Whatever its clock says.
    assert!(!may_write(&test.db, &first, NOW).await);
}

async fn a_renewed_lease_stays(test: TestDatabase) {
    let lease = acquire(&test.db, "one", NOW).await.unwrap();
    let later = NOW + Micros::from_secs(9);
    lease.renew(&test.db, TTL, later).await.unwrap();
    assert_eq!(acquire(&test.db, "two", NOW + TTL).await, None);
    assert!(may_write(&test.db, &lease, NOW + TTL).await);
    assert!(acquire(&test.db, "two", later + TTL).await.is_some());
    let error = lease.renew(&test.db, TTL, NOW).await.unwrap_err();
    assert_eq!(error.to_string(), "the lease sweeper is lost");
}

async fn an_expired_lease_is_lost_even_if_nobody_takes_it(test: TestDatabase) {
    let lease = acquire(&test.db, "one", NOW).await.unwrap();
    assert!(!may_write(&test.db, &lease, NOW + TTL).await);
    let error = lease.renew(&test.db, TTL, NOW + TTL).await.unwrap_err();
    assert!(matches!(error, RowError::LeaseLost { .. }), "{error}");
    let again = acquire(&test.db, "one", NOW + TTL).await.unwrap();
    assert!(again.token() > lease.token());
    assert!(!may_write(&test.db, &lease, NOW + TTL).await);
    assert!(may_write(&test.db, &again, NOW + TTL).await);
}

async fn a_released_lease_is_free_at_once_and_its_token_stays(test: TestDatabase) {
    let first = acquire(&test.db, "one", NOW).await.unwrap();
    first.release(&test.db).await.unwrap();
    assert!(!may_write(&test.db, &first, NOW).await);
    // Its clock is behind.
    let earlier = NOW - Micros::from_secs(60);
    let second = acquire(&test.db, "two", earlier).await.unwrap();
    assert!(second.token() > first.token());
    // Not the first one's any more.
    first.release(&test.db).await.unwrap();
    assert!(may_write(&test.db, &second, earlier).await);
}

async fn nobody_acquires_between_the_guard_and_the_commit(test: TestDatabase) {
    let other = test.another_handle().await;
    let lease = acquire(&test.db, "one", NOW).await.unwrap();
    let mut transaction = test.db.write().await.unwrap();
    lease.guard(&mut transaction, NOW).await.unwrap();
    // It takes a long time.
    let mut acquiring = tokio::spawn(async move { acquire(&other, "two", NOW + TTL).await });
    let early = tokio::time::timeout(Duration::from_millis(300), &mut acquiring).await;
    assert!(early.is_err(), "acquired before the commit");
    transaction.commit().await.unwrap();
    let second = acquiring.await.unwrap().unwrap();
    assert!(second.token() > lease.token());
}

async fn leases_do_not_know_each_other(test: TestDatabase) {
    for name in ["a", "b"] {
        let lease = leases::acquire(&test.db, name, "one", TTL, NOW).await;
        assert_eq!(lease.unwrap().unwrap().token(), 1);
    }
}

/// What may happen between one owner's writes.
#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire(usize),
    Renew(usize),
    Release(usize),
    Pass(Micros),
}

const OWNERS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..OWNERS).prop_map(Step::Acquire),
        2 => (0..OWNERS).prop_map(Step::Renew),
        1 => (0..OWNERS).prop_map(Step::Release),
        // Expiry itself is the instant to look at.
        2 => Just(Step::Pass(TTL)),
        2 => (1..TTL.as_micros()).prop_map(|span| Step::Pass(Micros::new(span))),
    ]
}

/// Who has the lease, as a table on paper says.
#[derive(Default)]
struct Paper {
    owner: usize,
    holder: Option<u64>,
    expires_at: Timestamp,
    token: u64,
}

impl Paper {
    fn held(&self, now: Timestamp) -> Option<u64> {
        self.holder.filter(|_| now < self.expires_at)
    }
}

/// Any order of steps, on paper and on the database. On PostgreSQL in fewer orders: a
/// database takes longer to make there.
fn at_most_one_owner_writes(cases: u32, database: impl AsyncFn() -> TestDatabase) {
    let config = ProptestConfig {
        cases,
        ..ProptestConfig::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    proptest!(config, |(steps in proptest::collection::vec(step(), 1..40))| {
        runtime.block_on(async { follow(database().await, steps).await });
    });
}

#[test]
fn at_most_one_owner_writes_on_sqlite() {
    at_most_one_owner_writes(24, TestDatabase::new);
}

#[test]
fn at_most_one_owner_writes_on_postgres() {
    at_most_one_owner_writes(8, TestDatabase::on_postgres);
}

async fn follow(test: TestDatabase, steps: Vec<Step>) {
    let clock = Arc::new(ManualClock::new(NOW));
    let mut paper = Paper::default();
    // Every lease that somebody ever had: any of them may wake up and write.
    let mut all: Vec<Lease> = Vec::new();
    let mut latest: [Option<Lease>; OWNERS] = Default::default();
    for step in steps {
        let now = clock.now();
        match step {
            Step::Acquire(owner) => {
                let lease = acquire(&test.db, &owner.to_string(), now).await;
                let is_free = paper.held(now).is_none();
                // An owner succeeds itself.
                assert_eq!(lease.is_some(), is_free || paper.owner == owner);
                if let Some(lease) = lease {
                    assert!(lease.token() > paper.token);
                    paper.token = lease.token();
                    paper.owner = owner;
                    paper.holder = Some(lease.token());
                    paper.expires_at = now + TTL;
                    all.push(lease.clone());
                    latest[owner] = Some(lease);
                }
            }
            Step::Renew(owner) => {
                let Some(lease) = &latest[owner] else {
                    continue;
                };
                let renewed = lease.renew(&test.db, TTL, now).await.is_ok();
                assert_eq!(renewed, paper.held(now) == Some(lease.token()));
                if renewed {
                    paper.expires_at = now + TTL;
                }
            }
            Step::Release(owner) => {
                let Some(lease) = &latest[owner] else {
                    continue;
                };
                lease.release(&test.db).await.unwrap();
                if paper.holder == Some(lease.token()) {
                    paper.holder = None;
                }
            }
            Step::Pass(span) => clock.advance(span),
        }
        let now = clock.now();
        let mut writers = Vec::new();
        for lease in &all {
            if may_write(&test.db, lease, now).await {
                writers.push(lease.token());
            }
        }
        assert_eq!(writers, Vec::from_iter(paper.held(now)));
    }
}
