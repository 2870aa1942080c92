//! Where to publish.

use std::fmt;
use std::str::FromStr;

use crate::host::StreamKey;

/// The port of RTMP (Adobe RTMP 1.0, section 5).
const DEFAULT_PORT: u16 = 1935;

/// `rtmp://host[:port]/app[/key]`. Prints without the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublishUrl {
    host: String,
    port: u16,
    app: String,
    key: StreamKey,
}

/// What is wrong with a URL. The URL may hold a key, so it is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// Another scheme, or none.
    #[error("not an RTMP URL, expected rtmp://host[:port]/app/key")]
    Scheme,
    /// No host, or a port that is no number.
    #[error("no host and port in the URL, expected rtmp://host[:port]/app/key")]
    Host,
    /// No application.
    #[error("no application in the URL, expected rtmp://host[:port]/app/key")]
    App,
}

impl PublishUrl {
    /// Whether it has a key.
    pub fn has_key(&self) -> bool {
        !self.key.expose().is_empty()
    }

    /// The same with another key.
    pub fn with_key(self, key: StreamKey) -> Self {
        Self { key, ..self }
    }

    /// Host and port, as a socket is opened with.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(super) fn app(&self) -> &str {
        &self.app
    }

    pub(super) fn key(&self) -> &str {
        self.key.expose()
    }

    pub(super) fn tc_url(&self) -> String {
        format!("rtmp://{}:{}/{}", self.host, self.port, self.app)
    }
}

impl FromStr for PublishUrl {
    type Err = InvalidUrl;

    fn from_str(url: &str) -> Result<Self, InvalidUrl> {
        let rest = url
            .split_once("://")
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("rtmp"))
            .map(|(_, rest)| rest)
            .ok_or(InvalidUrl::Scheme)?;
        let (authority, path) = rest.split_once('/').ok_or(InvalidUrl::App)?;
        // An IPv6 address has colons in its brackets.
        let after_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
        let (host, port) = match authority[after_host..].split_once(':') {
            Some((before, port)) => (
                &authority[..after_host + before.len()],
                port.parse().map_err(|_| InvalidUrl::Host)?,
            ),
            None => (authority, DEFAULT_PORT),
        };
        if host.is_empty() || host.contains('@') {
            return Err(InvalidUrl::Host);
        }
        let (app, key) = path.split_once('/').unwrap_or((path, ""));
        if app.is_empty() {
            return Err(InvalidUrl::App);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            app: app.to_owned(),
            key: StreamKey::new(key),
        })
    }
}

impl fmt::Display for PublishUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tc_url())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_urls() {
        for (url, address, app, key) in [
            ("rtmp://a.example/live/k", "a.example:1935", "live", "k"),
            ("RTMP://127.0.0.1:99/live", "127.0.0.1:99", "live", ""),
            ("rtmp://[::1]:99/app/k?x=1", "[::1]:99", "app", "k?x=1"),
            ("rtmp://[::1]/app/a/b", "[::1]:1935", "app", "a/b"),
        ] {
            let parsed: PublishUrl = url.parse().unwrap();
            assert_eq!(parsed.address(), address);
            assert_eq!((parsed.app(), parsed.key()), (app, key));
        }
    }

    #[test]
    fn refuses_what_is_not_one() {
        for (url, error) in [
            ("http://a/live/k", InvalidUrl::Scheme),
            ("a/live/k", InvalidUrl::Scheme),
            ("rtmp://a", InvalidUrl::App),
            ("rtmp://a/", InvalidUrl::App),
            ("rtmp:///live", InvalidUrl::Host),
            ("rtmp://a:port/live", InvalidUrl::Host),
            ("rtmp://u:p@a/live", InvalidUrl::Host),
        ] {
            assert_eq!(url.parse::<PublishUrl>(), Err(error), "{url}");
        }
    }

    #[test]
    fn a_key_never_prints() {
        let url: PublishUrl = "rtmp://a/live/secret".parse().unwrap();
        assert!(!format!("{url} {url:?}").contains("secret"));
    }
}
