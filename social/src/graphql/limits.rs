//! What one document may ask for. Depth, complexity and the directives of one field are counted
//! by the library; what it does not count, here, before anything is validated or executed.

use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextParseQuery};
use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{ErrorExtensionValues, Positioned, ServerError, ServerResult, Variables};

use crate::caller::{Caller, Identity};
use crate::settings::Introspection;

/// How deep fields may be in fields. The introspection query of common tools has 13.
pub const MAX_DEPTH: usize = 15;
/// How much may be asked for: each field is one, a list's fields are one for each item asked
/// for.
pub const MAX_COMPLEXITY: usize = 2_000;
/// Aliases in a document.
pub const MAX_ALIASES: usize = 20;
/// Directives in a document.
pub const MAX_DIRECTIVES: usize = 50;
/// Directives of one field.
pub const MAX_DIRECTIVES_OF_FIELD: usize = 5;
/// Documents in a batch.
pub const MAX_BATCH: usize = 10;

/// The code of a document that is refused by its size.
pub(super) const TOO_LARGE: &str = "document-too-large";

/// Counts what the library does not count.
pub(super) struct DocumentLimits(pub(super) Introspection);

impl ExtensionFactory for DocumentLimits {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self(self.0))
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for DocumentLimits {
    async fn parse_query(
        &self,
        context: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        let document = next.run(context, query, variables).await?;
        let counts = Counts::of(&document);
        for (what, count, limit) in [
            ("aliases", counts.aliases, MAX_ALIASES),
            ("directives", counts.directives, MAX_DIRECTIVES),
        ] {
            if count > limit {
                let message =
                    format!("The document has {count} {what}, and at most {limit} are taken.");
                return Err(refused(message, TOO_LARGE));
            }
        }
        let is_known = context
            .data_opt::<Caller>()
            .is_some_and(|caller| caller.identity != Identity::Anonymous);
        let may_ask = match self.0 {
            Introspection::Everybody => true,
            Introspection::Users => is_known,
            Introspection::Nobody => false,
        };
        if counts.asks_for_schema && !may_ask {
            let message = "The schema is not told to whoever asks: see `nova schema graphql`.";
            return Err(refused(message.to_owned(), "introspection-refused"));
        }
        Ok(document)
    }
}

pub(super) fn refused(message: String, code: &str) -> ServerError {
    let mut error = ServerError::new(message, None);
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code);
    error.extensions = Some(extensions);
    error
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    aliases: usize,
    directives: usize,
    asks_for_schema: bool,
}

impl Counts {
    fn of(document: &ExecutableDocument) -> Self {
        let mut counts = Self::default();
        for (_, operation) in document.operations.iter() {
            counts.directives += operation.node.directives.len();
            counts.add(&operation.node.selection_set);
        }
        for fragment in document.fragments.values() {
            counts.directives += fragment.node.directives.len();
            counts.add(&fragment.node.selection_set);
        }
        counts
    }

    /// The parser has limited how deep it goes.
    fn add(&mut self, selected: &Positioned<SelectionSet>) {
        for selection in &selected.node.items {
            match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    self.aliases += usize::from(field.alias.is_some());
                    self.directives += field.directives.len();
                    self.asks_for_schema |=
                        matches!(field.name.node.as_str(), "__schema" | "__type");
                    self.add(&field.selection_set);
                }
                Selection::FragmentSpread(spread) => {
                    self.directives += spread.node.directives.len();
                }
                Selection::InlineFragment(fragment) => {
                    self.directives += fragment.node.directives.len();
                    self.add(&fragment.node.selection_set);
                }
            }
        }
    }
}
