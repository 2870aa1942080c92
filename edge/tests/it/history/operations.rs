//! What may happen in a history, and how it is drawn.

use std::fmt;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::rfc9111::{RequestControl, ResponseControl};

/// The objects of the origin.
pub(super) const TARGETS: [&str; 2] = ["/a", "/b"];

/// By which the origin's answers may vary.
pub(super) const COLORS: [&str; 2] = ["red", "blue"];

#[derive(Clone)]
pub(super) enum Operation {
    Ask(Ask),
    /// A method that is not safe, of a general origin.
    Change(Change),
    Purge(Purge),
    /// The origin answers otherwise from now on.
    Origin(usize, Behaviour),
    /// Milliseconds of the edge's and the origin's clock.
    Pass(i64),
    /// The origin's answers wait for their release: first the head, then what follows half
    /// of the body.
    Hold,
    /// Lets one of those that wait go a step on.
    Release(usize),
    /// All of them, and what is asked from now on.
    Flow,
    /// One of the clients leaves.
    Leave(usize),
}

#[derive(Clone)]
pub(super) struct Ask {
    pub(super) target: usize,
    pub(super) is_head: bool,
    /// With `Authorization`.
    pub(super) authorised: bool,
    pub(super) color: Option<&'static str>,
    pub(super) control: RequestControl,
    pub(super) range: Option<Range>,
    pub(super) condition: Condition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    FromTo(u64, u64),
    From(u64),
    Suffix(u64),
}

/// With what clients were last given of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    None,
    NoneMatch,
    ModifiedSince,
    /// `If-Range` with the tag.
    Range,
}

#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) target: usize,
    pub(super) method: &'static str,
    pub(super) status: u16,
    /// The answer's `Location` names the other object.
    pub(super) names_other: bool,
}

/// What is purged: an object, by what selects it, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Purge {
    pub(super) by: &'static str,
    pub(super) target: usize,
    pub(super) soft: bool,
}

impl Purge {
    pub(super) fn selects(&self, target: usize) -> bool {
        self.by == "everything" || self.target == target
    }

    /// What the kind of purge it is selects the object by.
    pub(super) fn text(&self) -> String {
        match self.by {
            "everything" => String::new(),
            "tag" => tag_of(self.target),
            _ => TARGETS[self.target].to_owned(),
        }
    }
}

/// What all answers of an object have in `Cache-Tag`.
pub(super) fn tag_of(target: usize) -> String {
    format!("object:{target}")
}

/// How the origin answers requests for an object.
#[derive(Clone)]
pub(super) struct Behaviour {
    /// With new content.
    pub(super) renews: bool,
    pub(super) fault: Fault,
    pub(super) status: u16,
    pub(super) control: ResponseControl,
    /// `control` is sent as `CDN-Cache-Control`.
    pub(super) targeted: bool,
    /// Seconds from `Date`; `Some(None)` is no date.
    pub(super) expires: Option<Option<i64>>,
    pub(super) tag: Tag,
    pub(super) has_last_modified: bool,
    pub(super) vary: Vary,
    pub(super) age: Option<i64>,
    pub(super) date: Date,
    pub(super) has_length: bool,
    pub(super) has_ranges: bool,
    pub(super) sets_cookie: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// No answer.
    Unreachable,
    /// 503.
    Unavailable,
    /// The body breaks off after its first half.
    Breaks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    None,
    Weak,
    Strong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vary {
    Nothing,
    Color,
    Everything,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Date {
    Now,
    Missing,
    /// Seconds behind the edge's clock.
    Behind(i64),
}

impl Behaviour {
    /// What shapes the bytes, or is in a 200 but not in each 304: where this changes, the
    /// content does.
    pub(super) fn family(&self) -> impl PartialEq + use<> {
        (
            self.is_personal(),
            self.expires.is_some(),
            self.targeted,
            self.tag == Tag::None,
            self.has_last_modified,
            (self.vary, self.status, self.sets_cookie, self.age.is_some()),
        )
    }

    /// Has each user content of their own?
    pub(super) fn is_personal(&self) -> bool {
        let control = &self.control;
        let shared = control.public || control.must_revalidate || control.s_maxage.is_some();
        control.private || !shared
    }
}

/// Seldom set.
fn rare(probability: f64) -> impl Strategy<Value = bool> {
    prop::bool::weighted(probability)
}

fn seconds() -> impl Strategy<Value = i64> {
    select(&[0i64, 1, 2, 5, 10, 60][..])
}

pub(super) fn operations() -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(operation(), 1..40)
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        12 => ask().prop_map(Operation::Ask),
        2 => change().prop_map(Operation::Change),
        2 => purge().prop_map(Operation::Purge),
        5 => (0..TARGETS.len(), behaviour())
            .prop_map(|(target, behaviour)| Operation::Origin(target, behaviour)),
        // Twice the last is longer than any lifetime that is guessed.
        4 => select(&[100i64, 900, 1_000, 2_000, 5_000, 9_000, 30_000, 400_000][..])
            .prop_map(Operation::Pass),
        2 => Just(Operation::Hold),
        5 => (0usize..4).prop_map(Operation::Release),
        1 => Just(Operation::Flow),
        1 => (0usize..4).prop_map(Operation::Leave),
    ]
}

