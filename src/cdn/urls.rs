//! URLs of what is cached.

use std::fmt;

/// Makes URLs that the edges take.
pub trait UrlSigner: fmt::Debug + Send + Sync {
    /// The URL of `path` below `base`, which is empty for a path on the same host. None where
    /// the path is for holders of a signature, and nobody here can sign.
    fn url(&self, base: &str, path: &str, is_signed: bool) -> Option<String>;
}

/// URLs without signatures.
#[derive(Debug)]
pub struct PlainUrls;

impl UrlSigner for PlainUrls {
    fn url(&self, base: &str, path: &str, is_signed: bool) -> Option<String> {
        (!is_signed).then(|| format!("{}{path}", base.trim_end_matches('/')))
    }
}
