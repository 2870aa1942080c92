//! Which subscriptions an event goes to: a tree by token.

use std::collections::HashMap;

use super::{Subject, SubjectPattern};

/// Subscriptions by their patterns. Finding those of a subject looks at as many branches
/// as fit its tokens, never at all subscriptions.
#[derive(Debug)]
pub(super) struct Routes<T> {
    root: Node<T>,
}

#[derive(Debug)]
struct Node<T> {
    /// Patterns that end here.
    here: Vec<(u64, T)>,
    /// Patterns that go on with `>`.
    rest: Vec<(u64, T)>,
    /// Patterns that go on with `*`.
    any: Option<Box<Node<T>>>,
    /// Patterns that go on with a token.
    tokens: HashMap<Box<str>, Node<T>>,
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self {
            root: Node::default(),
        }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            here: Vec::new(),
            rest: Vec::new(),
            any: None,
            tokens: HashMap::new(),
        }
    }
}

impl<T> Routes<T> {
    /// Adds a subscription; no other has this id.
    pub(super) fn insert(&mut self, pattern: &SubjectPattern, id: u64, subscription: T) {
        let mut node = &mut self.root;
        for token in pattern.as_str().split('.') {
            node = match token {
                ">" => return node.rest.push((id, subscription)),
                "*" => node.any.get_or_insert_default(),
                token => node.tokens.entry(token.into()).or_default(),
            };
        }
        node.here.push((id, subscription));
    }

    /// Removes the subscription with this id, and the branches it leaves empty.
    pub(super) fn remove(&mut self, pattern: &SubjectPattern, id: u64) {
        self.root.remove(Some(pattern.as_str()), id);
    }

    /// Calls `visit` for each subscription to `subject`, in no order.
    pub(super) fn for_each<'a>(&'a self, subject: &Subject, mut visit: impl FnMut(&'a T)) {
        self.root.for_each(Some(subject.as_str()), &mut visit);
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.root.is_empty()
    }
}

impl<T> Node<T> {
    fn is_empty(&self) -> bool {
        self.here.is_empty() && self.rest.is_empty() && self.any.is_none() && self.tokens.is_empty()
    }

    /// `pattern` is what comes after this node.
    fn remove(&mut self, pattern: Option<&str>, id: u64) {
        let Some((token, after)) = pattern.map(first_token) else {
            return remove_id(&mut self.here, id);
        };
        match token {
            ">" => remove_id(&mut self.rest, id),
            "*" => {
                if let Some(node) = &mut self.any {
                    node.remove(after, id);
                }
                self.any.take_if(|node| node.is_empty());
            }
            token => {
                if let Some(node) = self.tokens.get_mut(token) {
                    node.remove(after, id);
                    if node.is_empty() {
                        self.tokens.remove(token);
                    }
                }
            }
        }
    }

    /// `subject` is what comes after this node.
    fn for_each<'a>(&'a self, subject: Option<&str>, visit: &mut impl FnMut(&'a T)) {
        let Some((token, after)) = subject.map(first_token) else {
            return self.here.iter().for_each(|(_, found)| visit(found));
        };
        self.rest.iter().for_each(|(_, found)| visit(found));
        if let Some(node) = &self.any {
            node.for_each(after, visit);
        }
        if let Some(node) = self.tokens.get(token) {
            node.for_each(after, visit);
        }
    }
}

fn remove_id<T>(subscriptions: &mut Vec<(u64, T)>, id: u64) {
    if let Some(index) = subscriptions.iter().position(|(other, _)| *other == id) {
        subscriptions.swap_remove(index);
    }
}

fn first_token(text: &str) -> (&str, Option<&str>) {
    match text.split_once('.') {
        Some((token, after)) => (token, Some(after)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn subject() -> impl Strategy<Value = Subject> {
        "[ab](\\.[ab]){0,3}".prop_map(|text| text.parse().unwrap())
    }

    fn pattern() -> impl Strategy<Value = SubjectPattern> {
        "([ab*](\\.[ab*]){0,3}(\\.>)?)|>".prop_map(|text| text.parse().unwrap())
    }

    proptest! {
        #[test]
        fn finds_what_matching_one_by_one_finds(
            patterns in vec((pattern(), any::<bool>()), 0..30),
            subjects in vec(subject(), 1..10),
        ) {
            let mut routes = Routes::default();
            for (id, (pattern, _)) in (0..).zip(&patterns) {
                routes.insert(pattern, id, id);
            }
            for (id, (pattern, stays)) in (0..).zip(&patterns) {
                if !stays {
                    routes.remove(pattern, id);
                }
            }
            for subject in &subjects {
                let mut found = Vec::new();
                routes.for_each(subject, |id| found.push(*id));
                found.sort_unstable();
                let expected: Vec<u64> = (0..)
                    .zip(&patterns)
                    .filter(|(_, (pattern, stays))| *stays && pattern.matches(subject))
                    .map(|(id, _)| id)
                    .collect();
                prop_assert_eq!(found, expected);
            }
            for (id, (pattern, _)) in (0..).zip(&patterns) {
                routes.remove(pattern, id);
            }
            prop_assert!(routes.is_empty());
        }
    }
}
