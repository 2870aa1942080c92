//! URLs as they may be shown.

/// Stands where credentials were.
const HIDDEN: &str = "***";

/// A URL as it may be shown and logged: without what stands before its host, and without
/// a password among its parameters. Also of a URL that is not valid, since a mistyped one
/// must not print a password: where it is not clear what is a secret, more is hidden.
pub fn without_credentials(url: &str) -> String {
    let (scheme, rest) = match url.find(':') {
        Some(colon) => url.split_at(colon + 1),
        None => ("", url),
    };
    if matches!(scheme, "file:" | "sqlite:") {
        // A path.
        return url.to_owned();
    }
    let (slashes, rest) = match rest.strip_prefix("//") {
        Some(rest) => ("//", rest),
        None => ("", rest),
    };
    // The last `@`, wherever it is: a password may contain `@`, `/` and `?` unescaped.
    // Without one the host may have been forgotten, and not the password.
    let (credentials, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => (format!("{HIDDEN}@"), rest),
        None => match password(rest) {
            Some(at) => (format!("{}{HIDDEN}", &rest[..at]), ""),
            None => (String::new(), rest),
        },
    };
    let (address, query) = match rest.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (rest, None),
    };
    let mut shown = format!("{scheme}{slashes}{credentials}{address}");
    for (index, parameter) in query.into_iter().flat_map(|q| q.split('&')).enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        match parameter.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().contains("password") => {
                shown.push_str(name);
                shown.push('=');
                shown.push_str(HIDDEN);
            }
            _ => shown.push_str(parameter),
        }
    }
    shown
}

/// Where something that is no port follows the first colon of `HOST:PORT,HOST:PORT/PATH`.
/// Nothing after it is known to be no password. An IPv6 address has brackets.
fn password(rest: &str) -> Option<usize> {
    let hosts = rest.split(['/', '?']).next().unwrap_or_default();
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_place = |place: &str| {
        let after_address = match place.strip_prefix('[') {
            Some(address) => address.split_once(']').map_or(address, |(_, rest)| rest),
            None => place,
        };
        let port = after_address.split_once(':').map(|(_, port)| port);
        port.is_none_or(is_port)
    };
    let all_are = hosts.split(',').all(is_place);
    (!all_are).then(|| hosts.find(':').map_or(0, |colon| colon + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_secret_stays() {
        for (url, shown) in [
            ("postgrse://nova:sec@ret@db/nova", "postgrse://***@db/nova"),
            ("postgres:nova:secret@db/nova", "postgres:***@db/nova"),
            ("nova:secret@db", "nova:***@db"),
            ("secret@db", "***@db"),
            ("postgres://a:b?c@db/nova?x=1", "postgres://***@db/nova?x=1"),
            (
                "postgres://db/nova?user=a&password=s",
                "postgres://db/nova?user=a&password=***",
            ),
            (
                "postgres://a:b@db/nova?PASSWORD=s&x",
                "postgres://***@db/nova?PASSWORD=***&x",
            ),
            ("nats://host:4222", "nats://host:4222"),
            ("nats://[::1]:4222,b:4222", "nats://[::1]:4222,b:4222"),
            ("postgres://[::1]/nova?x=1", "postgres://[::1]/nova?x=1"),
            ("postgres://nova:secret/nova", "postgres://nova:***"),
            ("postgres:nova:secret/nova", "postgres:nova:***"),
            ("http://127.0.0.1:9000/a:b", "http://127.0.0.1:9000/a:b"),
            ("tls://token@a,b", "tls://***@a,b"),
            ("s3://bucket/prefix", "s3://bucket/prefix"),
            ("sqlite:nova.db", "sqlite:nova.db"),
            ("sqlite:/home/a@b/nova.db?x", "sqlite:/home/a@b/nova.db?x"),
            ("file:a@b", "file:a@b"),
            ("", ""),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }

    proptest! {
        #[test]
        fn no_password_is_shown(
            scheme in "[a-z]{3,8}",
            slashes in "(//)?",
            password in "[!-~]{4,20}",
            place in 0..3,
        ) {
            prop_assume!(!matches!(&*scheme, "file" | "sqlite"));
            let secret = format!("Q{}Q", password.replace(['&', '='], "-"));
            let without_at = secret.replace('@', "-");
            let url = match place {
                0 => format!("{scheme}:{slashes}db/nova?password={without_at}"),
                1 => format!("{scheme}:{slashes}nova:{secret}@db/nova"),
                _ => format!("{scheme}:{slashes}nova:{without_at}/nova"),
            };
            let shown = without_credentials(&url);
            prop_assert!(!shown.contains(&without_at), "{}", shown);
            prop_assert!(!shown.contains(&secret), "{}", shown);
        }
    }
}