prop_compose! {
    fn ask()(
        target in select(&[0usize, 0, 0, 1][..]),
        is_head in rare(0.15),
        authorised in rare(0.12),
        color in option::of(select(&COLORS[..])),
        control in prop_oneof![4 => Just(RequestControl::default()), 1 => request_control()],
        range in option::weighted(0.2, range()),
        condition in prop_oneof![
            5 => Just(Condition::None),
            1 => Just(Condition::NoneMatch),
            1 => Just(Condition::ModifiedSince),
            1 => Just(Condition::Range),
        ],
    ) -> Ask {
        Ask { target, is_head, authorised, color, control, range, condition }
    }
}

fn range() -> impl Strategy<Value = Range> {
    prop_oneof![
        (0u64..20, 0u64..20).prop_map(|(first, more)| Range::FromTo(first, first + more)),
        (0u64..45).prop_map(Range::From),
        (1u64..45).prop_map(Range::Suffix),
    ]
}

prop_compose! {
    fn request_control()(
        no_cache in rare(0.2),
        no_store in rare(0.2),
        only_if_cached in rare(0.2),
        max_age in option::weighted(0.3, seconds()),
        max_stale in option::weighted(0.3, option::of(seconds())),
        min_fresh in option::weighted(0.2, seconds()),
    ) -> RequestControl {
        RequestControl { no_cache, no_store, only_if_cached, max_age, max_stale, min_fresh }
    }
}

prop_compose! {
    fn change()(
        target in 0..TARGETS.len(),
        method in select(&["POST", "PUT", "DELETE"][..]),
        status in select(&[200u16, 204, 303, 404, 500][..]),
        names_other in any::<bool>(),
    ) -> Change {
        Change { target, method, status, names_other }
    }
}

prop_compose! {
    fn purge()(
        by in select(&["url", "prefix", "pattern", "tag", "everything"][..]),
        target in 0..TARGETS.len(),
        soft in any::<bool>(),
    ) -> Purge {
        Purge { by, target, soft }
    }
}

prop_compose! {
    fn response_control()(
        flags in (rare(0.05), rare(0.1), rare(0.05), rare(0.15), rare(0.1), rare(0.1), rare(0.1)),
        max_age in option::weighted(0.7, seconds()),
        s_maxage in option::weighted(0.15, seconds()),
        stale_while_revalidate in option::weighted(0.2, seconds()),
        stale_if_error in option::weighted(0.2, seconds()),
    ) -> ResponseControl {
        let (no_store, no_cache, private, public, must, proxy, immutable) = flags;
        ResponseControl {
            no_store, no_cache, private, public, immutable,
            must_revalidate: must,
            proxy_revalidate: proxy,
            must_understand: false,
            max_age, s_maxage, stale_while_revalidate, stale_if_error,
        }
    }
}

