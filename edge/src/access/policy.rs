//! What is protected.

use std::collections::HashMap;

use super::scope::PathScope;

/// Who may have what is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rule {
    /// Everybody.
    #[default]
    Public,
    /// Whoever has a token for it.
    Signed,
}

/// Rules by path. The longest path that covers what is asked for decides; where none does,
/// it is public.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// By path without the slash at its end.
    below: HashMap<Box<str>, Rule>,
    /// Of one resource.
    single: HashMap<Box<str>, Rule>,
}

impl Policy {
    /// Everything is public.
    pub fn open() -> Self {
        Self::default()
    }

    /// With `rule` for `scope`, in the place of the one that it has.
    pub fn with(mut self, scope: &PathScope, rule: Rule) -> Self {
        match scope.folder() {
            Some(folder) => self.below.insert(folder.into(), rule),
            None => self.single.insert(scope.as_str().into(), rule),
        };
        self
    }

    /// Is everything public?
    pub fn is_open(&self) -> bool {
        self.below.is_empty() && self.single.is_empty()
    }

    /// The rule of a path in the form of a cache key, as [`PathScope`] makes it. Costs a
    /// look-up for each segment.
    pub fn rule(&self, path: &str) -> Rule {
        if self.is_open() {
            return Rule::Public;
        }
        if let Some(rule) = self.single.get(path) {
            return *rule;
        }
        let folders = path.rmatch_indices('/').map(|(at, _)| &path[..at]);
        std::iter::once(path)
            .chain(folders)
            .find_map(|folder| self.below.get(folder).copied())
            .unwrap_or_default()
    }
}

impl FromIterator<(PathScope, Rule)> for Policy {
    fn from_iter<I: IntoIterator<Item = (PathScope, Rule)>>(rules: I) -> Self {
        rules
            .into_iter()
            .fold(Self::open(), |policy, (scope, rule)| {
                policy.with(&scope, rule)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_path_decides() {
        let policy: Policy = [
            ("/live/", Rule::Signed),
            ("/live/free/", Rule::Public),
            ("/live/free/extra/", Rule::Signed),
            ("/live/demo/poster.jpg", Rule::Public),
        ]
        .into_iter()
        .map(|(scope, rule)| (scope.parse().unwrap(), rule))
        .collect();
        for (path, rule) in [
            ("/", Rule::Public),
            ("/livestock", Rule::Public),
            ("/live", Rule::Signed),
            ("/live/", Rule::Signed),
            ("/live/demo/index.m3u8", Rule::Signed),
            ("/live/demo/poster.jpg", Rule::Public),
            ("/live/demo/poster.jpg/x", Rule::Signed),
            ("/live/free/index.m3u8", Rule::Public),
            ("/live/free2/index.m3u8", Rule::Signed),
            ("/live/free/extra/1.m4s", Rule::Signed),
        ] {
            assert_eq!(policy.rule(path), rule, "{path}");
        }
        let all = Policy::open().with(&"/".parse().unwrap(), Rule::Signed);
        assert_eq!(all.rule("/"), Rule::Signed);
        assert_eq!(all.rule("/a/b"), Rule::Signed);
        assert!(Policy::open().is_open() && !all.is_open());
    }
}
