//! Where a stream key hides in what an encoder says.

use crate::host::StreamKey;

/// The longest key taken, in bytes.
const LONGEST_KEY: usize = 256;

/// The application and the key of a publication.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    /// The first segment of the path, for logs; never the key.
    pub(crate) app: String,
    /// Empty or too long a key is none.
    pub(crate) key: Option<StreamKey>,
}

impl Address {
    /// Finds the key. Encoders put it in the stream name (`live` + `KEY`), after the
    /// application (`live/KEY` + ``), or in a query (`live` + `x?key=KEY`), and some
    /// send no `app` but a `tcUrl`.
    pub(crate) fn find(app: Option<&str>, tc_url: Option<&str>, stream_name: &str) -> Self {
        let tc_path = tc_url.map(|url| url_path(unquote(url)));
        let app = app.map(unquote).filter(|app| !app.is_empty());
        let (path, app_query) = split_query(app.or(tc_path).unwrap_or_default());
        let (name, name_query) = split_query(unquote(stream_name));
        let tc_query = tc_path.and_then(|path| split_query(path).1);
        let (app, in_app) = match path.trim_matches('/').split_once('/') {
            Some((app, rest)) => (app, rest),
            None => (path.trim_matches('/'), ""),
        };
        let key = [name_query, app_query, tc_query]
            .into_iter()
            .flatten()
            .find_map(key_parameter)
            .or_else(|| {
                [name.trim_matches('/'), in_app.trim_matches('/')]
                    .into_iter()
                    .find(|key| !key.is_empty())
            });
        Self {
            app: app.chars().filter(|c| !c.is_control()).take(64).collect(),
            key: key
                .filter(|key| key.len() <= LONGEST_KEY)
                .map(StreamKey::new),
        }
    }
}

fn unquote(text: &str) -> &str {
    text.trim().trim_matches(['"', '\'']).trim()
}

/// `rtmp://host:port/path?query` to `path?query`.
fn url_path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split_once('/').map_or("", |(_, path)| path)
}

fn split_query(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    }
}

fn key_parameter(query: &str) -> Option<&str> {
    query
        .split(['&', '?'])
        .find_map(|pair| pair.strip_prefix("key="))
        .filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r06_finds_the_key_wherever_it_is() {
        let url = "rtmp://example.org/live";
        for (app, tc_url, name) in [
            (Some("live"), Some(url), "KEY"),
            (Some("live/"), None, "/KEY"),
            (
                Some("live"),
                Some("\"rtmp://example.org/live\""),
                "KEY?tag=1",
            ),
            (Some("live/KEY"), Some(url), ""),
            (Some("/live/KEY/"), None, ""),
            (Some("live"), Some(url), "?key=KEY"),
            (Some("live"), Some(url), "anything?a=b&key=KEY"),
            (Some("live?key=KEY"), Some(url), ""),
            (Some("live"), Some("rtmp://example.org/live?key=KEY"), ""),
            (None, Some(url), "KEY"),
            (None, Some("rtmp://example.org:1935/live/KEY"), ""),
            (Some("\"live\""), None, "\"KEY\""),
        ] {
            let address = Address::find(app, tc_url, name);
            assert_eq!(address.app, "live", "{app:?} {tc_url:?} {name:?}");
            let key = address.key.as_ref().map(StreamKey::expose);
            assert_eq!(key, Some("KEY"), "{app:?} {tc_url:?} {name:?}");
        }
    }

    #[test]
    fn r06_no_key_is_no_key() {
        let long = "x".repeat(LONGEST_KEY + 1);
        for (app, name) in [("live", ""), ("", ""), ("live", "/"), ("live", "?key=")] {
            assert_eq!(
                Address::find(Some(app), None, name).key,
                None,
                "{app} {name}"
            );
        }
        assert_eq!(Address::find(Some("live"), None, &long).key, None);
        assert_eq!(Address::find(None, None, "").key, None);
    }
}
