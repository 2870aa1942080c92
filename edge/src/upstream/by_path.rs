//! Another upstream for what is below some paths.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use http::{Request, Response};
use http_body_util::Either;
use tower_service::Service;

use crate::request_body::RequestBody;
use crate::upstream::error::UpstreamError;

/// Which upstream `A` has what begins with which prefix. Of several prefixes the longest
/// decides. Clones share everything.
pub struct PathTable<A>(Arc<ArcSwap<Vec<Prefix<A>>>>);

/// What begins with `text`; without an upstream it is asked of the rest.
struct Prefix<A> {
    text: Box<str>,
    upstream: Option<A>,
}

impl<A> PathTable<A> {
    /// From now on what begins with a prefix is asked of its upstream, or, where that is
    /// `None`, of the rest, in one step. Requests under way end where they are.
    pub fn set(&self, prefixes: impl IntoIterator<Item = (String, Option<A>)>) {
        let prefix = |(text, upstream): (String, Option<A>)| Prefix {
            text: text.into(),
            upstream,
        };
        let mut prefixes: Vec<_> = prefixes.into_iter().map(prefix).collect();
        prefixes.sort_by_key(|prefix| std::cmp::Reverse(prefix.text.len()));
        self.0.store(Arc::new(prefixes));
    }
}

impl<A: Clone> PathTable<A> {
    fn upstream_of(&self, path: &str) -> Option<A> {
        let prefixes = self.0.load();
        let mut prefixes = prefixes.iter();
        let longest = prefixes.find(|prefix| path.starts_with(&*prefix.text));
        longest.and_then(|prefix| prefix.upstream.clone())
    }
}

impl<A> Default for PathTable<A> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<A> Clone for PathTable<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A> fmt::Debug for PathTable<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PathTable")
            .field("prefixes", &self.0.load().len())
            .finish()
    }
}

/// Asks what a table says for its paths, and `U` for everything else.
#[derive(Debug)]
pub struct ByPath<U, A> {
    rest: U,
    table: PathTable<A>,
}

impl<U, A> ByPath<U, A> {
    /// Asks `rest` for what is not in `table`.
    pub fn new(rest: U, table: PathTable<A>) -> Self {
        Self { rest, table }
    }
}

impl<U: Clone, A> Clone for ByPath<U, A> {
    fn clone(&self) -> Self {
        Self {
            rest: self.rest.clone(),
            table: self.table.clone(),
        }
    }
}

/// An answer of one or the other.
type Answer<B, C> = Result<Response<Either<B, C>>, UpstreamError>;

impl<U, A, B, C> Service<Request<RequestBody>> for ByPath<U, A>
where
    U: Service<Request<RequestBody>, Response = Response<B>>,
    U::Error: Into<UpstreamError>,
    U::Future: Send + 'static,
    A: Service<Request<RequestBody>, Response = Response<C>> + Clone,
    A::Error: Into<UpstreamError>,
    A::Future: Send + 'static,
{
    type Response = Response<Either<B, C>>;
    type Error = UpstreamError;
    type Future = Pin<Box<dyn Future<Output = Answer<B, C>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        self.rest.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        match self.table.upstream_of(request.uri().path()) {
            Some(mut upstream) => {
                let asked = upstream.call(request);
                Box::pin(async move {
                    let answer = asked.await.map_err(Into::into)?;
                    Ok(answer.map(Either::Right))
                })
            }
            None => {
                let asked = self.rest.call(request);
                Box::pin(async move {
                    let answer = asked.await.map_err(Into::into)?;
                    Ok(answer.map(Either::Left))
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_decides() {
        let table = PathTable::default();
        let asked = |path: &str| table.upstream_of(path);
        assert_eq!(asked("/vod/a/1"), None::<&str>);
        table.set([
            ("/vod/".to_owned(), Some("archive")),
            ("/vod/films/".to_owned(), None),
            ("/vod/films/new/".to_owned(), Some("studio")),
        ]);
        for (path, upstream) in [
            ("/vod/a/1", Some("archive")),
            ("/vod/films", Some("archive")),
            ("/vod/films/1", None),
            ("/vod/films/new/1", Some("studio")),
            ("/live/a/1", None),
        ] {
            assert_eq!(asked(path), upstream, "{path}");
        }
        table.set([]);
        assert_eq!(asked("/vod/a/1"), None);
    }
}
