//! Tells that stale answers are given because the origin fails, how old they are, and when it
//! is over. The time is an argument.

use std::collections::HashMap;

use media::{Micros, Timestamp};

/// One line in the log for a group and this long.
const PAUSE: Micros = Micros::from_secs(10);
/// A group of which nothing stale was given for so long is over. That something is current
/// again does not end it: some of its answers may come, and others fail.
const OVER: Micros = Micros::from_secs(15);
/// Groups that are told apart.
const MAX_GROUPS: usize = 256;
/// What stands for all beyond them.
const OTHERS: &str = "others";

/// What is stale, by group: of `/live/{stream}/...` the stream.
#[derive(Debug, Default)]
pub(crate) struct StaleAlarm {
    groups: HashMap<String, Group>,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    since: Timestamp,
    last: Timestamp,
    told: Option<Timestamp>,
    age: Micros,
}

impl StaleAlarm {
    /// Something stale was given, so old. Gives the group if it is to be told.
    pub(crate) fn served<'a>(
        &mut self,
        now: Timestamp,
        key: &'a str,
        age: Micros,
    ) -> Option<&'a str> {
        let mut name = group_of(key);
        if !self.groups.contains_key(name) && self.groups.len() >= MAX_GROUPS {
            name = OTHERS;
        }
        if !self.groups.contains_key(name) {
            let group = Group {
                since: now,
                last: now,
                told: None,
                age,
            };
            self.groups.insert(name.to_owned(), group);
        }
        let group = self.groups.get_mut(name)?;
        group.last = now;
        group.age = group.age.max(age);
        let silent = group.told.is_none_or(|told| now - told >= PAUSE);
        if silent {
            group.told = Some(now);
        }
        silent.then_some(name)
    }

    /// Takes the groups in which it is over, and how long it lasted.
    pub(crate) fn ended(&mut self, now: Timestamp) -> Vec<(String, Micros)> {
        let over = |_: &String, group: &mut Group| now - group.last >= OVER;
        let ended = self.groups.extract_if(over);
        ended
            .map(|(name, group)| (name, group.last - group.since))
            .collect()
    }

    /// The age of the oldest that was given in any group; zero if nothing is.
    pub(crate) fn max_age(&self) -> Micros {
        let ages = self.groups.values().map(|group| group.age);
        ages.max().unwrap_or(Micros::ZERO)
    }
}

/// The first two segments of a path.
fn group_of(key: &str) -> &str {
    let path = key.split('?').next().unwrap_or(key);
    let end = path
        .match_indices('/')
        .nth(2)
        .map_or(path.len(), |(at, _)| at);
    &path[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000) + Micros::from_secs(seconds)
    }

    #[test]
    fn e09_a_group_is_told_at_once_then_seldom_and_when_it_is_over() {
        let mut alarm = StaleAlarm::default();
        let mut served = |second, key, age| {
            alarm.ended(at(second));
            alarm.served(at(second), key, Micros::from_secs(age))
        };
        assert_eq!(served(0, "/live/a/x.m3u8", 3), Some("/live/a"));
        assert_eq!(served(1, "/live/a/y.m3u8?_HLS_msn=1", 4), None);
        assert_eq!(served(1, "/live/b/x.m3u8", 9), Some("/live/b"));
        assert_eq!(served(10, "/live/a/x.m3u8", 13), Some("/live/a"));
        // Of another answer, and not of the oldest.
        assert_eq!(served(11, "/live/a/1/x/1.m4s", 2), None);
        assert_eq!(alarm.max_age(), Micros::from_secs(13));
        assert_eq!(alarm.ended(at(15)), []);
        let over = |name: &str, lasted| [(name.to_owned(), Micros::from_secs(lasted))];
        assert_eq!(alarm.ended(at(16)), over("/live/b", 0));
        assert_eq!(alarm.ended(at(26)), over("/live/a", 11));
        assert_eq!(alarm.max_age(), Micros::ZERO);
    }

    #[test]
    fn groups_beyond_the_limit_are_one() {
        let mut alarm = StaleAlarm::default();
        let keys: Vec<_> = (0..2 * MAX_GROUPS)
            .map(|n| format!("/live/{n}/a"))
            .collect();
        let told: Vec<_> = keys
            .iter()
            .filter_map(|key| alarm.served(at(0), key, Micros::ZERO))
            .collect();
        assert_eq!(told.len(), MAX_GROUPS + 1);
        assert_eq!(told.last(), Some(&OTHERS));
        assert_eq!(alarm.groups.len(), MAX_GROUPS + 1);
    }

    #[test]
    fn a_group_is_what_two_segments_name() {
        for (key, group) in [
            ("/live/a/b/c.m4s", "/live/a"),
            ("/live/a", "/live/a"),
            ("/x?a=/b/c", "/x"),
            ("/", "/"),
            ("", ""),
        ] {
            assert_eq!(group_of(key), group);
        }
    }
}
