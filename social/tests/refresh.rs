//! S04 on the rows themselves: many who refresh one login at once, on both engines.

use std::sync::Arc;

use media::{Micros, Timestamp, UserId};
use social::accounts::refresh::{EXCHANGED_AFTER, LOGIN_LASTS, decide};
use storage::Database;
use storage::rows::IfMissing;
use storage::rows::login_sessions::{self, LoginSessionRow, NewLogin, Refreshed, Successor};
use storage::rows::users::{self, NewUser};
use tokio::sync::Barrier;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
/// How many ask at once.
const TABS: usize = 10;

/// A login whose first token is old enough to be exchanged, at [`NOW`].
struct Login {
    url: String,
    db: Database,
    user: UserId,
}

impl Login {
    async fn new(url: String) -> Self {
        let db = Database::open(&url, IfMissing::Create).await.unwrap();
        db.migrate().await.unwrap();
        let before = NOW - EXCHANGED_AFTER;
        let user = NewUser {
            name: "ada",
            email: "ada@example.org",
            password_hash: "hash",
            is_admin: false,
        };
        let user = users::create(&db, user, before).await.unwrap().id;
        let mut transaction = db.write().await.unwrap();
        let new = NewLogin {
            user,
            password_hash: "hash",
            token_hash: b"first",
            user_agent: "",
            address: "",
            expires_at: before + LOGIN_LASTS,
        };
        let opened = login_sessions::open(&db, &mut transaction, new, before).await;
        assert!(opened.unwrap().is_some());
        transaction.commit().await.unwrap();
        Self { url, db, user }
    }

    /// All show the token at once, each on a host of its own, and ask for another successor;
    /// the successors that were given, and how many kept what they had.
    async fn at_once(&self, token: &[u8], now: Timestamp) -> (Vec<Vec<u8>>, usize) {
        let barrier = Arc::new(Barrier::new(TABS));
        let mut tabs = tokio::task::JoinSet::new();
        for tab in 0..TABS {
            let db = Database::open(&self.url, IfMissing::Fail).await.unwrap();
            let (barrier, token) = (barrier.clone(), token.to_vec());
            let next = format!("{tab} at {}", now.as_micros()).into_bytes();
            tabs.spawn(async move {
                barrier.wait().await;
                let refreshed = refresh(&db, &token, &next, now).await;
                db.close().await;
                (refreshed, next)
            });
        }
        let (mut given, mut kept) = (Vec::new(), 0);
        for (refreshed, next) in tabs.join_all().await {
            match refreshed {
                Refreshed::Rotated { .. } => given.push(next),
                Refreshed::Kept { .. } => kept += 1,
                refused => panic!("logged out: {refused:?}"),
            }
        }
        (given, kept)
    }

    async fn row(&self) -> LoginSessionRow {
        let mut rows = login_sessions::of_user(&self.db, self.user, None, 10, NOW)
            .await
            .unwrap();
        rows.pop().expect("the login is open")
    }
}

async fn refresh(db: &Database, token: &[u8], next: &[u8], now: Timestamp) -> Refreshed {
    let successor = Successor {
        token_hash: next,
        user_agent: "",
        address: "",
        expires_at: now + LOGIN_LASTS,
    };
    let refreshed =
        login_sessions::refresh(db, token, successor, now, |family| decide(family, now));
    refreshed.await.unwrap()
}

async fn ten_tabs_at_once_stay_logged_in(login: Login) {
    let mut token = b"first".to_vec();
    let mut now = NOW;
    for _ in 0..3 {
        let (mut given, kept) = login.at_once(&token, now).await;
        assert_eq!((given.len(), kept), (1, TABS - 1));
        assert_eq!(login.row().await.refreshed_at, now);
        // They ask again at once, with what only one of them was given.
        let next = given.remove(0);
        assert_eq!(login.at_once(&next, now).await, (Vec::new(), TABS));
        token = next;
        now = now + Micros::from_secs(600);
    }
    // The reply was lost for all: who asks later is forgiven, once more.
    let (given, _) = login.at_once(&token, now).await;
    assert_eq!(given.len(), 1);
    now = now + EXCHANGED_AFTER;
    let again = refresh(&login.db, &token, b"again", now).await;
    assert!(matches!(again, Refreshed::Rotated { .. }), "{again:?}");

    // Somebody has the first token: the login ends for all, and once.
    let mut replays = tokio::task::JoinSet::new();
    for replay in 0..TABS {
        let db = Database::open(&login.url, IfMissing::Fail).await.unwrap();
        replays.spawn(async move {
            let next = format!("replay {replay}").into_bytes();
            let refreshed = refresh(&db, b"first", &next, now).await;
            db.close().await;
            refreshed
        });
    }
    let mut ended = 0;
    for replay in replays.join_all().await {
        match replay {
            Refreshed::Ended { told, .. } => {
                assert_eq!(told.events().count(), 1);
                ended += 1;
            }
            Refreshed::Refused => {}
            other => panic!("a replay was taken: {other:?}"),
        }
    }
    assert_eq!(ended, 1);
    let owner = refresh(&login.db, b"again", b"more", now + EXCHANGED_AFTER).await;
    assert!(matches!(owner, Refreshed::Refused), "{owner:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s04_ten_tabs_at_once_stay_logged_in_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("nova.db").display());
    ten_tabs_at_once_stay_logged_in(Login::new(url).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s04_ten_tabs_at_once_stay_logged_in_on_postgres() {
    let database = tokio::task::spawn_blocking(peers::postgres::database);
    let database = database.await.unwrap();
    ten_tabs_at_once_stay_logged_in(Login::new(database.url()).await).await;
}
