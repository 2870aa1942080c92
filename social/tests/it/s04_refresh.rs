//! S04: a lost refresh reply is forgiven, a replay ends the family, ten tabs refreshing at once
//! stay logged in. The rule has its own test; these are its way through the API.

use futures_util::future::join_all;
use media::Micros;
use serde_json::Value;

use crate::app::{Person, TestApp};

on_both_engines! {
    s04_a_lost_reply_is_forgiven,
    s04_a_replay_ends_the_family,
    s04_ten_tabs_at_once_stay_logged_in,
}

/// When an access token has expired, and the refresh token is old enough to be exchanged.
const LATER: Micros = Micros::from_secs(601);

/// Goes on, and has what the answer gave.
async fn next<'a>(person: &Person<'a>) -> Person<'a> {
    let answer = person.refresh().await.ok(200);
    person.clone().with_tokens(&answer)
}

async fn s04_a_lost_reply_is_forgiven(app: TestApp) {
    let ada = app.person("ada").await;
    app.later(LATER);
    let lost = next(&ada).await;
    assert_ne!(lost.refresh_token, ada.refresh_token);
    app.later(LATER);
    let second = next(&ada).await;
    assert_ne!(second.refresh_token, ada.refresh_token);
    app.later(LATER);
    let third = next(&second).await;
    third.get("/api/v1/me").await.ok(200);
}

async fn s04_a_replay_ends_the_family(app: TestApp) {
    let ada = app.person("ada").await;
    let mut honest = ada.clone();
    for _ in 0..3 {
        app.later(LATER);
        honest = next(&honest).await;
    }
    ada.refresh().await.problem(401, "refresh-failed");
    honest
        .get("/api/v1/me")
        .await
        .problem(401, "unauthenticated");
    honest.refresh().await.problem(401, "refresh-failed");
}

async fn s04_ten_tabs_at_once_stay_logged_in(app: TestApp) {
    let ada = app.person("ada").await;
    app.later(LATER);
    let answers = join_all((0..10).map(|_| ada.refresh())).await;
    let mut last = None;
    for answer in answers {
        let answer = answer.ok(200);
        let tab = ada.clone().with_tokens(&answer);
        tab.get("/api/v1/me").await.ok(200);
        if answer["refresh_token"] != Value::Null {
            last = Some(tab);
        }
    }
    app.later(LATER);
    let after = next(&last.expect("one tab has the next token")).await;
    after.get("/api/v1/me").await.ok(200);
}
