//! Search, on both faces: pages that have nothing and are not the last.

use media::Timestamp;
use serde_json::Value;
use storage::rows::posts::{self, NewPost, Shows, Visibility};
use storage::rows::{search, users};

use crate::app::{NOW, Person, TestApp};
use crate::posts::id;

on_both_engines! {
    s01_what_is_behind_much_that_is_hidden_is_reached,
}

/// Many times more than is looked at for one page.
const HIDDEN: usize = 1_300;
const PAGES_AT_MOST: usize = 10;

/// Somebody says this so often, some seconds from now. The id of the last post.
async fn say(app: &TestApp, author: &str, text: &str, times: usize, seconds: i64) -> String {
    let author = users::find_by_name(&app.database, author).await.unwrap();
    let new = NewPost {
        author: author.unwrap().id,
        parent: None,
        quote_of: None,
        shows: Shows::Nothing,
        visibility: Visibility::Public,
        body: text,
        mentions: &[],
        hashtags: &["rust".to_owned()],
    };
    let mut transaction = app.database.write().await.unwrap();
    let now = Timestamp::from_micros(NOW.as_micros() + seconds * 1_000_000);
    let mut last = String::new();
    for _ in 0..times {
        let made = posts::create(&app.database, &mut transaction, &new, now).await;
        last = made.unwrap().post.id.to_string();
    }
    transaction.commit().await.unwrap();
    last
}

/// All pages by REST: the ids of each.
async fn by_rest(person: &Person<'_>) -> Vec<Vec<String>> {
    let (mut pages, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/search/posts?q=%23rust{after}");
        let page = person.get(&path).await.ok(200);
        pages.push(page["items"].as_array().unwrap().iter().map(id).collect());
        assert!(pages.len() < PAGES_AT_MOST, "pages without end");
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return pages,
        }
    }
}

/// The same by GraphQL.
async fn by_graphql(person: &Person<'_>) -> Vec<Vec<String>> {
    let (mut pages, mut after) = (Vec::new(), String::new());
    loop {
        let document = format!(
            "{{ searchPosts(query: \"#rust\"{after}) {{
                edges {{ cursor node {{ id }} }} nodes {{ id }}
                pageInfo {{ startCursor endCursor hasNextPage }} }} }}"
        );
        let found = person.data(&document).await["searchPosts"].take();
        let edges = found["edges"].as_array().unwrap();
        pages.push(edges.iter().map(|edge| id(&edge["node"])).collect());
        assert!(pages.len() < PAGES_AT_MOST, "pages without end");
        assert_eq!(found["nodes"].as_array().unwrap().len(), edges.len());
        let info = &found["pageInfo"];
        let cursor = |edge: Option<&Value>| edge.map_or(Value::Null, |edge| edge["cursor"].clone());
        assert_eq!(info["startCursor"], cursor(edges.first()));
        if !edges.is_empty() {
            assert_eq!(info["endCursor"], cursor(edges.last()));
        }
        match info["hasNextPage"].as_bool().unwrap() {
            true => after = format!(", after: {}", info["endCursor"]),
            false => return pages,
        }
    }
}

async fn s01_what_is_behind_much_that_is_hidden_is_reached(app: TestApp) {
    for name in ["ada", "spammer"] {
        app.user(name).await;
    }
    let behind = say(&app, "ada", "#rust is old", 1, 0).await;
    say(&app, "spammer", "Buy #rust!", HIDDEN, 1).await;
    let spammer = users::find_by_name(&app.database, "spammer").await;
    let spammer = spammer.unwrap().unwrap().id;
    let mut transaction = app.database.write().await.unwrap();
    let told = users::suspend(&app.database, &mut transaction, spammer, NOW).await;
    let _ = told.unwrap();
    transaction.commit().await.unwrap();
    while search::catch_up(&app.database).await.unwrap() {}
    let anybody = app.anybody();
    let pages = by_rest(&anybody).await;
    // What was found before it was too much comes without any item, and goes on.
    assert!(pages[0].is_empty(), "{pages:?}");
    assert_eq!(pages.concat(), [behind]);
    assert_eq!(by_graphql(&anybody).await, pages);
}
