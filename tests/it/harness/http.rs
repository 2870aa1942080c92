//! A plain HTTP client.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than the server holds any request.
const LIMIT: Duration = Duration::from_secs(40);
/// The largest body that is read, in bytes.
const BODY_LIMIT: u64 = 64 * 1024 * 1024;

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Http {
    agent: ureq::Agent,
    address: SocketAddr,
    /// What `Authorization` says.
    authorization: Option<String>,
}

/// An answer, whatever its status.
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    /// Of `Content-Type`; empty when there is none.
    pub(crate) content_type: String,
    /// Of `Cache-Status`; empty when there is none.
    pub(crate) cache_status: String,
    /// What the page may load, of `Content-Security-Policy`; empty when there is none.
    pub(crate) policy: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Http {
    /// A client of the server at `address`.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(LIMIT))
            .build()
            .into();
        Self {
            agent,
            address,
            authorization: None,
        }
    }

    /// The same server, asked as whoever has the token.
    pub(crate) fn bearing(&self, token: &str) -> Self {
        Self {
            authorization: Some(format!("Bearer {token}")),
            ..self.clone()
        }
    }

    /// The URL of `path`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// GET of a path, or of a whole URL.
    pub(crate) fn get(&self, path: &str) -> Result<Response, String> {
        let url = if path.starts_with("http://") {
            path.to_owned()
        } else {
            self.url(path)
        };
        let answer = self.prove(self.agent.get(&url)).call();
        read(answer).map_err(|error| format!("GET {url}: {error}"))
    }

    /// POST of a JSON text.
    pub(crate) fn post_json(&self, path: &str, json: &str) -> Result<Response, String> {
        let answer = self
            .prove(self.agent.post(self.url(path)))
            .header("content-type", "application/json")
            .send(json);
        read(answer).map_err(|error| format!("POST {path}: {error}"))
    }

    /// POST of a file of this type.
    pub(crate) fn post_file(
        &self,
        path: &str,
        kind: &str,
        file: &[u8],
    ) -> Result<Response, String> {
        let answer = self
            .prove(self.agent.post(self.url(path)))
            .header("content-type", kind)
            .send(file);
        read(answer).map_err(|error| format!("POST {path}: {error}"))
    }

    /// POST of a value, which is answered with this status and another value.
    #[track_caller]
    pub(crate) fn post_value(&self, path: &str, body: &Value, status: u16) -> Value {
        let answer = self.post_json(path, &body.to_string()).unwrap();
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// An access token of somebody.
    #[track_caller]
    pub(crate) fn log_in(&self, name: &str, password: &str) -> String {
        let body = json!({ "login": name, "password": password });
        let session = self.post_value("/api/v1/session", &body, 200);
        session["access_token"].as_str().unwrap().to_owned()
    }

    /// PATCH with a JSON text.
    pub(crate) fn patch_json(&self, path: &str, json: &str) -> Result<Response, String> {
        let answer = self
            .prove(self.agent.patch(self.url(path)))
            .header("content-type", "application/json")
            .send(json);
        read(answer).map_err(|error| format!("PATCH {path}: {error}"))
    }

    /// PUT of nothing.
    pub(crate) fn put(&self, path: &str) -> Result<Response, String> {
        let answer = self.prove(self.agent.put(self.url(path))).send_empty();
        read(answer).map_err(|error| format!("PUT {path}: {error}"))
    }

    /// PUT of a JSON text.
    pub(crate) fn put_json(&self, path: &str, json: &str) -> Result<Response, String> {
        let answer = self
            .prove(self.agent.put(self.url(path)))
            .header("content-type", "application/json")
            .send(json);
        read(answer).map_err(|error| format!("PUT {path}: {error}"))
    }

    /// DELETE of a path, with a JSON text.
    pub(crate) fn delete_json(&self, path: &str, json: &str) -> Result<Response, String> {
        let answer = self
            .prove(self.agent.delete(self.url(path)))
            .header("content-type", "application/json")
            .force_send_body()
            .send(json);
        read(answer).map_err(|error| format!("DELETE {path}: {error}"))
    }

    /// DELETE of a path.
    pub(crate) fn delete(&self, path: &str) -> Result<Response, String> {
        let answer = self.prove(self.agent.delete(self.url(path))).call();
        read(answer).map_err(|error| format!("DELETE {path}: {error}"))
    }

    /// The request, as whoever asks.
    fn prove<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.authorization {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        }
    }

    /// GET of what must be there.
    pub(crate) fn fetch(&self, path: &str) -> Result<Response, String> {
        let response = self.get(path)?;
        if response.status == 200 {
            return Ok(response);
        }
        let text: String = response.text().chars().take(200).collect();
        Err(format!("GET {path}: {} {text}", response.status))
    }
}

fn read(
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<Response, ureq::Error> {
    let mut answer = answer?;
    let header = |name: &str| {
        let value = answer.headers().get(name);
        let text = value.and_then(|value| value.to_str().ok());
        text.unwrap_or_default().to_owned()
    };
    Ok(Response {
        status: answer.status().as_u16(),
        content_type: header("content-type"),
        cache_status: header("cache-status"),
        policy: header("content-security-policy"),
        body: answer
            .body_mut()
            .with_config()
            .limit(BODY_LIMIT)
            .read_to_vec()?,
    })
}

/// What `reference` means in the document at `base`; both are paths with their query,
/// or whole URLs (RFC 3986 5.2, without dot segments).
pub(crate) fn resolve(base: &str, reference: &str) -> String {
    if reference.starts_with("http://") {
        return reference.to_owned();
    }
    let authority = base.strip_prefix("http://").map_or(0, |rest| {
        "http://".len() + rest.find('/').unwrap_or(rest.len())
    });
    if reference.starts_with('/') {
        return format!("{}{reference}", &base[..authority]);
    }
    let path = base.split('?').next().unwrap_or(base);
    let folder = path.rfind('/').map_or(0, |at| at + 1);
    format!("{}{reference}", &path[..folder])
}

#[test]
fn references_are_resolved() {
    for (base, reference, resolved) in [
        ("/live/a/index.m3u8", "source.m3u8", "/live/a/source.m3u8"),
        (
            "/live/a/b.m3u8?_HLS_msn=1",
            "0/b/1.m4s",
            "/live/a/0/b/1.m4s",
        ),
        ("/live/a/index.m3u8", "/x", "/x"),
        ("http://h:1/live/a/i.m3u8", "b", "http://h:1/live/a/b"),
        ("http://h:1/live/a/i.m3u8", "/b", "http://h:1/b"),
        ("/a", "http://h:1/b", "http://h:1/b"),
    ] {
        assert_eq!(resolve(base, reference), resolved);
    }
}
