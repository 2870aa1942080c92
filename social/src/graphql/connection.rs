//! Pages as Relay's connections (<https://relay.dev/graphql/connections.htm>), forward.

use std::borrow::Cow;

use async_graphql::connection::{Edge, EmptyFields, PageInfo};
use async_graphql::{Object, OutputType, TypeName};

use super::limits::MAX_COMPLEXITY;
use crate::paging::Paged;

/// A page. Unlike the library's own, one that has nothing can have a page behind it.
pub(crate) struct Connection<T: OutputType> {
    edges: Vec<Edge<String, T, EmptyFields>>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

#[Object(name_type)]
impl<T: OutputType> Connection<T> {
    /// Information to aid in pagination.
    async fn page_info(&self) -> PageInfo {
        let cursor = |edge: &Edge<String, T, EmptyFields>| edge.cursor.clone();
        let last = || self.edges.last().map(cursor);
        PageInfo {
            // Not looked at, as the specification allows.
            has_previous_page: false,
            has_next_page: self.next.is_some(),
            start_cursor: self.edges.first().map(cursor),
            end_cursor: self.next.clone().or_else(last),
        }
    }

    /// A list of edges.
    async fn edges(&self) -> &[Edge<String, T, EmptyFields>] {
        &self.edges
    }

    /// A list of nodes.
    async fn nodes(&self) -> Vec<&T> {
        self.edges.iter().map(|edge| &edge.node).collect()
    }
}

impl<T: OutputType> TypeName for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", T::type_name()).into()
    }
}

/// The page as a connection.
pub(super) fn connection<T: OutputType>(page: Paged<T>) -> Connection<T> {
    let edges = page.items.into_iter();
    Connection {
        edges: edges
            .map(|(cursor, node)| Edge::new(cursor, node))
            .collect(),
        next: page.next,
    }
}

/// The complexity of a page: that of an item for each item asked for. Any number may be asked
/// for here; what is no page is refused later. Never much above what is taken, because
/// the library adds up whatever comes.
pub(super) fn of_page(first: Option<i32>, of_item: usize) -> usize {
    let items = first.unwrap_or(20).clamp(1, 101).unsigned_abs() as usize;
    let of_items = items.saturating_mul(of_item).saturating_add(1);
    of_items.min(MAX_COMPLEXITY + 1)
}
