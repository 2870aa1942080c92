//! Which columns say who somebody is, and what becomes of them with the end of an account.

use std::collections::BTreeSet;

use media::UserId;
use storage::rows::sql::{self, AssertSqlSafe, Engine};

use crate::fixtures::TestDatabase;

on_both_engines! {
    every_column_that_may_have_a_user_is_erased_or_kept_for_a_reason,
}

/// A table and its column.
type Column = (&'static str, &'static str);

/// Nothing in these is left of an account that was erased: the row is gone, or it is nobody's.
const ERASED: &[Column] = &[
    ("api_tokens", "user_id"),
    ("blocks", "blocked_id"),
    ("blocks", "blocker_id"),
    ("chat_messages", "author_id"),
    ("chat_sanctions", "user_id"),
    ("email_tokens", "user_id"),
    ("feed_entries", "user_id"),
    ("feed_floors", "user_id"),
    ("follows", "followed_id"),
    ("follows", "follower_id"),
    ("idempotency_keys", "user_id"),
    ("images", "owner_id"),
    ("likes", "user_id"),
    ("login_sessions", "user_id"),
    ("mutes", "muted_id"),
    ("mutes", "muter_id"),
    ("notification_actors", "actor_id"),
    ("notification_actors", "deed_id"),
    ("notifications", "recipient_id"),
    ("notifications", "target_id"),
    ("post_mentions", "user_id"),
    ("posts", "author_id"),
    ("preferences", "user_id"),
    ("profile_links", "user_id"),
    ("pulled_authors", "user_id"),
    ("reports", "reporter_id"),
    ("reports", "subject_id"),
    ("search_users", "user_id"),
    ("streams", "owner_id"),
    ("videos", "owner_id"),
];

/// Of these the sweepers take the rows before the account goes.
pub(super) const SWEPT: [Column; 3] = [
    ("images", "owner_id"),
    ("streams", "owner_id"),
    ("videos", "owner_id"),
];

/// A user may be left in these.
const KEPT: &[(Column, &str)] = &[
    (("audit_log", "actor_id"), WHO_DID_IT),
    (("audit_log", "detail"), WHO_DID_IT),
    (("audit_log", "subject_id"), WHO_DID_IT),
    (("jobs", "payload"), WORK),
    (("live_fan_outs", "reached_id"), A_PLACE),
    (("outbox_events", "key"), EVENTS),
    (("outbox_events", "payload"), EVENTS),
    (("outbox_events", "subject"), EVENTS),
    (("playback_bars", "owner_id"), BARRED),
    (("playback_bars", "viewer_id"), BARRED),
    (("prewarms", "requested_by"), ASKED),
    (("purges", "requested_by"), ASKED),
    (("search_indexes", "caught_up_to"), A_PLACE),
    (("viewer_sessions", "joined_by"), A_HASH),
];

const WHO_DID_IT: &str = "what was done by right of a role, and to whom, is known for two years";
const A_PLACE: &str = "a place in a list, to go on from";
const WORK: &str = "what was to be done is known for seven days";
const EVENTS: &str = "events go when every consumer is past them";
const ASKED: &str = "who asked caches for something is known for seven days";
const A_HASH: &str = "a hash of the stream and of who watches it, gone when they do not any more";
const BARRED: &str = "tokens that were signed before are refused until the last of them expires";

/// What may look like one, and is no user.
const OF_OTHERS: &[Column] = &[
    ("consumed_events", "event_id"),
    ("feed_catch_ups", "post_id"),
    ("feed_entries", "post_id"),
    ("feed_floors", "post_id"),
    ("idempotency_keys", "key"),
    ("jobs", "unique_key"),
    ("jobs", "worker"),
    ("leases", "owner"),
    ("prewarm_nodes", "node_id"),
    ("prewarms", "subject"),
    ("purges", "subject"),
    ("stream_status", "node_id"),
    ("stream_status", "session_id"),
    ("stream_status", "stream_id"),
    ("trends", "subject_id"),
    ("usage_minutes", "subject_id"),
    ("viewer_minutes", "stream_id"),
    ("viewer_sessions", "stream_id"),
];

/// Text that has whoever did something, or that may have anybody.
macro_rules! names_somebody {
    ($name:literal) => {
        concat!(
            $name,
            r" LIKE '%\_by' ESCAPE '\' OR ",
            $name,
            " IN ('detail', 'key', 'owner', 'payload', 'subject', 'unique_key', 'worker')"
        )
    };
}

/// Each column with an id, or with a name for something else that may be a user, and the table that
/// it refers to, if it does. SQLite knows ids by their names alone.
const OF_SQLITE: &str = concat!(
    r#"
    SELECT t.name, c.name,
           COALESCE((SELECT f."table" FROM pragma_foreign_key_list(t.name) f
                     WHERE f."from" = c.name), '')
    FROM sqlite_schema t JOIN pragma_table_info(t.name) c
    WHERE t.type = 'table'
        AND (c.name LIKE '%\_id' ESCAPE '\' OR c.name = 'caught_up_to' OR "#,
    names_somebody!("c.name"),
    ")"
);

const OF_POSTGRES: &str = concat!(
    "
    SELECT t.relname::TEXT, c.attname::TEXT,
           COALESCE((SELECT o.relname::TEXT
                     FROM pg_constraint f JOIN pg_class o ON o.oid = f.confrelid
                     WHERE f.contype = 'f' AND f.conrelid = t.oid AND c.attnum = ANY(f.conkey)
                     LIMIT 1), '')
    FROM pg_class t JOIN pg_attribute c ON c.attrelid = t.oid
    WHERE t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace
        AND c.attnum > 0 AND NOT c.attisdropped
        AND (c.atttypid = 'uuid'::regtype AND c.attname <> 'id' OR ",
    names_somebody!("c.attname"),
    ")"
);

async fn every_column_that_may_have_a_user_is_erased_or_kept_for_a_reason(test: TestDatabase) {
    let text = match test.db.engine() {
        Engine::Sqlite => OF_SQLITE,
        Engine::Postgres => OF_POSTGRES,
    };
    let found: Vec<(String, String, String)> = sql::query(text).all(&test.db).await.unwrap();
    let may_have_a_user = found
        .iter()
        .filter(|(_, _, refers_to)| refers_to == "users" || refers_to.is_empty());
    let found: BTreeSet<_> = may_have_a_user
        .map(|(table, column, _)| (table.as_str(), column.as_str()))
        .collect();
    let kept = KEPT.iter().map(|(column, _)| column);
    let known = ERASED.iter().chain(kept).chain(OF_OTHERS);
    let known: BTreeSet<_> = known.copied().collect();
    let unknown: Vec<_> = found.difference(&known).collect();
    assert!(unknown.is_empty(), "what becomes of {unknown:?}?");
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(gone.is_empty(), "{gone:?} are no such columns");
}

/// Every column that has nothing of an account that was erased.
pub(super) fn erased() -> BTreeSet<Column> {
    ERASED.iter().copied().collect()
}

/// Those of them that have this user, and the row of the account.
pub(super) async fn named(test: &TestDatabase, user: UserId) -> BTreeSet<Column> {
    let mut found = BTreeSet::new();
    for (table, column) in erased().into_iter().chain([("users", "id")]) {
        let text = AssertSqlSafe(format!("SELECT 1 FROM {table} WHERE {column} = $1"));
        if sql::query(text).bind(user).exists(&test.db).await.unwrap() {
            found.insert((table, column));
        }
    }
    found
}