prop_compose! {
    pub(super) fn behaviour()(
        renews in any::<bool>(),
        fault in prop_oneof![
            8 => Just(Fault::None),
            1 => Just(Fault::Unreachable),
            1 => Just(Fault::Unavailable),
            1 => Just(Fault::Breaks),
        ],
        status in prop_oneof![6 => Just(200u16), 1 => Just(404), 1 => Just(500)],
        control in response_control(),
        targeted in rare(0.1),
        expires in option::weighted(0.15, option::weighted(0.8, -5i64..20)),
        tag in select(&[Tag::None, Tag::Weak, Tag::Strong, Tag::Strong][..]),
        has_last_modified in any::<bool>(),
        vary in select(&[Vary::Nothing, Vary::Nothing, Vary::Color, Vary::Color, Vary::Everything][..]),
        age in option::weighted(0.15, seconds()),
        date in prop_oneof![
            4 => Just(Date::Now),
            1 => Just(Date::Missing),
            1 => (0i64..10).prop_map(Date::Behind),
        ],
        flags in (any::<bool>(), rare(0.7), rare(0.05)),
    ) -> Behaviour {
        let (has_length, has_ranges, sets_cookie) = flags;
        Behaviour {
            renews, fault, status, control, targeted, expires, tag, has_last_modified, vary, age,
            date, has_length, has_ranges, sets_cookie,
        }
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(ask) => write!(f, "Ask {ask:?}"),
            Self::Change(change) => {
                let Change {
                    target,
                    method,
                    status,
                    names_other,
                } = change;
                write!(f, "{method} {} {status}", TARGETS[*target])?;
                match names_other {
                    true => write!(f, " location={}", TARGETS[1 - target]),
                    false => Ok(()),
                }
            }
            Self::Purge(Purge { by, target, soft }) => {
                let softly = if *soft { " softly" } else { "" };
                write!(f, "Purge {by} {}{softly}", TARGETS[*target])
            }
            Self::Origin(target, behaviour) => {
                write!(f, "Origin {} {behaviour:?}", TARGETS[*target])
            }
            Self::Pass(millis) => write!(f, "Pass {millis} ms"),
            Self::Hold => f.write_str("Hold"),
            Self::Release(which) => write!(f, "Release {which}"),
            Self::Flow => f.write_str("Flow"),
            Self::Leave(which) => write!(f, "Leave {which}"),
        }
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = if self.is_head { "HEAD" } else { "GET" };
        write!(f, "{method} {}", TARGETS[self.target])?;
        if self.control != RequestControl::default() {
            write!(f, " {:?}", self.control)?;
        }
        if let Some(color) = self.color {
            write!(f, " {color}")?;
        }
        if self.authorised {
            write!(f, " authorised")?;
        }
        if let Some(range) = self.range {
            write!(f, " {range:?}")?;
        }
        match self.condition {
            Condition::None => Ok(()),
            condition => write!(f, " if-{condition:?}"),
        }
    }
}

impl fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.status, self.control)?;
        for (word, set) in [
            ("renews", self.renews),
            ("targeted", self.targeted),
            ("last-modified", self.has_last_modified),
            ("length", self.has_length),
            ("ranges", self.has_ranges),
            ("cookie", self.sets_cookie),
        ] {
            if set {
                write!(f, " {word}")?;
            }
        }
        if let Some(seconds) = self.expires {
            write!(f, " expires={seconds:?}")?;
        }
        if let Some(seconds) = self.age {
            write!(f, " age={seconds}")?;
        }
        if self.tag != Tag::None {
            write!(f, " {:?}-tag", self.tag)?;
        }
        if self.vary != Vary::Nothing {
            write!(f, " vary={:?}", self.vary)?;
        }
        if self.date != Date::Now {
            write!(f, " date={:?}", self.date)?;
        }
        match self.fault {
            Fault::None => Ok(()),
            fault => write!(f, " {fault:?}"),
        }
    }
}
