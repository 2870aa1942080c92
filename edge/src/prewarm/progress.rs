//! How far a prewarm is.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What failed first is told of so many.
const MAX_ERRORS: usize = 10;

/// How far a prewarm is. Clones show the same.
#[derive(Debug, Clone, Default)]
pub struct PrewarmProgress(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    figures: PrewarmFigures,
    errors: Vec<String>,
}

/// How much is done. Of objects, playlists among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrewarmFigures {
    /// Those that are known of.
    pub total: u64,
    /// Those that are stored.
    pub done: u64,
    /// Those that cannot be.
    pub failed: u64,
    /// Bytes of those that are stored.
    pub bytes: u64,
}

impl PrewarmProgress {
    /// How much is done.
    pub fn figures(&self) -> PrewarmFigures {
        self.lock().figures
    }

    /// Why it was given up, if it was; then what failed first: of each the path, without its
    /// query, and the reason.
    pub fn errors(&self) -> Vec<String> {
        self.lock().errors.clone()
    }

    pub(super) fn found(&self, objects: u64) {
        self.lock().figures.total += objects;
    }

    pub(super) fn done(&self, bytes: u64) {
        let mut state = self.lock();
        state.figures.done += 1;
        state.figures.bytes += bytes;
    }

    /// What is at `path` cannot be stored.
    pub(super) fn failed(&self, path: &str, reason: &str) {
        let mut state = self.lock();
        state.figures.failed += 1;
        if state.errors.len() < MAX_ERRORS {
            let error = format!("{}: {reason}", shown(path));
            // Hosts and names in it are whatever a playlist says.
            state.errors.push(error.replace(char::is_control, " "));
        }
    }

    /// Nothing more is done, or less: that comes first, whatever has failed before.
    pub(super) fn told(&self, reason: &str) {
        let mut state = self.lock();
        if state.errors.iter().all(|error| error != reason) {
            state.errors.insert(0, reason.to_owned());
            state.errors.truncate(MAX_ERRORS);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A path or URI as it may be shown: without its query and its user, where secrets stand.
fn shown(path: &str) -> String {
    let end = path.find(['?', '#']).unwrap_or(path.len());
    let path = without_user(&path[..end]);
    let segments = path.split('/').map(|segment| {
        // The token of a signed URL.
        match segment.starts_with("~1.") {
            true => "~",
            false => segment,
        }
    });
    let path = segments.collect::<Vec<_>>().join("/");
    path.chars().take(200).collect()
}

/// `//host/path` of `//user:password@host/path`.
fn without_user(uri: &str) -> Cow<'_, str> {
    // As browsers read it.
    let is_slash = |c| matches!(c, '/' | '\\');
    let Some((scheme, rest)) = uri.split_once("//") else {
        return Cow::Borrowed(uri);
    };
    let authority = rest.trim_start_matches(is_slash);
    let end = authority.find(is_slash).unwrap_or(authority.len());
    match authority[..end].rfind('@') {
        Some(at) if scheme.is_empty() || scheme.ends_with(':') => {
            Cow::Owned(format!("{scheme}//{}", &authority[at + 1..]))
        }
        _ => Cow::Borrowed(uri),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_few_and_tell_no_secrets() {
        let progress = PrewarmProgress::default();
        for _ in 0..2 * MAX_ERRORS {
            progress.failed("/live/~1.a.b.c/x?nova_token=1.a.b.c", "404");
        }
        assert_eq!(progress.figures().failed, 2 * MAX_ERRORS as u64);
        let errors = progress.errors();
        assert_eq!(errors.len(), MAX_ERRORS);
        assert_eq!(errors[0], "/live/~/x: 404");
    }

    #[test]
    fn why_it_was_given_up_is_told_whatever_failed_before() {
        let progress = PrewarmProgress::default();
        for n in 0..MAX_ERRORS {
            progress.failed(&format!("/{n}"), "404");
        }
        for _ in 0..2 {
            progress.told("given up");
        }
        let errors = progress.errors();
        assert_eq!(errors.len(), MAX_ERRORS);
        assert_eq!(errors[..2], ["given up", "/0: 404"]);
    }

    #[test]
    fn what_is_shown_has_no_users_and_no_control_characters() {
        let progress = PrewarmProgress::default();
        for (path, says) in [
            ("/a\0b\n\u{9b}c", "/a b  c: x y"),
            ("https://ada:secret@a.example/b", "https://a.example/b: x y"),
            ("//ada:se@cret@a.example", "//a.example: x y"),
            (
                "https:///ada:secret@a.example/b",
                "https://a.example/b: x y",
            ),
            ("/a//b@c/d", "/a//b@c/d: x y"),
        ] {
            let told = progress.errors().len();
            progress.failed(path, "x\0y");
            assert_eq!(progress.errors()[told], says);
        }
    }
}
