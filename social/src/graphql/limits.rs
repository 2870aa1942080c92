//! What one document may ask for. Depth, complexity and the directives of one field are counted
//! by the library; what it does not count, here, before anything is validated or executed; and
//! how much there is to count at all, before the library counts.

use std::sync::Arc;

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextParseQuery, NextPrepareRequest,
};
use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{
    ErrorExtensionValues, Positioned, Request, ServerError, ServerResult, Variables,
};

use super::expansion;

use crate::caller::{Caller, Identity};
use crate::settings::Introspection;

/// How deep fields may be in fields. The introspection query of common tools has 13.
pub const MAX_DEPTH: usize = 15;
/// How much may be asked for: each field is one, a list's fields are one for each item asked
/// for.
pub const MAX_COMPLEXITY: usize = 2_000;
/// Selections in a document, those of a fragment once, and again wherever it is spread.
pub const MAX_SELECTIONS: usize = 4_000;
/// How deep selections may be in selections, where a spread is one level too.
pub const MAX_NESTING: usize = 32;
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
    /// Before anything else looks at the document: the library follows every spread of every
    /// fragment, several times, and does not remember where it has been.
    async fn prepare_request(
        &self,
        context: &ExtensionContext<'_>,
        request: Request,
        next: NextPrepareRequest<'_>,
    ) -> ServerResult<Request> {
        // It keeps the document for whoever parses next.
        let mut request = next.run(context, request).await?;
        if !expansion::is_bounded(request.parsed_query()?) {
            let message = format!(
                "The document is nested too deep or has too many selections where its fragments \
                 are spread: at most {MAX_SELECTIONS}, {MAX_NESTING} levels deep, are taken."
            );
            return Err(refused(message, TOO_LARGE));
        }
        Ok(request)
    }

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
