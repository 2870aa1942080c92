//! The bus that a URL names.

use async_nats::ServerAddr;

use super::OpenError;

/// The most servers of one URL.
const MAX_SERVERS: usize = 16;

/// Where NATS servers listen unless the URL says otherwise.
const DEFAULT_PORT: &str = "4222";

pub(super) enum BusUrl {
    Local,
    Nats(NatsUrl),
}

/// `nats://` or `tls://`, taken apart. Has no `Debug`: it would print the credentials.
pub(super) struct NatsUrl {
    /// Without credentials.
    pub(super) servers: Vec<ServerAddr>,
    pub(super) credentials: Credentials,
    /// The whole, as it may be logged.
    pub(super) shown: String,
}

pub(super) enum Credentials {
    None,
    Password { user: String, password: String },
    Token(String),
}

impl BusUrl {
    pub(super) fn parse(url: &str) -> Result<Self, OpenError> {
        let invalid = |why| OpenError::InvalidUrl { why };
        match url.split_once(':') {
            Some(("local", "")) => Ok(Self::Local),
            Some((scheme @ ("nats" | "tls"), rest)) => {
                let rest = rest
                    .strip_prefix("//")
                    .ok_or_else(|| invalid("'//' is missing"))?;
                let (credentials, hosts) = match rest.rsplit_once('@') {
                    Some((userinfo, hosts)) => {
                        (Credentials::parse(userinfo).map_err(invalid)?, hosts)
                    }
                    None => (Credentials::None, rest),
                };
                let servers = servers(scheme, hosts).map_err(invalid)?;
                let shown = crate::without_credentials(url);
                Ok(Self::Nats(NatsUrl {
                    servers,
                    credentials,
                    shown,
                }))
            }
            _ => Err(invalid("no bus has this scheme")),
        }
    }
}

impl Credentials {
    fn parse(userinfo: &str) -> Result<Self, &'static str> {
        let credentials = match userinfo.split_once(':') {
            Some((user, password)) => Self::Password {
                user: percent_decoded(user)?,
                password: percent_decoded(password)?,
            },
            None => Self::Token(percent_decoded(userinfo)?),
        };
        match &credentials {
            Self::Password { user, .. } if user.is_empty() => Err("the user is empty"),
            Self::Token(token) if token.is_empty() => Err("the token is empty"),
            _ => Ok(credentials),
        }
    }
}

/// `HOST[:PORT][,HOST[:PORT]...]`.
fn servers(scheme: &str, hosts: &str) -> Result<Vec<ServerAddr>, &'static str> {
    let hosts: Vec<_> = hosts.split(',').collect();
    if hosts.len() > MAX_SERVERS {
        return Err("it has more than 16 servers");
    }
    hosts
        .into_iter()
        .map(|host| {
            let (name, port) = host_and_port(host)?;
            // Its own message may repeat what it was given.
            let parsed = format!("{scheme}://{name}:{port}").parse();
            parsed.map_err(|_| "a host is not valid")
        })
        .collect()
}

fn host_and_port(text: &str) -> Result<(&str, &str), &'static str> {
    let name_end = match text.find(']') {
        // The colons of an IPv6 address are in brackets.
        Some(bracket) if text.starts_with('[') => bracket + 1,
        _ => text.find(':').unwrap_or(text.len()),
    };
    let (name, port) = text.split_at(name_end);
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let inner = name.trim_start_matches('[').trim_end_matches(']');
    if inner.is_empty() || !inner.chars().all(in_name) {
        return Err("a host is not valid");
    }
    match port.strip_prefix(':') {
        Some(number) if number.parse::<u16>().is_ok_and(|port| port > 0) => Ok((name, number)),
        None if port.is_empty() => Ok((name, DEFAULT_PORT)),
        _ => Err("a port is not valid"),
    }
}

/// RFC 3986 2.1.
fn percent_decoded(text: &str) -> Result<String, &'static str> {
    let digit = |byte: Option<u8>| (byte? as char).to_digit(16);
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => match (digit(bytes.next()), digit(bytes.next())) {
                (Some(high), Some(low)) => (high * 16 + low) as u8,
                _ => return Err("'%' in the credentials is not followed by two hex digits"),
            },
            other => other,
        });
    }
    String::from_utf8(decoded).map_err(|_| "the credentials are not UTF-8")
}

