//! S10, for mails: a mail is there when what it tells of is, and is sent although the mail
//! server was away.

use media::Micros;
use serde_json::json;
use storage::rows::jobs::{self, JobState};

use crate::app::{PASSWORD, TestApp};
use crate::mailbox::token_of;

on_both_engines! {
    s10_a_mail_is_sent_when_the_mail_server_is_back,
    s10_what_was_not_registered_is_not_mailed,
}

async fn s10_a_mail_is_sent_when_the_mail_server_is_back(app: TestApp) {
    app.mailbox.refuse(2);
    let body = json!({ "name": "ada", "email": "ada@example.org", "password": PASSWORD });
    let answer = app.anybody().post("/api/v1/registrations", &body).await;
    answer.ok(202);
    let moving = async {
        loop {
            app.later(Micros::from_secs(30));
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let mails = tokio::select! {
        mails = app.mailbox.to("ada@example.org", 1) => mails,
        () = moving => unreachable!(),
    };
    // The link of the mail that left is the one that counts.
    let token = json!({ "token": token_of(&mails[0]) });
    let verified = app
        .anybody()
        .post("/api/v1/registrations/verify", &token)
        .await;
    verified.ok(201);
}

async fn s10_what_was_not_registered_is_not_mailed(app: TestApp) {
    app.user("ada").await;
    let body = json!({ "name": "Ada", "email": "new@example.org", "password": PASSWORD });
    let answer = app.anybody().post("/api/v1/registrations", &body).await;
    answer.problem(409, "name-taken");
    let jobs = jobs::list(&app.database, "mail", JobState::Ready, None, 10).await;
    assert!(jobs.unwrap().is_empty());
    assert_eq!(app.mailbox.count(), 0);
}
