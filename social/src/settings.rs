//! What the operator sets of the API.

use std::time::Duration;

use crate::proxies::TrustedProxies;

/// How the services behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What links in mails begin with, `https://nova.example.org`, without a slash at the end.
    pub public_url: String,
    /// Memory that password computations take together, in MiB.
    pub password_memory_mib: u32,
    /// How long a request waits for its turn to compute a password; then it is refused.
    pub password_wait: Duration,
    /// Who may ask what the GraphQL schema has.
    pub introspection: Introspection,
    /// How long a token for playback is good, in seconds.
    pub playback_token_seconds: u32,
    /// Whose `X-Forwarded-For` and `X-Forwarded-Proto` count.
    pub trusted_proxies: TrustedProxies,
    /// For how long it is kept what is said in chats; none: for ever.
    pub chat_kept: Option<Duration>,
    /// How often it is looked at what other nodes write in chats and have not told; four times as
    /// often while the bus is down.
    pub chat_looked_every: Duration,
    /// How often what may be asked.
    pub limits: Limits,
}

/// Who may ask what the GraphQL schema has: queries with `__schema` or `__type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Introspection {
    /// Nobody.
    Nobody,
    /// Whoever has logged in, or has an API token.
    Users,
    /// Everybody.
    Everybody,
}

/// How often what may be asked. Each is also how often it may be asked at once after a silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Logins a minute by one name or address typed, right or wrong, from one client address;
    /// tenfold from all together.
    pub logins_per_minute_per_account: u32,
    /// Logins a minute from one client address.
    pub logins_per_minute_per_address: u32,
    /// Registrations an hour from one client address.
    pub registrations_per_hour_per_address: u32,
    /// Requests an hour for a new password from one client address.
    pub resets_per_hour_per_address: u32,
    /// Mails an hour that one mail address is sent.
    pub mails_per_hour_per_recipient: u32,
    /// Operations a minute by one user, or by one client address of who is none.
    pub requests_per_minute: u32,
    /// Of these, operations that change something.
    pub writes_per_minute: u32,
    /// Posts, comments and shares an hour by one user.
    pub posts_per_hour: u32,
    /// Edits of posts and comments an hour by one user: each keeps what was there.
    pub edits_per_hour: u32,
    /// Pictures an hour that one user sends: each takes a core and much memory to read.
    pub pictures_per_hour: u32,
    /// Messages a minute by one user, in all chats together.
    pub chat_messages_per_minute: u32,
    /// Viewer sessions a minute that one user begins, or one client address of who is none; and how
    /// many of one stream that address has at once.
    pub viewers_per_minute: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: "http://localhost:8080".to_owned(),
            password_memory_mib: 64,
            password_wait: Duration::from_secs(3),
            introspection: Introspection::Users,
            playback_token_seconds: 3_600,
            trusted_proxies: TrustedProxies::default(),
            chat_kept: Some(Duration::from_secs(365 * 24 * 3_600)),
            chat_looked_every: Duration::from_secs(2),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            logins_per_minute_per_account: 10,
            logins_per_minute_per_address: 30,
            registrations_per_hour_per_address: 5,
            resets_per_hour_per_address: 5,
            mails_per_hour_per_recipient: 3,
            requests_per_minute: 600,
            writes_per_minute: 120,
            posts_per_hour: 300,
            edits_per_hour: 120,
            pictures_per_hour: 100,
            chat_messages_per_minute: 60,
            viewers_per_minute: 60,
        }
    }
}
