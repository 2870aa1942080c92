//! Which rules there are, and what they say of one answer. Pure.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use media::Timestamp;

use super::{Pattern, PurgeRule, Selector};
use crate::era::Era;

/// Selectors at one time. A sweep empties them long before, unless purges come faster than
/// what is stored can be checked.
const MAX_RULES: usize = 1_024;

/// The rules, by what they select.
#[derive(Debug)]
pub(crate) struct Rules {
    /// What was last checked before it is gone, since nobody knows the rules of that time.
    floor: Era,
    everything: Mark,
    urls: HashMap<Box<str>, Mark>,
    prefixes: BTreeMap<Box<str>, Mark>,
    patterns: Vec<(Pattern, Mark)>,
    tags: HashMap<Box<str>, Mark>,
    /// Tags that all answers have whose paths begin so.
    tagged_prefixes: BTreeMap<Box<str>, Vec<Box<str>>>,
}

/// The last purges of one selector.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    hard: Option<Era>,
    soft: Option<Soft>,
}

/// The soft purges of one selector.
#[derive(Debug, Clone, Copy)]
struct Soft {
    last: Era,
    last_at: Timestamp,
    /// Where there is one: the one before the last.
    previous: Option<Era>,
    /// When the first one was.
    first_at: Timestamp,
}

/// What has become of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No rule is about it.
    Stays,
    /// It is no longer fresh since then.
    Stale(Timestamp),
    /// It must not be used.
    Gone,
}

/// Answers that are not there yet, of which it is known what they may be.
pub(crate) trait Group {
    /// May one have this path?
    fn may_have(&self, path: &str) -> bool;
    /// May one have a path that begins so?
    fn may_have_below(&self, prefix: &str) -> bool;
    /// May one have this tag?
    fn may_be_tagged(&self, tag: &str) -> bool;
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            floor: Era::FIRST,
            everything: Mark::default(),
            urls: HashMap::new(),
            prefixes: BTreeMap::new(),
            patterns: Vec::new(),
            tags: HashMap::new(),
            tagged_prefixes: BTreeMap::new(),
        }
    }
}

impl Rules {
    /// Adds a rule that is newer than all others. Where there are too many, the older half is
    /// dropped, and what was not checked against it counts as gone; how many those were.
    pub(crate) fn add(&mut self, rule: &PurgeRule, era: Era, at: Timestamp) -> usize {
        let note = |mark: &mut Mark| match rule.soft {
            true => mark.soft = Some(Soft::after(mark.soft, era, at)),
            false => mark.hard = Some(era),
        };
        match &rule.selector {
            Selector::Everything => note(&mut self.everything),
            Selector::Url(url) => note(self.urls.entry(url.clone()).or_default()),
            Selector::Prefix(prefix) => note(self.prefixes.entry(prefix.clone()).or_default()),
            Selector::Tag(tag) => {
                note(self.tags.entry(tag.clone()).or_default());
                // What has the tag by its path may have it no more when it is looked up.
                for (prefix, tags) in &self.tagged_prefixes {
                    if tags.contains(tag) {
                        note(self.prefixes.entry(prefix.clone()).or_default());
                    }
                }
            }
            Selector::Pattern(pattern) => {
                let known = self.patterns.iter().position(|(known, _)| known == pattern);
                let index = known.unwrap_or_else(|| {
                    self.patterns.push((pattern.clone(), Mark::default()));
                    self.patterns.len() - 1
                });
                note(&mut self.patterns[index].1);
            }
        }
        let before = self.len();
        if before <= MAX_RULES {
            return 0;
        }
        let mut eras: Vec<Era> = self.marks().map(Mark::latest).collect();
        let middle = eras.len() / 2;
        let (_, &mut median, _) = eras.select_nth_unstable(middle);
        self.retire(median);
        before - self.len()
    }

    /// From now on answers have these tags by their paths, beside their own.
    pub(crate) fn tag_prefixes(&mut self, tagged: BTreeMap<Box<str>, Vec<Box<str>>>) {
        self.tagged_prefixes = tagged;
    }