/// An events URL as it may be logged and shown. One that names no bus is not shown at all,
/// as nobody knows what in it is a secret.
pub fn without_credentials(url: &str) -> String {
    match BusUrl::parse(url) {
        Ok(BusUrl::Local) => url.to_owned(),
        Ok(BusUrl::Nats(nats)) => nats.shown,
        Err(_) => "(not valid)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nats(url: &str) -> NatsUrl {
        match BusUrl::parse(url) {
            Ok(BusUrl::Nats(parsed)) => parsed,
            Ok(BusUrl::Local) => panic!("{url} is local"),
            Err(error) => panic!("{error}"),
        }
    }

    fn servers_of(url: &str) -> Vec<String> {
        let servers = nats(url).servers;
        servers
            .iter()
            .map(|s| format!("{}:{} {}", s.host(), s.port(), s.tls_required()))
            .collect()
    }

    #[test]
    fn servers_have_ports() {
        assert_eq!(servers_of("nats://host"), ["host:4222 false"]);
        assert_eq!(
            servers_of("tls://a:1,b.example.org,10.0.0.1:65535"),
            ["a:1 true", "b.example.org:4222 true", "10.0.0.1:65535 true"]
        );
        assert_eq!(servers_of("nats://[::1]:4223"), ["::1:4223 false"]);
        assert_eq!(servers_of("nats://a:b@[::1]"), ["::1:4222 false"]);
    }

    #[test]
    fn credentials_are_decoded_and_hidden() {
        let url = nats("nats://nova:p%40ss@:w%2Ford@a,b");
        let Credentials::Password { user, password } = url.credentials else {
            panic!("no password");
        };
        assert_eq!((&*user, &*password), ("nova", "p@ss@:w/ord"));
        assert_eq!(url.shown, "nats://***@a,b");
        assert_eq!(url.servers.len(), 2);
        for server in &url.servers {
            assert!(!format!("{server:?}").contains("ss@"));
        }

        let url = nats("tls://s3cr3t@a");
        let Credentials::Token(token) = url.credentials else {
            panic!("no token");
        };
        assert_eq!(token, "s3cr3t");
        assert_eq!(url.shown, "tls://***@a");
        assert_eq!(without_credentials("tls://s3cr3t@a"), url.shown);
        assert_eq!(without_credentials("local:"), "local:");
        assert!(matches!(nats("nats://a").credentials, Credentials::None));
    }

    #[test]
    fn what_names_no_bus_is_one_sentence_without_secrets() {
        let many = format!("nats://{}", ["h"; MAX_SERVERS + 1].join(","));
        for (bad, why) in [
            ("", "no bus has this scheme"),
            ("local", "no bus has this scheme"),
            ("local:x", "no bus has this scheme"),
            ("redis://nova:pa55word@host", "no bus has this scheme"),
            ("pa55word@host", "no bus has this scheme"),
            ("nats:host", "'//' is missing"),
            ("nats:nova:pa55word@host", "'//' is missing"),
            ("nats://", "a host is not valid"),
            ("nats://a,,b", "a host is not valid"),
            ("nats://a/b", "a host is not valid"),
            ("nats://a b", "a host is not valid"),
            ("nats://[::1", "a host is not valid"),
            ("nats://nova:pa55word@a:x", "a port is not valid"),
            ("nats://nova:pa55word", "a port is not valid"),
            ("nats://a:0", "a port is not valid"),
            ("nats://a:65536", "a port is not valid"),
            ("nats://a:", "a port is not valid"),
            ("nats://@a", "the token is empty"),
            ("nats://:pa55word@a", "the user is empty"),
            (
                "nats://nova:pa55word%4@a",
                "'%' in the credentials is not followed by two hex digits",
            ),
            ("nats://nova:pa55word%ff@a", "the credentials are not UTF-8"),
            (&many, "it has more than 16 servers"),
        ] {
            let Err(error) = BusUrl::parse(bad) else {
                panic!("{bad} was taken");
            };
            let sentence = error.to_string();
            assert!(sentence.contains(why), "{bad}: {sentence}");
            assert!(!sentence.contains("pa55word"), "{sentence}");
            assert!(!format!("{error:?}").contains("pa55word"), "{error:?}");
            assert_eq!(without_credentials(bad), "(not valid)");
        }
    }
}
