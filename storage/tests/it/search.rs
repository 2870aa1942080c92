//! Search: what is found, in which order, and by whom. The same on both engines.

use media::{PostId, Timestamp, UserId};
use storage::rows::outbox::{Deliver, OutboxEvent};
use storage::rows::posts::{NewPost, Visibility};
use storage::rows::search::{self, Cursor, Found, Indexer, SearchQuery};
use storage::rows::streams::{NewStream, TakeoverPolicy};
use storage::rows::users::ProfileChange;
use storage::rows::{mutes, sql, streams, users};
use storage::{Database, RowError};

use crate::fixtures::{NOW, TestDatabase};
use crate::people::{block, follow, set_private};
use crate::posts::{create, delete, new, quote, share};
use crate::users::{at, write};

on_both_engines! {
    posts_are_found_by_their_words,
    words_come_before_their_beginnings_and_new_posts_before_old_ones,
    tags_are_found_as_tags_and_as_words,
    a_text_without_spaces_is_found_by_its_parts,
    a_post_is_found_by_who_may_see_it,
    people_are_found_by_name_first,
    people_are_found_by_who_may_see_them,
    streams_are_found_by_name_and_owner,
    a_common_word_is_found_in_order,
}

pub(crate) fn parsed(text: &str) -> SearchQuery {
    SearchQuery::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What the outbox has, in order.
pub(crate) async fn events(db: &Database) -> Vec<OutboxEvent> {
    let events = sql::query(
        "SELECT sequence, id, subject, key, payload, created_at FROM outbox_events
         ORDER BY sequence",
    );
    events.all(db).await.unwrap()
}

/// Gives an indexer all that the outbox has, as often as it likes.
pub(crate) async fn deliver(db: &Database) -> Result<(), RowError> {
    let indexer = Indexer::new(db.clone());
    for batch in events(db).await.chunks(7) {
        for event in batch {
            indexer.deliver(event).await.unwrap();
        }
        indexer.confirm().await.unwrap();
    }
    Ok(())
}

/// The indexes have everything.
pub(crate) async fn indexed(test: &TestDatabase) {
    deliver(&test.db).await.unwrap();
    while search::catch_up(&test.db).await.unwrap() {}
}

/// All pages of `limit`, one after the other.
pub(crate) async fn all_found<T>(
    limit: u32,
    page: impl AsyncFn(Option<Cursor>, u32) -> Result<Found<T>, RowError>,
) -> Vec<T> {
    let (mut all, mut after) = (Vec::new(), None);
    for _ in 0..10_000 {
        let found = page(after, limit).await.unwrap();
        assert!(found.items.len() <= limit as usize);
        all.extend(found.items.into_iter().map(|(_, item)| item));
        match found.next {
            Some(cursor) => after = Some(cursor),
            None => return all,
        }
    }
    panic!("pages without end");
}

pub(crate) async fn posts_found(
    test: &TestDatabase,
    text: &str,
    viewer: Option<UserId>,
    limit: u32,
) -> Vec<PostId> {
    let query = parsed(text);
    let found = all_found(limit, async |after, limit| {
        search::posts(&test.db, &query, viewer, after, limit).await
    });
    found.await.iter().map(|post| post.id).collect()
}

/// One page, behind `after`.
pub(crate) async fn one_page(
    test: &TestDatabase,
    text: &str,
    after: Option<Cursor>,
    limit: u32,
) -> OnePage {
    let query = parsed(text);
    let found = search::posts(&test.db, &query, None, after, limit).await;
    let found = found.unwrap();
    OnePage {
        posts: found.items.iter().map(|(_, post)| post.id).collect(),
        places: found.items.iter().map(|(place, _)| *place).collect(),
        next: found.next,
    }
}

/// What a page has.
pub(crate) struct OnePage {
    pub(crate) posts: Vec<PostId>,
    pub(crate) places: Vec<Cursor>,
    pub(crate) next: Option<Cursor>,
}

async fn names_found(test: &TestDatabase, text: &str, viewer: Option<UserId>) -> Vec<String> {
    let query = parsed(text);
    let found = all_found(2, async |after, limit| {
        search::users(&test.db, &query, viewer, after, limit).await
    });
    found.await.into_iter().map(|user| user.name).collect()
}

async fn streams_found(test: &TestDatabase, text: &str, viewer: Option<UserId>) -> Vec<String> {
    let query = parsed(text);
    let found = all_found(2, async |after, limit| {
        search::streams(&test.db, &query, viewer, after, limit).await
    });
    let found = found.await.into_iter();
    found.map(|found| found.stream.name.to_string()).collect()
}

pub(crate) async fn says(test: &TestDatabase, author: UserId, body: &str) -> PostId {
    let new = NewPost {
        body,
        ..new(author)
    };
    create(test, &new).await.id
}

async fn is_called(test: &TestDatabase, user: UserId, display_name: &str) {
    let mut transaction = write(test).await;
    let change = ProfileChange {
        display_name: Some(display_name),
        ..ProfileChange::default()
    };
    users::update_profile(&test.db, &mut transaction, user, change, at(0))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

async fn posts_are_found_by_their_words(test: TestDatabase) {
    let ada = test.user("ada").await;
    let cafe = says(&test, ada, "Un CAFÉ crème, s'il vous plaît! (O'Hara's)").await;
    let street = says(&test, ada, "Die Straße nach Łódź — 4.5 km, co-op").await;
    let empty = says(&test, ada, "...").await;
    let party = says(&test, ada, "It’s a party 🎉👩‍🚀").await;
    indexed(&test).await;
    for (text, found) in [
        ("cafe", vec![cafe]),
        ("CAFE\u{301} CREME", vec![cafe]),
        ("crème café", vec![cafe]),
        ("cafe tea", vec![]),
        ("plaît", vec![cafe]),
        ("sil ohara", vec![cafe]),
        ("sil ohara ", vec![]),
        ("oharas", vec![cafe]),
        ("strasse", vec![street]),
        ("STRASSE lodz", vec![street]),
        ("co-op", vec![street]),
        ("coop", vec![]),
        ("4.5", vec![street]),
        ("its party", vec![party]),
        ("🎉", vec![party]),
        ("🚀 👩", vec![party]),
        ("part", vec![party]),
        ("part ", vec![]),
        ("pa*", vec![party]),
        ("p", vec![]),
        ("\"party\"", vec![party]),
        ("party NOT it", vec![]),
    ] {
        let seen = posts_found(&test, text, None, 5).await;
        assert_eq!(seen, found, "{text}");
        assert!(!seen.contains(&empty));
    }
}

async fn words_come_before_their_beginnings_and_new_posts_before_old_ones(test: TestDatabase) {
    let ada = test.user("ada").await;
    let mut whole = Vec::new();
    let mut begun = Vec::new();
    for n in 0..12 {
        let body = match n % 3 {
            0 => format!("the river {n}"),
            1 => format!("the riverside {n}"),
            _ => format!("a river and the riverside {n}"),
        };
        let post = says(&test, ada, &body).await;
        match n % 3 {
            1 => begun.insert(0, post),
            _ => whole.insert(0, post),
        }
    }
    indexed(&test).await;
    let all = [whole.clone(), begun].concat();
    for limit in [1, 2, 5, 50] {
        assert_eq!(posts_found(&test, "river", None, limit).await, all);
        assert_eq!(posts_found(&test, "river ", None, limit).await, whole);
    }
    // A page ends where it is full, and the next one goes on behind it.
    let first = one_page(&test, "river", None, 3).await;
    assert_eq!(first.posts, all[..3]);
    let next = one_page(&test, "river", first.next, 3).await;
    assert_eq!(next.posts, all[3..6]);
    // One can go on after any item.
    let after = one_page(&test, "river", Some(first.places[1]), 3).await;
    assert_eq!(after.posts, all[2..5]);
}

async fn tags_are_found_as_tags_and_as_words(test: TestDatabase) {
    let ada = test.user("ada").await;
    let tag = says(&test, ada, "I like #Rust_lang, @Bob-1.").await;
    let words = says(&test, ada, "rust_lang and bob 1 and a#rust").await;
    let cjk = says(&test, ada, "#日本語 #été2026").await;
    indexed(&test).await;
    for (text, found) in [
        ("#rust_lang", vec![tag]),
        ("#RUST", vec![tag]),
        ("#rust ", vec![]),
        ("rust lang", vec![words, tag]),
        ("@bob-1", vec![tag]),
        ("@bo", vec![tag]),
        ("bob", vec![words, tag]),
        ("#日本語", vec![cjk]),
        ("#日本", vec![cjk]),
        ("#ete2026", vec![cjk]),
        ("日本", vec![cjk]),
        ("#r", vec![]),
        ("like #rust_lang", vec![tag]),
    ] {
        assert_eq!(posts_found(&test, text, None, 5).await, found, "{text}");
    }
}

async fn a_text_without_spaces_is_found_by_its_parts(test: TestDatabase) {
    let ada = test.user("ada").await;
    let tokyo = says(&test, ada, "東京都に住んでいます。").await;
    let kyoto = says(&test, ada, "京都へ行きたい").await;
    let thai = says(&test, ada, "สวัสดีครับ").await;
    let korean = says(&test, ada, "안녕하세요 여러분").await;
    indexed(&test).await;
    for (text, found) in [
        ("東京", vec![tokyo]),
        ("京都", vec![kyoto, tokyo]),
        ("京", vec![kyoto, tokyo]),
        ("住んで", vec![tokyo]),
        ("都へ行き", vec![kyoto]),
        ("大阪", vec![]),
        ("สวัสดี", vec![thai]),
        ("안녕", vec![korean]),
        ("여러분", vec![korean]),
    ] {
        assert_eq!(posts_found(&test, text, None, 5).await, found, "{text}");
    }
}

async fn a_post_is_found_by_who_may_see_it(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    follow(&test, bob, ada, 0).await;
    let public = says(&test, ada, "a secret").await;
    let followers = NewPost {
        visibility: Visibility::Followers,
        body: "the secret",
        ..new(ada)
    };
    let followers = create(&test, &followers).await.id;
    let comment = NewPost {
        parent: Some(followers),
        body: "my secret",
        ..new(bob)
    };
    let comment = create(&test, &comment).await.id;
    let quoting = quote(&test, eve, public).await.id;
    let shared = share(&test, eve, public).await.id;
    indexed(&test).await;
    let found = async |viewer| posts_found(&test, "secret", viewer, 1).await;
    assert_eq!(found(None).await, [public]);
    assert_eq!(found(Some(eve)).await, [public]);
    assert_eq!(found(Some(bob)).await, [comment, followers, public]);
    assert_eq!(found(Some(ada)).await, [comment, followers, public]);
    let quotes = posts_found(&test, "hello", Some(ada), 9).await;
    assert_eq!(quotes, [quoting]);
    assert!(!quotes.contains(&shared));
    // Who is muted is left out, and seen by others.
    let mut transaction = write(&test).await;
    mutes::mute(&mut transaction, ada, bob, at(0))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(found(Some(ada)).await, [followers, public]);
    // Nothing has to be indexed again for any of this.
    block(&test, eve, ada).await;
    assert_eq!(found(Some(eve)).await, []);
    set_private(&test, ada, true).await;
    assert_eq!(found(None).await, []);
    assert_eq!(found(Some(bob)).await, [comment, followers, public]);
    assert!(delete(&test, public, Some(ada)).await);
    assert_eq!(found(Some(bob)).await, [comment, followers]);
    let mut transaction = write(&test).await;
    let told = users::suspend(&test.db, &mut transaction, ada, at(1)).await;
    assert!(!told.unwrap().is_empty());
    transaction.commit().await.unwrap();
    assert_eq!(found(Some(bob)).await, [comment]);
}

async fn people_are_found_by_name_first(test: TestDatabase) {
    for (name, display_name) in [
        ("lovelace-fan", "Somebody"),
        ("countess", "Ada Lovelace"),
        ("ada_2", ""),
        ("Adam", "Ádám Nagy"),
        ("Ada", "Augusta"),
        ("kaori", "田中 香織"),
    ] {
        let user = test.user(name).await;
        is_called(&test, user, display_name).await;
    }
    indexed(&test).await;
    for (text, found) in [
        ("ada", vec!["Ada", "ada_2", "Adam", "countess"]),
        ("ADA", vec!["Ada", "ada_2", "Adam", "countess"]),
        ("@ada", vec!["Ada", "ada_2", "Adam"]),
        ("@", vec![]),
        ("ad", vec!["ada_2", "Adam", "Ada", "countess"]),
        ("a", vec!["ada_2", "Adam", "Ada", "countess"]),
        ("ada lov", vec!["countess"]),
        ("lov ada", vec!["countess"]),
        ("love", vec!["lovelace-fan", "countess"]),
        ("fan", vec!["lovelace-fan"]),
        ("adam nagy", vec!["Adam"]),
        ("田中", vec!["kaori"]),
        ("香", vec!["kaori"]),
        ("ada_2", vec!["ada_2"]),
        ("nobody", vec![]),
    ] {
        let seen = match SearchQuery::parse(text) {
            Ok(_) => names_found(&test, text, None).await,
            Err(_) => Vec::new(),
        };
        assert_eq!(seen, found, "{text}");
    }
}

async fn people_are_found_by_who_may_see_them(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("anna").await,
        test.user("anne").await,
        test.user("annette").await,
    );
    indexed(&test).await;
    let found = async |viewer| names_found(&test, "ann", viewer).await;
    assert_eq!(found(None).await, ["anna", "anne", "annette"]);
    assert!(block(&test, ada, bob).await);
    assert_eq!(found(Some(ada)).await, ["anna", "annette"]);
    assert_eq!(found(Some(bob)).await, ["anne", "annette"]);
    let mut transaction = write(&test).await;
    let _ = users::suspend(&test.db, &mut transaction, eve, at(1)).await;
    transaction.commit().await.unwrap();
    assert_eq!(found(None).await, ["anna", "anne"]);
    let mut transaction = write(&test).await;
    let _ = users::unsuspend(&test.db, &mut transaction, eve, at(1)).await;
    let _ = users::delete(&test.db, &mut transaction, bob, at(1)).await;
    transaction.commit().await.unwrap();
    assert_eq!(found(None).await, ["anna", "annette"]);
}

async fn streams_are_found_by_name_and_owner(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    for (owner, name) in [
        (ada, "garden-cam"),
        (ada, "night_garden"),
        (bob, "gardening"),
        (bob, "rust"),
    ] {
        let stream = NewStream {
            owner,
            name: &name.parse().unwrap(),
            takeover: TakeoverPolicy::Takeover,
        };
        let key = format!("key-of-{name}").parse().unwrap();
        streams::create(&test.db, stream, &key, NOW).await.unwrap();
    }
    indexed(&test).await;
    let found = async |text, viewer| streams_found(&test, text, viewer).await;
    assert_eq!(
        found("garden", None).await,
        ["garden-cam", "night_garden", "gardening"]
    );
    assert_eq!(found("garden cam", None).await, ["garden-cam"]);
    assert_eq!(
        found("g", None).await,
        ["garden-cam", "night_garden", "gardening"]
    );
    assert_eq!(found("@ada", None).await, ["garden-cam", "night_garden"]);
    assert_eq!(found("@bob rust", None).await, ["rust"]);
    assert!(block(&test, ada, bob).await);
    assert_eq!(found("garden", Some(bob)).await, ["gardening"]);
    let mut transaction = write(&test).await;
    let _ = users::suspend(&test.db, &mut transaction, bob, at(1)).await;
    transaction.commit().await.unwrap();
    assert_eq!(found("garden", None).await, ["garden-cam", "night_garden"]);
}

/// More than a window gives on PostgreSQL: all the same in order, and all of them.
async fn a_common_word_is_found_in_order(test: TestDatabase) {
    const COMMON: usize = 2_600;
    let ada = test.user("ada").await;
    let mut transaction = write(&test).await;
    let mut expected = Vec::new();
    let mut rare = Vec::new();
    for n in 0..COMMON {
        let body = match n % 1_000 {
            7 => "hello needle",
            _ => "hello hay",
        };
        let new = NewPost { body, ..new(ada) };
        let now = Timestamp::from_micros(NOW.as_micros() + n as i64);
        let post = storage::rows::posts::create(&test.db, &mut transaction, &new, now).await;
        let post = post.unwrap().post.id;
        expected.insert(0, post);
        if n % 1_000 == 7 {
            rare.insert(0, post);
        }
    }
    transaction.commit().await.unwrap();
    // By the walk over what was there before.
    while search::catch_up(&test.db).await.unwrap() {}
    assert_eq!(posts_found(&test, "hello", None, 100).await, expected);
    assert_eq!(posts_found(&test, "he", None, 97).await, expected);
    assert_eq!(posts_found(&test, "needle hello ", None, 2).await, rare);
    let first = one_page(&test, "hello", None, 20).await;
    assert_eq!(first.posts, expected[..20]);
    // A cursor that nobody gave begins no higher than the index.
    for before in [1 << 40, i64::MAX] {
        let forged = Cursor {
            rank: 0,
            before,
            version: i64::MAX,
        };
        let page = one_page(&test, "hello", Some(forged), 20).await;
        assert_eq!((page.posts, page.next), (first.posts.clone(), first.next));
    }
}