    /// Forgets the rules up to `era`.
    pub(crate) fn retire(&mut self, era: Era) {
        self.floor = self.floor.max(era);
        let stays = |mark: &mut Mark| {
            mark.hard = mark.hard.filter(|&hard| hard > era);
            mark.soft = mark.soft.filter(|soft| soft.last > era);
            mark.hard.is_some() || mark.soft.is_some()
        };
        stays(&mut self.everything);
        self.urls.retain(|_, mark| stays(mark));
        self.prefixes.retain(|_, mark| stays(mark));
        self.patterns.retain_mut(|(_, mark)| stays(mark));
        self.tags.retain(|_, mark| stays(mark));
    }

    /// What was checked before this is gone.
    pub(crate) fn floor(&self) -> Era {
        self.floor
    }

    /// Selectors, without that of everything.
    pub(crate) fn len(&self) -> usize {
        self.urls.len() + self.prefixes.len() + self.patterns.len() + self.tags.len()
    }

    /// What has become of the answer under `subject`, which was last checked at `since`.
    /// `tags` is asked only where a rule has any.
    pub(crate) fn verdict<'a>(
        &self,
        subject: &str,
        tags: impl FnOnce() -> Vec<&'a str>,
        since: Era,
    ) -> Verdict {
        if since < self.floor {
            return Verdict::Gone;
        }
        let mut verdict = Verdict::Stays;
        let tags = match self.tags.is_empty() {
            true => Vec::new(),
            false => tags(),
        };
        let tagged = tags.into_iter().filter_map(|tag| self.tags.get(tag));
        for mark in self.of_path(subject).chain(tagged) {
            match mark.since(since) {
                Verdict::Gone => return Verdict::Gone,
                Verdict::Stays => {}
                Verdict::Stale(at) => {
                    verdict = match verdict {
                        Verdict::Stale(earlier) => Verdict::Stale(earlier.min(at)),
                        _ => Verdict::Stale(at),
                    }
                }
            }
        }
        verdict
    }

    /// May a rule since `since` be about what is under `subject`, whatever tags it has?
    pub(crate) fn may_select(&self, subject: &str, since: Era) -> bool {
        since < self.floor
            || self
                .of_path(subject)
                .chain(self.tags.values())
                .any(|mark| mark.since(since) != Verdict::Stays)
    }

    /// May a rule since `since` be about something that `group` may have?
    pub(crate) fn may_select_of(&self, group: &impl Group, since: Era) -> bool {
        let is_news = |mark: &Mark| mark.since(since) != Verdict::Stays;
        let (mut urls, mut prefixes) = (self.urls.iter(), self.prefixes.iter());
        let (mut patterns, mut tags) = (self.patterns.iter(), self.tags.iter());
        since < self.floor
            || is_news(&self.everything)
            || urls.any(|(url, mark)| is_news(mark) && group.may_have(url))
            || prefixes.any(|(prefix, mark)| is_news(mark) && group.may_have_below(prefix))
            || patterns
                .any(|(pattern, mark)| is_news(mark) && group.may_have_below(&pattern.beginning()))
            || tags.any(|(tag, mark)| is_news(mark) && group.may_be_tagged(tag))
    }

    /// The marks that select `subject` by its path.
    fn of_path<'a>(&'a self, subject: &'a str) -> impl Iterator<Item = &'a Mark> {
        let matching =
            |(pattern, mark): &'a (Pattern, Mark)| pattern.matches(subject).then_some(mark);
        std::iter::once(&self.everything)
            .chain(self.urls.get(subject))
            .chain(prefixes_of(&self.prefixes, subject))
            .chain(self.patterns.iter().filter_map(matching))
    }

    fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.urls
            .values()
            .chain(self.prefixes.values())
            .chain(self.patterns.iter().map(|(_, mark)| mark))
            .chain(self.tags.values())
    }
}

/// What `map` has for the prefixes of `subject`, the longest first.
fn prefixes_of<'a, V>(
    map: &'a BTreeMap<Box<str>, V>,
    subject: &'a str,
) -> impl Iterator<Item = &'a V> {
    let mut upper = Bound::Included(subject);
    std::iter::from_fn(move || {
        loop {
            let range = (Bound::Unbounded, upper);
            let (prefix, value) = map.range::<str, _>(range).next_back()?;
            if subject.starts_with(&**prefix) {
                upper = Bound::Excluded(prefix);
                return Some(value);
            }
            // The other prefixes of `subject` sort before this, so that they are prefixes
            // of what the two have in common.
            upper = Bound::Included(common(subject, prefix));
        }
    })
}

