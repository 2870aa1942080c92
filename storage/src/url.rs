//! URLs as they may be shown.

/// Stands where credentials were.
const HIDDEN: &str = "***";

/// A URL as it may be shown and logged: without what stands before its host, and without
/// a password among its parameters. Also of a URL that is not valid, since a mistyped one
/// must not print a password: where it is not clear what is a secret, more is hidden.
pub fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    if matches!(scheme, "file" | "sqlite") {
        // A path.
        return url.to_owned();
    }
    // The last `@`, wherever it is: a password may contain `@`, `/` and `?` unescaped.
    let (front, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) if scheme.is_empty() => (format!("{HIDDEN}@"), rest),
        Some((before, rest)) => {
            let slashes = if before.starts_with("//") { "//" } else { "" };
            (format!("{scheme}:{slashes}{HIDDEN}@"), rest)
        }
        None => (String::new(), url),
    };
    let (address, query) = match rest.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (rest, None),
    };
    let mut shown = front + address;
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
            parameter in any::<bool>(),
        ) {
            prop_assume!(!matches!(&*scheme, "file" | "sqlite"));
            let secret = format!("Q{}Q", password.replace(['&', '='], "-"));
            let url = if parameter {
                format!("{scheme}:{slashes}db/nova?password={}", secret.replace('@', "-"))
            } else {
                format!("{scheme}:{slashes}nova:{secret}@db/nova")
            };
            let shown = without_credentials(&url);
            prop_assert!(!shown.contains(&secret.replace('@', "-")), "{}", shown);
            prop_assert!(!shown.contains(&secret), "{}", shown);
        }
    }
}
