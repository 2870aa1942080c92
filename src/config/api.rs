//! `[api]` and `[mail]`: accounts, their limits and their mails.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use social::mail::SmtpPost;
use social::proxies::TrustedProxies;
use social::settings::{Introspection, Limits, Settings};

use super::{Config, ConfigError, is_http_origin};

/// A hundred years.
const MAX_DAYS: u32 = 36_500;

/// `[api]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Api {
    /// What links in mails begin with, `https://HOST`; empty: `http.bind` on this machine.
    pub public_url: String,
    /// Memory for password computations, in MiB: each takes 19.
    pub password_memory_mib: u32,
    /// How long a login waits for its turn to compute; then it is refused.
    pub password_wait_seconds: u32,
    /// Who may ask what the GraphQL schema has: `nobody`, `users` or `everybody`.
    pub graphql_introspection: String,
    /// How long a token for playback is good, in seconds: whoever plays longer asks for another.
    pub playback_token_seconds: u32,
    /// Proxies in front of this server, as addresses or ranges (`10.0.0.0/8`): who asks, and
    /// whether by TLS, is what they say in `X-Forwarded-For` and `X-Forwarded-Proto`.
    pub trusted_proxies: Vec<String>,
    /// For how many days it is kept what is said in chats; 0: for ever.
    pub chat_keep_days: u32,
    /// How often what may be asked.
    pub limits: ApiLimits,
}

/// `[api.limits]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiLimits {
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
    /// Operations a minute by one user, or by one address of who is none.
    pub requests_per_minute: u32,
    /// Of these, operations that change something.
    pub writes_per_minute: u32,
    /// Posts, comments and shares an hour by one user.
    pub posts_per_hour: u32,
    /// Edits of posts and comments an hour by one user.
    pub edits_per_hour: u32,
    /// Pictures an hour that one user sends.
    pub pictures_per_hour: u32,
    /// Messages a minute by one user, in all chats together.
    pub chat_messages_per_minute: u32,
    /// Viewer sessions a minute that one user begins, or one client address of who is none.
    pub viewers_per_minute: u32,
}

/// `[mail]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// `smtps://USER:PASSWORD@HOST:PORT`, `smtp://HOST:PORT?tls=required` or `smtp://HOST:PORT`;
    /// empty: mails are written to the log, links and all, which is for development.
    pub smtp_url: String,
    /// Whom mails are from.
    pub from: String,
}

impl Default for Api {
    fn default() -> Self {
        let settings = Settings::default();
        let limits = settings.limits;
        Self {
            public_url: String::new(),
            password_memory_mib: settings.password_memory_mib,
            password_wait_seconds: settings.password_wait.as_secs() as u32,
            graphql_introspection: "users".to_owned(),
            playback_token_seconds: settings.playback_token_seconds,
            trusted_proxies: Vec::new(),
            chat_keep_days: 365,
            limits: ApiLimits {
                logins_per_minute_per_account: limits.logins_per_minute_per_account,
                logins_per_minute_per_address: limits.logins_per_minute_per_address,
                registrations_per_hour_per_address: limits.registrations_per_hour_per_address,
                resets_per_hour_per_address: limits.resets_per_hour_per_address,
                mails_per_hour_per_recipient: limits.mails_per_hour_per_recipient,
                requests_per_minute: limits.requests_per_minute,
                writes_per_minute: limits.writes_per_minute,
                posts_per_hour: limits.posts_per_hour,
                edits_per_hour: limits.edits_per_hour,
                pictures_per_hour: limits.pictures_per_hour,
                chat_messages_per_minute: limits.chat_messages_per_minute,
                viewers_per_minute: limits.viewers_per_minute,
            },
        }
    }
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            smtp_url: String::new(),
            from: "Nova <nova@localhost>".to_owned(),
        }
    }
}

impl Api {
    fn introspection(&self) -> Option<Introspection> {
        match self.graphql_introspection.as_str() {
            "nobody" => Some(Introspection::Nobody),
            "users" => Some(Introspection::Users),
            "everybody" => Some(Introspection::Everybody),
            _ => None,
        }
    }

