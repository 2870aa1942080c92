//! How large a document is once its fragments stand where they are spread. A few kilobytes of
//! fragments that spread fragments are more than anybody can count one by one.

use std::collections::HashMap;

use async_graphql::parser::types::{
    ExecutableDocument, FragmentDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned};

use super::limits::{MAX_NESTING, MAX_SELECTIONS};

/// Whether the operations of the document, and its fragments, have at most [`MAX_SELECTIONS`],
/// and none is deeper than [`MAX_NESTING`]. A fragment that spreads itself has no end.
pub(super) fn is_bounded(document: &ExecutableDocument) -> bool {
    let mut expansion = Expansion {
        fragments: &document.fragments,
        known: HashMap::new(),
    };
    let of_operations = document.operations.iter();
    let of_operations = of_operations.map(|(_, operation)| &operation.node.selection_set.node);
    let of_fragments = document.fragments.values();
    // Also those that nothing spreads: they are validated all the same.
    let of_fragments = of_fragments.map(|fragment| &fragment.node.selection_set.node);
    let mut selections = 0;
    of_operations.chain(of_fragments).all(|set| {
        let size = expansion.size(set, 0);
        selections += size.map_or(0, |size| size.selections);
        size.is_some() && selections <= MAX_SELECTIONS
    })
}

/// The size of a set of selections, everything in it included.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    selections: usize,
    /// Levels of sets in it.
    levels: usize,
}

/// Looks at each fragment once.
struct Expansion<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    known: HashMap<&'a Name, Size>,
}

impl<'a> Expansion<'a> {
    /// `None`: it is too large. Nobody goes on after that, and so what is added up here is
    /// never more than the limit and one addend.
    fn size(&mut self, set: &'a SelectionSet, depth: usize) -> Option<Size> {
        if depth > MAX_NESTING {
            return None;
        }
        let mut size = Size::default();
        for selection in &set.items {
            let within = match &selection.node {
                Selection::Field(field) if field.node.selection_set.node.items.is_empty() => {
                    size.selections += 1;
                    continue;
                }
                Selection::Field(field) => self.size(&field.node.selection_set.node, depth + 1)?,
                Selection::InlineFragment(fragment) => {
                    self.size(&fragment.node.selection_set.node, depth + 1)?
                }
                Selection::FragmentSpread(spread) => {
                    self.spread(&spread.node.fragment_name.node, depth + 1)?
                }
            };
            size.selections += 1 + within.selections;
            size.levels = size.levels.max(1 + within.levels);
            if size.selections > MAX_SELECTIONS {
                return None;
            }
        }
        (size.selections <= MAX_SELECTIONS).then_some(size)
    }

    fn spread(&mut self, name: &'a Name, depth: usize) -> Option<Size> {
        if let Some(known) = self.known.get(name) {
            return (depth + known.levels <= MAX_NESTING).then_some(*known);
        }
        // Validation tells that there is no such fragment.
        let Some(fragment) = self.fragments.get(name) else {
            return Some(Size::default());
        };
        let size = self.size(&fragment.node.selection_set.node, depth)?;
        self.known.insert(name, size);
        Some(size)
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    #[track_caller]
    fn is_taken(document: &str) -> bool {
        is_bounded(&parse_query(document).unwrap())
    }

    /// `links` fragments, each of which spreads the next so often, in either order.
    fn chain(links: usize, spreads: usize, is_reversed: bool) -> String {
        let mut fragments: Vec<String> = (0..links)
            .map(|link| {
                let next = format!("...f{} ", link + 1).repeat(spreads);
                format!("fragment f{link} on Query {{ {next} }} ")
            })
            .collect();
        fragments.push(format!("fragment f{links} on Query {{ __typename }} "));
        if is_reversed {
            fragments.reverse();
        }
        format!("{{ ...f0 }} {}", fragments.concat())
    }

    #[test]
    fn fragments_are_counted_wherever_they_are_spread() {
        for is_reversed in [false, true] {
            assert!(is_taken(&chain(3, 9, is_reversed)));
            assert!(!is_taken(&chain(3, 100, is_reversed)));
            assert!(!is_taken(&chain(31, 100, is_reversed)));
            assert!(is_taken(&chain(MAX_NESTING - 1, 1, is_reversed)));
            assert!(!is_taken(&chain(MAX_NESTING, 1, is_reversed)));
            assert!(!is_taken(&chain(5_000, 1, is_reversed)));
        }
        let wide = |count: usize| format!("{{ {} }}", "a ".repeat(count));
        assert!(is_taken(&wide(MAX_SELECTIONS)));
        assert!(!is_taken(&wide(MAX_SELECTIONS + 1)));
    }

    #[test]
    fn what_nothing_spreads_and_what_spreads_itself_is_counted() {
        assert!(!is_taken(
            &chain(31, 100, false).replace("{ ...f0 }", "{ a }")
        ));
        let pair = "fragment f on Query { ...g ...g } fragment g on Query { ...f ...f }";
        assert!(!is_taken(&format!("{{ a }} {pair}")));
        assert!(is_taken("{ ...missing }"));
    }
}
