//! Pages of what was said in a chat, for readers who are shown little of it.

use media::ChatMessageId;
use storage::rows::chat::{self, Direction};
use storage::rows::sql::query;
use storage::rows::{LOOKED_AT_MOST, mutes};

use crate::chat::say;
use crate::fixtures::TestDatabase;
use crate::users::{at, write};

on_both_engines! {
    a_page_looks_at_so_many_messages_and_goes_on,
}

/// Of somebody who says much and is muted a page does not read all.
async fn a_page_looks_at_so_many_messages_and_goes_on(test: TestDatabase) {
    let demo = test.stream("demo").await;
    let (ada, bot) = (test.user("ada").await, test.user("bot").await);
    let mut transaction = write(&test).await;
    mutes::mute(&mut transaction, ada, bot, at(0))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let first = say(&test, demo, ada, "first").await;
    let much = u64::from(LOOKED_AT_MOST) + 5;
    let mut transaction = write(&test).await;
    for n in 2..2 + much {
        query(
            "INSERT INTO chat_messages (id, stream_id, sequence, last_event, author_id, body,
                                        media_at, created_at)
             VALUES ($1, $2, $3, $3, $4, 'x', $5, $5)",
        )
        .bind(ChatMessageId::new())
        .bind(demo)
        .bind(n)
        .bind(bot)
        .bind(at(n as i64))
        .execute(&mut transaction)
        .await
        .unwrap();
    }
    transaction.commit().await.unwrap();

    let read = async |viewer, direction, after| {
        let page = chat::history(&test.db, demo, Some(viewer), direction, after, 2).await;
        let page = page.unwrap();
        let bodies: Vec<_> = page.rows.into_iter().map(|row| row.body).collect();
        (bodies, page.next)
    };
    let (back, forwards) = (Direction::Backwards, Direction::Forwards);
    let next = Some(much + 2 - u64::from(LOOKED_AT_MOST));
    assert_eq!(read(ada, back, None).await, (vec![], next));
    assert_eq!(
        read(ada, back, next).await,
        (vec!["first".to_owned()], None)
    );
    let (found, next) = read(ada, forwards, None).await;
    assert_eq!(
        (found, next),
        (vec!["first".to_owned()], Some(u64::from(LOOKED_AT_MOST)))
    );
    assert_eq!(read(ada, forwards, next).await, (vec![], None));
    // Who hides nothing looks at no more than they read.
    assert_eq!(read(bot, back, None).await, (vec!["x".to_owned(); 2], None));

    let replay = async |direction, from, after| {
        let page = chat::replay(&test.db, demo, Some(ada), direction, from, after, 2).await;
        let page = page.unwrap();
        let ids: Vec<_> = page.rows.iter().map(|row| row.id).collect();
        (ids, page.next)
    };
    let end = at(1_000_000);
    let (found, next) = replay(back, end, None).await;
    assert!(found.is_empty() && next.is_some());
    assert_eq!(replay(back, end, next).await, (vec![first.id], None));
    let begin = at(-1_000_000);
    let (found, next) = replay(forwards, begin, None).await;
    assert_eq!(found, [first.id]);
    assert!(next.is_some());
    assert_eq!(replay(forwards, begin, next).await, (vec![], None));
}