    /// What cannot be.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let refused = |key: &str, given: String, expected: &str| ConfigError::Value {
            key: format!("api.{key}"),
            given,
            expected: expected.to_owned(),
        };
        if self.introspection().is_none() {
            let given = format!("{:?}", self.graphql_introspection);
            let expected = "nobody, users or everybody";
            return Err(refused("graphql_introspection", given, expected));
        }
        let url = &self.public_url;
        let is_origin = is_http_origin(url, &["http", "https"]) && !url.contains('@');
        if !url.is_empty() && !is_origin {
            let given = storage::without_credentials(url);
            return Err(refused("public_url", given, "http:// or https://HOST:PORT"));
        }
        if let Err(error) = TrustedProxies::parse(&self.trusted_proxies) {
            let expected = "addresses like 192.0.2.7, 10.0.0.0/8, ::1 or 2001:db8::/48";
            return Err(refused("trusted_proxies", error.given, expected));
        }
        if self.chat_keep_days > MAX_DAYS {
            let given = self.chat_keep_days.to_string();
            let expected = format!("a number from 0 to {MAX_DAYS}");
            return Err(refused("chat_keep_days", given, &expected));
        }
        let limits = &self.limits;
        for (key, value, most) in [
            ("password_memory_mib", self.password_memory_mib, 1 << 16),
            ("password_wait_seconds", self.password_wait_seconds, 60),
            (
                "playback_token_seconds",
                self.playback_token_seconds,
                24 * 3_600,
            ),
            (
                "limits.logins_per_minute_per_account",
                limits.logins_per_minute_per_account,
                1_000_000,
            ),
            (
                "limits.logins_per_minute_per_address",
                limits.logins_per_minute_per_address,
                1_000_000,
            ),
            (
                "limits.registrations_per_hour_per_address",
                limits.registrations_per_hour_per_address,
                1_000_000,
            ),
            (
                "limits.resets_per_hour_per_address",
                limits.resets_per_hour_per_address,
                1_000_000,
            ),
            (
                "limits.mails_per_hour_per_recipient",
                limits.mails_per_hour_per_recipient,
                1_000_000,
            ),
            (
                "limits.requests_per_minute",
                limits.requests_per_minute,
                1_000_000,
            ),
            (
                "limits.writes_per_minute",
                limits.writes_per_minute,
                1_000_000,
            ),
            ("limits.posts_per_hour", limits.posts_per_hour, 1_000_000),
            ("limits.edits_per_hour", limits.edits_per_hour, 1_000_000),
            (
                "limits.pictures_per_hour",
                limits.pictures_per_hour,
                1_000_000,
            ),
            (
                "limits.chat_messages_per_minute",
                limits.chat_messages_per_minute,
                1_000_000,
            ),
            (
                "limits.viewers_per_minute",
                limits.viewers_per_minute,
                1_000_000,
            ),
        ] {
            if !(1..=most).contains(&value) {
                let expected = format!("a number from 1 to {most}");
                return Err(refused(key, value.to_string(), &expected));
            }
        }
        Ok(())
    }
}

impl Mail {
    /// What cannot be.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        // The sender is looked at also while there is no server.
        let url = match self.smtp_url.as_str() {
            "" => "smtp://localhost",
            url => url,
        };
        let checked = SmtpPost::new(url, &self.from);
        checked.map(drop).map_err(|error| {
            let (key, given) = match error {
                social::mail::InvalidSmtp::Url => {
                    ("smtp_url", storage::without_credentials(&self.smtp_url))
                }
                social::mail::InvalidSmtp::From => ("from", format!("{:?}", self.from)),
            };
            ConfigError::Value {
                key: format!("mail.{key}"),
                given,
                expected: error.to_string().replace("expected ", ""),
            }
        })
    }
}

impl Config {
    /// How the API's services behave.
    pub fn api_settings(&self) -> Settings {
        let api = &self.api;
        let limits = &api.limits;
        Settings {
            public_url: match api.public_url.as_str() {
                "" => format!(
                    "{}://localhost:{}",
                    self.http.scheme(),
                    self.http.bind.port()
                ),
                url => url.trim_end_matches('/').to_owned(),
            },
            password_memory_mib: api.password_memory_mib,
            password_wait: Duration::from_secs(api.password_wait_seconds.into()),
            introspection: api.introspection().unwrap_or(Introspection::Nobody),
            playback_token_seconds: api.playback_token_seconds,
            // Checked when the configuration was read.
            trusted_proxies: TrustedProxies::parse(&api.trusted_proxies).unwrap_or_default(),
            chat_kept: match api.chat_keep_days {
                0 => None,
                days => Some(Duration::from_secs(u64::from(days) * 24 * 3_600)),
            },
            chat_looked_every: Settings::default().chat_looked_every,
            limits: Limits {
                logins_per_minute_per_account: limits.logins_per_minute_per_account,
                logins_per_minute_per_address: limits.logins_per_minute_per_address,
                registrations_per_hour_per_address: limits.registrations_per_hour_per_address,
                resets_per_hour_per_address: limits.resets_per_hour_per_address,
                mails_per_hour_per_recipient: limits.mails_per_hour_per_recipient,
                requests_per_minute: limits.requests_per_minute,
                writes_per_minute: limits.writes_per_minute,
                posts_per_hour: limits.posts_per_hour,
                edits_per_hour: limits.edits_per_hour,
                pictures_per_hour: limits.pictures_per_hour,
                chat_messages_per_minute: limits.chat_messages_per_minute,
                viewers_per_minute: limits.viewers_per_minute,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_edits_has_a_limit_that_can_be_set() {
        let mut config = Config::default();
        config.api.limits.edits_per_hour = 7;
        config.api.check().unwrap();
        assert_eq!(config.api_settings().limits.edits_per_hour, 7);
        config.api.limits.edits_per_hour = 0;
        let error = config.api.check().unwrap_err().to_string();
        assert!(error.contains("api.limits.edits_per_hour"), "{error}");
        assert!(error.contains("from 1 to 1000000"), "{error}");
    }
}