/// What `left` begins with, as far as `right` begins so too.
fn common<'a>(left: &'a str, right: &str) -> &'a str {
    let same = left.bytes().zip(right.bytes()).take_while(|(a, b)| a == b);
    let mut length = same.count();
    while !left.is_char_boundary(length) {
        length -= 1;
    }
    &left[..length]
}

impl Mark {
    fn since(&self, since: Era) -> Verdict {
        match (self.hard, self.soft) {
            (Some(hard), _) if hard > since => Verdict::Gone,
            (_, Some(soft)) if soft.last > since => Verdict::Stale(soft.at(since)),
            _ => Verdict::Stays,
        }
    }

    fn latest(&self) -> Era {
        let soft = self.soft.map(|soft| soft.last);
        self.hard.max(soft).unwrap_or(Era::FIRST)
    }
}

impl Soft {
    fn after(before: Option<Self>, era: Era, at: Timestamp) -> Self {
        Self {
            last: era,
            last_at: at,
            previous: before.map(|soft| soft.last),
            first_at: before.map_or(at, |soft| soft.first_at),
        }
    }

    /// Since when what was last checked at `since`, before the last one, is stale. If several
    /// came since, it is since the first of all, which may be too early, and never too late: a
    /// purge that is repeated lets nothing be used for longer.
    fn at(&self, since: Era) -> Timestamp {
        match self.previous {
            Some(previous) if previous > since => self.first_at,
            _ => self.last_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::OriginKind;

    fn selector(kind: &str, text: &str) -> Selector {
        Selector::parse(OriginKind::General, kind, text).unwrap()
    }

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    /// Does `selector` select the answer under `path` with `tags`? By the definition.
    fn selects(selector: &Selector, path: &str, tags: &[&str]) -> bool {
        match selector {
            Selector::Everything => true,
            Selector::Url(url) => **url == *path,
            Selector::Prefix(prefix) => path.starts_with(&**prefix),
            Selector::Pattern(pattern) => pattern.matches(path),
            Selector::Tag(tag) => tags.contains(&&**tag),
        }
    }

    #[test]
    fn the_last_purge_of_a_selector_counts_and_takes_no_more_room() {
        let mut rules = Rules::default();
        for era in 1..=5_000 {
            let rule = PurgeRule {
                selector: selector("prefix", "/a"),
                soft: era % 2 == 0,
            };
            assert_eq!(rules.add(&rule, Era::from_micros(era), at(era)), 0);
        }
        assert_eq!(rules.len(), 1);
        let verdict = |since| rules.verdict("/a/b", Vec::new, Era::from_micros(since));
        assert_eq!(verdict(4_998), Verdict::Gone);
        assert_eq!(verdict(4_999), Verdict::Stale(at(5_000)));
        assert_eq!(verdict(5_000), Verdict::Stays);
    }

    #[test]
    fn a_soft_purge_that_is_repeated_lets_nothing_be_used_for_longer() {
        let mut rules = Rules::default();
        for era in [10, 20, 30] {
            let rule = PurgeRule {
                selector: selector("url", "/a"),
                soft: true,
            };
            rules.add(&rule, Era::from_micros(era), at(era));
        }
        let verdict = |since| rules.verdict("/a", Vec::new, Era::from_micros(since));
        assert_eq!(verdict(9), Verdict::Stale(at(10)));
        assert_eq!(verdict(19), Verdict::Stale(at(10)));
        assert_eq!(verdict(20), Verdict::Stale(at(30)));
        assert_eq!(verdict(30), Verdict::Stays);
    }

    #[test]
    fn too_many_rules_are_one_that_says_more() {
        let mut rules = Rules::default();
        let mut dropped = 0;
        for era in 1..=10_000_i64 {
            let rule = PurgeRule {
                selector: selector("url", &format!("/{era}")),
                soft: false,
            };
            dropped += rules.add(&rule, Era::from_micros(era), at(era));
            assert!(rules.len() <= MAX_RULES);
            for purged in [1, (era + 1) / 2, era] {
                let verdict = rules.verdict(
                    &format!("/{purged}"),
                    Vec::new,
                    Era::from_micros(purged - 1),
                );
                assert_eq!(verdict, Verdict::Gone, "{purged} of {era}");
            }
        }
        assert!(dropped >= 10_000 - MAX_RULES);
        let verdict = |path| rules.verdict(path, Vec::new, Era::from_micros(9_999));
        assert_eq!(verdict("/10000"), Verdict::Gone);
        assert_eq!(verdict("/1"), Verdict::Stays);
    }

    #[test]
    fn a_tag_of_a_prefix_is_a_tag_of_all_below_it() {
        let mut rules = Rules::default();
        let tagged = [("/a/", "x"), ("/a/b/", "y")];
        let tagged = tagged.map(|(prefix, tag)| (prefix.into(), vec![tag.into()]));
        rules.tag_prefixes(tagged.into_iter().collect());
        let rule = PurgeRule {
            selector: selector("tag", "x"),
            soft: false,
        };
        rules.add(&rule, Era::from_micros(1), at(1));
        let verdict = |path| rules.verdict(path, Vec::new, Era::FIRST);
        assert_eq!(verdict("/a/b/c"), Verdict::Gone);
        assert_eq!(verdict("/a"), Verdict::Stays);
        assert_eq!(verdict("/b/a/"), Verdict::Stays);
        // What the tag was of when it was purged counts, not what it is of today.
        let tagged = [("/b/".into(), vec!["x".into()])];
        rules.tag_prefixes(tagged.into_iter().collect());
        let verdict = |path| rules.verdict(path, Vec::new, Era::FIRST);
        assert_eq!(verdict("/a/b/c"), Verdict::Gone);
        assert_eq!(verdict("/b/c"), Verdict::Stays);
    }

    fn any_selector() -> impl Strategy<Value = Selector> {
        prop_oneof![
            "/[abä]{0,4}".prop_map(|text| Selector::Url(text.into())),
            "/[abä]{0,4}".prop_map(|text| Selector::Prefix(text.into())),
            r"/(\*|\*\*|[ab/]){0,4}".prop_map(|text| Selector::Pattern(text.parse().unwrap())),
            "[xyz]".prop_map(|text| Selector::Tag(text.into())),
            Just(Selector::Everything),
        ]
    }

    proptest! {
        /// Stored answers that are checked now and then, against a list of all rules.
        #[test]
        fn it_says_what_all_rules_say(
            steps in prop::collection::vec(
                (any_selector(), any::<bool>(), "/[abä/]{0,5}", prop::sample::subsequence(vec!["x", "y", "z"], 0..=3), 0..30i64, any::<bool>()),
                1..30,
            ),
        ) {
            let mut rules = Rules::default();
            let mut all: Vec<(Selector, bool, i64)> = Vec::new();
            let mut floor = i64::MIN;
            for (era, (selector, soft, path, tags, since, retires)) in (0i64..).zip(steps) {
                rules.add(
                    &PurgeRule { selector: selector.clone(), soft },
                    Era::from_micros(era),
                    at(era),
                );
                all.push((selector, soft, era));
                if retires && era % 5 == 0 {
                    floor = era - 3;
                    rules.retire(Era::from_micros(floor));
                }
                let about: Vec<_> = all
                    .iter()
                    .filter(|(selector, _, era)| *era > since && selects(selector, &path, &tags))
                    .collect();
                let is_gone = since < floor || about.iter().any(|(_, soft, _)| !soft);
                let verdict = rules.verdict(&path, || tags.clone(), Era::from_micros(since));
                match verdict {
                    Verdict::Gone => prop_assert!(is_gone),
                    Verdict::Stays => prop_assert!(!is_gone && about.is_empty()),
                    Verdict::Stale(at) => {
                        prop_assert!(!is_gone);
                        // Of several purges the first counts.
                        prop_assert!(!about.is_empty());
                        prop_assert!(about.iter().all(|(_, _, era)| at.as_micros() <= *era));
                    }
                }
                let may = rules.may_select(&path, Era::from_micros(since));
                prop_assert!(may || verdict == Verdict::Stays);
            }
        }
    }
}
