//! Rows of accounts whose time is over. A sweeper deletes them, a bounded number at a time.

use media::{Micros, Timestamp};

use super::playback_bars::BARS_KEPT;
use super::sql::query;
use super::{Database, RowError};

/// Revoked API tokens are known for so long: as long as anybody could still ask which they
/// were.
pub const REVOKED_TOKEN_KEPT: Micros = Micros::from_secs(30 * 24 * 60 * 60);

/// Stream keys that were revoked or have expired are known for so long: until then none of them can
/// be given again.
pub const OLD_KEY_KEPT: Micros = Micros::from_secs(30 * 24 * 60 * 60);

/// What was done by right of a role is known for so long.
pub const AUDIT_LOG_KEPT: Micros = Micros::from_secs(2 * 365 * 24 * 60 * 60);

/// Deletes registrations, links in mails and kept answers that have expired, API tokens that
/// were revoked [`REVOKED_TOKEN_KEPT`] ago, stream keys that are good no more since
/// [`OLD_KEY_KEPT`], entries of the audit log older than [`AUDIT_LOG_KEPT`], and bars of playback
/// that no token is left of: at most `limit` of each; how many of the kind of which there were most,
/// so that less than `limit` means that none is left.
pub async fn delete_expired(db: &Database, now: Timestamp, limit: u32) -> Result<u64, RowError> {
    let mut most = 0;
    for (statement, before) in [
        (
            "DELETE FROM registrations WHERE id IN (
                 SELECT id FROM registrations WHERE expires_at <= $1
                 ORDER BY expires_at LIMIT $2)",
            now,
        ),
        (
            "DELETE FROM email_tokens WHERE token_hash IN (
                 SELECT token_hash FROM email_tokens WHERE expires_at <= $1
                 ORDER BY expires_at LIMIT $2)",
            now,
        ),
        (
            "DELETE FROM idempotency_keys WHERE (user_id, key) IN (
                 SELECT user_id, key FROM idempotency_keys WHERE expires_at <= $1
                 ORDER BY expires_at LIMIT $2)",
            now,
        ),
        (
            "DELETE FROM api_tokens WHERE id IN (
                 SELECT id FROM api_tokens WHERE revoked_at IS NOT NULL AND revoked_at <= $1
                 ORDER BY revoked_at LIMIT $2)",
            now - REVOKED_TOKEN_KEPT,
        ),
        (
            "DELETE FROM stream_keys WHERE id IN (
                 SELECT id FROM stream_keys WHERE revoked_at IS NOT NULL AND revoked_at <= $1
                 ORDER BY revoked_at LIMIT $2)",
            now - OLD_KEY_KEPT,
        ),
        (
            "DELETE FROM stream_keys WHERE id IN (
                 SELECT id FROM stream_keys WHERE expires_at IS NOT NULL AND expires_at <= $1
                 ORDER BY expires_at LIMIT $2)",
            now - OLD_KEY_KEPT,
        ),
        (
            "DELETE FROM audit_log WHERE id IN (
                 SELECT id FROM audit_log WHERE created_at <= $1
                 ORDER BY created_at LIMIT $2)",
            now - AUDIT_LOG_KEPT,
        ),
        (
            // Twice: one that was moved on meanwhile stays.
            "DELETE FROM playback_bars WHERE (owner_id, viewer_id) IN (
                 SELECT owner_id, viewer_id FROM playback_bars WHERE barred_at <= $1
                 ORDER BY barred_at LIMIT $2)
                 AND barred_at <= $1",
            now - BARS_KEPT,
        ),
    ] {
        let mut transaction = db.write().await?;
        let deleted = query(statement)
            .bind(before)
            .bind(limit)
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        most = most.max(deleted);
    }
    Ok(most)
}

/// Deletes logins that have expired, ended or not, and their tokens: at most `limit` rows;
/// how many. The tokens of a long login are many, so they go first, in steps.
pub async fn delete_expired_logins(
    db: &Database,
    now: Timestamp,
    limit: u32,
) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    let tokens = query(
        "DELETE FROM refresh_tokens WHERE token_hash IN (
             SELECT t.token_hash
             FROM login_sessions s JOIN refresh_tokens t ON t.session_id = s.id
             WHERE s.expires_at <= $1
             LIMIT $2)",
    )
    .bind(now)
    .bind(limit)
    .execute(&mut transaction)
    .await?;
    let logins = query(
        "DELETE FROM login_sessions WHERE id IN (
             SELECT s.id FROM login_sessions s
             WHERE s.expires_at <= $1
                 AND NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.session_id = s.id)
             ORDER BY s.expires_at
             LIMIT $2)",
    )
    .bind(now)
    .bind(u64::from(limit).saturating_sub(tokens))
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(tokens + logins)
}
