//! Pages as Relay's connections (<https://relay.dev/graphql/connections.htm>), forward.

use async_graphql::OutputType;
use async_graphql::connection::{Connection, Edge};

use crate::ServiceError;
use crate::paging::{PageRequest, Paged};

/// The page that a field's arguments ask for.
pub(super) fn page(first: Option<i32>, after: Option<&str>) -> Result<PageRequest, ServiceError> {
    PageRequest::new(first.map(i64::from), after)
}

/// The page as a connection. That there is a page before it is not looked at, as the
/// specification allows.
pub(super) fn connection<T: OutputType>(page: Paged<T>) -> Connection<String, T> {
    let mut connection = Connection::new(false, page.has_more);
    let edges = page.items.into_iter();
    connection
        .edges
        .extend(edges.map(|(cursor, node)| Edge::new(cursor, node)));
    connection
}
