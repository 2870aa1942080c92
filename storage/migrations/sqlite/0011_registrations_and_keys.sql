-- Registrations, the keys of access tokens, and the indexes of what people do with accounts.

-- An account that is not one yet: it becomes one when the link in its mail is used. Until
-- then, or until it expires, nobody else gets its name. Several may have one address: the
-- first whose link is used has it.
CREATE TABLE registrations (
    id             TEXT    NOT NULL PRIMARY KEY,
    name           TEXT    NOT NULL,
    email          TEXT    NOT NULL,
    password_hash  TEXT    NOT NULL,
    -- SHA-256 of the token in the mail's link.
    token_hash     BLOB    NOT NULL UNIQUE,
    -- The address was an account's already: its owner was told so, and got no link.
    email_is_known BOOLEAN NOT NULL,
    created_at     BIGINT  NOT NULL,
    expires_at     BIGINT  NOT NULL
);

CREATE UNIQUE INDEX registrations_name ON registrations (lower(name));
CREATE INDEX registrations_email ON registrations (lower(email));
CREATE INDEX registrations_expiry ON registrations (expires_at);

-- What access tokens are signed with, by all nodes. Whoever reads this row can make any
-- token: the database is what everybody trusts.
CREATE TABLE signing_keys (
    -- `kid` of RFC 7515 4.1.4.
    kid         TEXT   NOT NULL PRIMARY KEY,
    -- PKCS#8 (RFC 5958), Ed25519.
    private_key BLOB   NOT NULL,
    created_at  BIGINT NOT NULL,
    -- NULL: it signs. After that it only verifies, until no token of it can be good.
    retired_at  BIGINT
);

-- Accounts were made by whoever administers the installation until now.
UPDATE users SET email_verified_at = created_at WHERE email_verified_at IS NULL;

-- A node that starts asks for those whose access tokens may still be about.
CREATE INDEX users_suspended ON users (suspended_at, id) WHERE suspended_at IS NOT NULL;
CREATE INDEX api_tokens_revoked ON api_tokens (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX audit_log_age ON audit_log (created_at);
