use proptest::prelude::*;

use super::*;
use crate::config::OriginKind;

const PLAYLIST: &str = "/live/garden/720p.m3u8";
const HELD: &str = "/live/garden/720p.m3u8?_HLS_msn=7";
const FEED: &str = "/live/garden/720p.feed";
const VIDEO: &str = "/vod/a/1/720p/1.m4s";

fn member(name: &str, kind: MemberKind, group: u32) -> (Member, ()) {
    let member = Member {
        name: name.to_owned(),
        kind,
        group,
        weight: 1,
    };
    (member, ())
}

fn shield(name: &str) -> (Member, ()) {
    member(name, MemberKind::Shield, 0)
}

fn origin(name: &str) -> (Member, ()) {
    member(name, MemberKind::Origin, 1)
}

/// A board, and a clock that begins with it.
fn board(members: Vec<(Member, ())>) -> (Board<()>, impl Fn(u64) -> Instant) {
    let start = Instant::now();
    let rules = HealthRules {
        consecutive_failures: 2,
        ..HealthRules::default()
    };
    let mut board = Board::new(rules, 50, 1_000, true);
    board.set_members(start, members);
    (board, move |millis| start + Duration::from_millis(millis))
}

fn of(target: &str) -> Affinity<'_> {
    Affinity::of(OriginKind::Media, target)
}

/// Whom a request is asked of, if it ends at once.
fn asks(board: &mut Board<()>, now: Instant, target: &str, tried: &[u64]) -> Option<String> {
    let chosen = board.choose(now, &of(target), tried)?;
    board.leave(chosen.seat);
    Some(chosen.name)
}

fn id(board: &Board<()>, name: &str) -> u64 {
    let known = |entry: &&Entry<()>| entry.member.name == name;
    board.entries.iter().find(known).unwrap().id
}

fn down(board: &mut Board<()>, now: Instant, name: &str) {
    let id = id(board, name);
    for _ in 0..3 {
        board.checked(now, id, Checked::Failed);
    }
}

/// Ejects `name`, if its group can do without it.
fn eject(board: &mut Board<()>, now: Instant, name: &str) {
    let seat = Seat {
        id: id(board, name),
        held: false,
        probe: false,
    };
    for _ in 0..2 {
        board.failed(now, seat);
    }
}

#[test]
fn what_belongs_together_meets_at_one_shield() {
    let (mut board, at) = board(vec![shield("a"), shield("b"), shield("c")]);
    let first = asks(&mut board, at(0), PLAYLIST, &[]);
    for target in [
        HELD,
        "/live/garden/1/720p/7.m4s",
        "/live/garden/1/720p/7.1.m4s",
    ] {
        assert_eq!(asks(&mut board, at(0), target, &[]), first, "{target}");
    }
    let keys: Vec<String> = (0..60).map(|n| format!("/vod/a/1/720p/{n}.m4s")).collect();
    let mut chosen: Vec<_> = keys
        .iter()
        .filter_map(|key| asks(&mut board, at(0), key, &[]))
        .collect();
    chosen.sort();
    chosen.dedup();
    assert_eq!(chosen.len(), 3);
}

#[test]
fn origins_are_asked_when_too_few_shields_are_up() {
    let (mut board, at) = board(vec![shield("a"), shield("b"), shield("c"), origin("o")]);
    let now = at(0);
    down(&mut board, now, "a");
    assert_ne!(asks(&mut board, now, PLAYLIST, &[]).unwrap(), "o");
    // One of three is less than half.
    down(&mut board, now, "b");
    assert_eq!(asks(&mut board, now, PLAYLIST, &[]).unwrap(), "o");
    // It is still better than nothing.
    let tried = [id(&board, "o")];
    assert_eq!(asks(&mut board, now, PLAYLIST, &tried).unwrap(), "c");
    down(&mut board, now, "o");
    assert_eq!(asks(&mut board, now, PLAYLIST, &[]).unwrap(), "c");
}

#[test]
fn a_shield_that_is_cut_off_is_passed_over_while_somebody_else_is_there() {
    let (mut board, at) = board(vec![shield("s"), origin("o")]);
    let (now, s, o) = (at(0), id(&board, "s"), id(&board, "o"));
    let checks = |board: &mut Board<()>, member, found, times| {
        for _ in 0..times {
            board.checked(now, member, found);
        }
    };
    // Nobody has heard of the origin yet.
    checks(&mut board, s, Checked::CutOff, 3);
    assert_eq!(asks(&mut board, now, PLAYLIST, &[]).unwrap(), "s");
    checks(&mut board, o, Checked::Passed, 1);
    checks(&mut board, s, Checked::CutOff, 3);
    assert_eq!(asks(&mut board, now, PLAYLIST, &[]).unwrap(), "o");
    // All origins are down: what the shield has stored is better than nothing.
    down(&mut board, now, "o");
    checks(&mut board, s, Checked::CutOff, 2);
    assert_eq!(asks(&mut board, now, PLAYLIST, &[]).unwrap(), "s");
}

#[test]
fn a_retry_goes_to_another_of_the_group_and_then_to_the_next() {
    let (mut board, at) = board(vec![shield("a"), shield("b"), origin("o")]);
    let mut tried = Vec::new();
    let mut order = Vec::new();
    while let Some(name) = asks(&mut board, at(0), PLAYLIST, &tried) {
        tried.push(id(&board, &name));
        order.push(name);
    }
    order[..2].sort();
    assert_eq!(order, ["a", "b", "o"]);
}

#[test]
fn when_all_are_out_a_few_requests_still_try() {
    let (mut board, at) = board(vec![origin("a"), origin("b")]);
    let now = at(0);
    down(&mut board, now, "a");
    down(&mut board, now, "b");
    let probes: Vec<_> = std::iter::from_fn(|| board.choose(now, &of(VIDEO), &[])).collect();
    assert_eq!(probes.len(), 6);
    // What is held has as many places of its own.
    let held = board.choose(now, &of(HELD), &[]).unwrap();
    assert!(board.choose(now, &of(VIDEO), &[]).is_none());
    for probe in &probes {
        board.answered(now, probe.seat);
        board.leave(probe.seat);
    }
    board.leave(held.seat);
    assert!(
        board
            .states(now)
            .iter()
            .all(|state| state.up && state.under_way == 0)
    );
    assert_eq!(
        std::iter::from_fn(|| board.choose(now, &of(VIDEO), &[]))
            .take(50)
            .count(),
        50
    );
}

#[test]
fn half_open_a_member_gets_no_more_than_its_probes() {
    let (mut board, at) = board(vec![origin("a"), origin("b")]);
    eject(&mut board, at(0), "a");
    let taken = |board: &mut Board<()>, now| {
        let seats: Vec<_> = (0..20)
            .filter_map(|_| board.choose(now, &of(VIDEO), &[]))
            .collect();
        seats.iter().filter(|chosen| chosen.name == "a").count()
    };
    assert_eq!(taken(&mut board, at(500)), 0);
    assert_eq!(taken(&mut board, at(1_000)), 3);
}

#[test]
fn no_more_than_half_of_a_group_is_ejected() {
    let (mut board, at) = board(vec![origin("a"), origin("b"), origin("c")]);
    for name in ["a", "b", "c"] {
        eject(&mut board, at(0), name);
    }
    let up: Vec<_> = board
        .states(at(0))
        .into_iter()
        .filter(|state| state.up)
        .map(|state| state.member.name)
        .collect();
    assert_eq!(up, ["b", "c"]);
    // The only one is ejected: there are others to ask, or a few requests try.
    let (mut alone, at) = self::board(vec![origin("a")]);
    eject(&mut alone, at(0), "a");
    assert!(!alone.states(at(0))[0].up);
    assert_eq!(asks(&mut alone, at(0), VIDEO, &[]).unwrap(), "a");
}

#[test]
fn who_stays_keeps_what_is_known_of_it() {
    let (mut board, at) = board(vec![origin("a"), origin("b")]);
    down(&mut board, at(0), "a");
    let under_way = board.choose(at(0), &of(VIDEO), &[]).unwrap();
    assert_eq!(under_way.name, "b");
    board.set_members(
        at(0),
        vec![origin("c"), origin("a"), origin("a"), shield("b")],
    );
    let states: Vec<_> = board
        .states(at(0))
        .into_iter()
        .map(|state| (state.member.name, state.up, state.under_way))
        .collect();
    // Who comes has to pass a check first.
    let expected = [("b", true, 1), ("c", false, 0), ("a", false, 0)];
    assert_eq!(
        states,
        expected.map(|(name, up, n)| (name.to_owned(), up, n))
    );
    // What ends at one that has left changes nobody.
    board.set_members(at(0), vec![origin("a")]);
    board.answered(at(0), under_way.seat);
    board.leave(under_way.seat);
    assert_eq!(board.states(at(0))[0].under_way, 0);
}

#[test]
fn who_comes_to_others_is_asked_once_a_check_has_passed() {
    let (mut board, at) = board(vec![shield("a"), origin("o")]);
    let now = at(0);
    let all = ["a", "b", "c", "d", "e"];
    let members = all
        .map(shield)
        .into_iter()
        .chain([origin("o"), origin("p")]);
    board.set_members(now, members);
    for n in 0..20 {
        let video = format!("/vod/a/1/720p/{n}.m4s");
        // Nor do those who come make the group weak.
        assert_eq!(asks(&mut board, now, &video, &[]).unwrap(), "a");
    }
    let proven = id(&board, "b");
    let up = board.checked(now, proven, Checked::Passed).unwrap();
    assert_eq!(up.change, Change::Up);
    let mut chosen: Vec<_> = (0..60)
        .filter_map(|n| asks(&mut board, now, &format!("/vod/a/1/720p/{n}.m4s"), &[]))
        .collect();
    chosen.sort();
    chosen.dedup();
    assert_eq!(chosen, ["a", "b"]);
    // Who is nobody's first is still better than nothing.
    for name in ["a", "b", "o"] {
        down(&mut board, now, name);
    }
    assert!(asks(&mut board, now, VIDEO, &[]).is_some());
    // Without checks nobody would ever be up.
    let mut unchecked = Board::new(HealthRules::default(), 50, 1_000, false);
    unchecked.set_members(now, vec![origin("a")]);
    unchecked.set_members(now, vec![origin("a"), origin("b")]);
    assert!(unchecked.states(now).iter().all(|state| state.up));
}

#[test]
fn a_stream_is_asked_of_the_origin_that_has_it() {
    let (mut board, at) = board(vec![origin("a"), origin("b"), origin("c")]);
    let usual = asks(&mut board, at(0), PLAYLIST, &[]).unwrap();
    for name in ["a", "b", "c"] {
        let routes = HashMap::from([("garden".to_owned(), name.to_owned())]);
        board.set_routes(routes);
        for target in [PLAYLIST, HELD, "/live/garden/index.m3u8"] {
            assert_eq!(asks(&mut board, at(0), target, &[]).unwrap(), name);
        }
    }
    // Requests to it failed: nobody else has the stream, so a few try.
    eject(&mut board, at(0), "c");
    assert_eq!(asks(&mut board, at(0), PLAYLIST, &[]).unwrap(), "c");
    assert_ne!(asks(&mut board, at(0), VIDEO, &[]).unwrap(), "c");
    // It is down, or unknown: another may have it.
    down(&mut board, at(0), "c");
    assert_ne!(asks(&mut board, at(0), PLAYLIST, &[]).unwrap(), "c");
    board.set_routes(HashMap::from([(
        "garden".to_owned(),
        "elsewhere".to_owned(),
    )]));
    if usual != "c" {
        assert_eq!(asks(&mut board, at(0), PLAYLIST, &[]).unwrap(), usual);
    }
}

#[test]
fn what_is_held_moves_with_its_stream_or_when_its_member_is_out() {
    let (mut board, at) = board(vec![origin("a"), origin("b")]);
    let routes = |name: &str| HashMap::from([("garden".to_owned(), name.to_owned())]);
    board.set_routes(routes("a"));
    let held = board.choose(at(0), &of(HELD), &[]).unwrap();
    eject(&mut board, at(0), "a");
    assert!(!board.is_misplaced(at(0), &of(HELD), held.seat));
    board.set_routes(routes("b"));
    assert!(board.is_misplaced(at(0), &of(HELD), held.seat));
    // Not to one that is not up.
    down(&mut board, at(0), "b");
    assert!(!board.is_misplaced(at(0), &of(HELD), held.seat));
    down(&mut board, at(0), "a");
    assert!(!board.is_misplaced(at(0), &of(HELD), held.seat));
    board.set_members(at(0), vec![origin("a"), origin("c")]);
    assert!(!board.is_misplaced(at(0), &of(HELD), held.seat));
    let c = id(&board, "c");
    board.checked(at(0), c, Checked::Passed);
    assert!(board.is_misplaced(at(0), &of(HELD), held.seat));
    board.set_members(at(0), vec![origin("c")]);
    assert!(board.is_misplaced(at(0), &of(HELD), held.seat));
}

#[test]
fn a_feed_goes_back_to_a_shield_that_is_up_again() {
    let (mut board, at) = board(vec![shield("s"), origin("o")]);
    down(&mut board, at(0), "s");
    let feed = board.choose(at(0), &of(FEED), &[]).unwrap();
    assert_eq!(feed.name, "o");
    assert!(!board.is_feed_misplaced(at(0), &of(FEED), feed.seat));
    let id = id(&board, "s");
    for _ in 0..2 {
        board.checked(at(1_000), id, Checked::Passed);
    }
    assert!(board.is_feed_misplaced(at(1_000), &of(FEED), feed.seat));
    // What is held will end by itself.
    assert!(!board.is_misplaced(at(1_000), &of(HELD), feed.seat));
    let feed = board.choose(at(1_000), &of(FEED), &[]).unwrap();
    assert_eq!(feed.name, "s");
    assert!(!board.is_feed_misplaced(at(1_000), &of(FEED), feed.seat));
    down(&mut board, at(2_000), "s");
    assert!(board.is_feed_misplaced(at(2_000), &of(FEED), feed.seat));
}

#[test]
fn checks_are_spread_around_their_interval() {
    let (mut board, at) = board(vec![origin("a"), origin("b")]);
    let second = Duration::from_secs(1);
    assert_eq!(board.due(at(0), second).len(), 2);
    assert!(board.due(at(899), second).is_empty());
    assert!(board.next_check().unwrap() >= at(900));
    assert_eq!(board.due(at(1_101), second).len(), 2);
}

#[derive(Debug, Clone)]
enum Step {
    Asks(bool),
    Ends {
        at: prop::sample::Index,
        answered: bool,
    },
    Checked {
        member: u64,
        passed: bool,
    },
    Members(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<bool>().prop_map(Step::Asks),
        4 => (any::<prop::sample::Index>(), any::<bool>())
            .prop_map(|(at, answered)| Step::Ends { at, answered }),
        2 => (1u64..6, any::<bool>())
            .prop_map(|(member, passed)| Step::Checked { member, passed }),
        1 => (1u8..16).prop_map(Step::Members),
    ]
}

proptest! {
    /// Whatever happens, places are given back, a member that is not up has no more
    /// requests than probes, and while one is up somebody is asked.
    #[test]
    fn places_are_bounded_and_given_back(steps in prop::collection::vec((0u64..2_000, step()), 0..200)) {
        let all = ["a", "b", "c", "d"];
        let some = |mask: u8| {
            let chosen = all.iter().enumerate().filter(move |(n, _)| mask & (1 << n) != 0);
            chosen.map(|(_, name)| origin(name)).collect::<Vec<_>>()
        };
        let (mut board, at) = board(some(15));
        let mut now = 0;
        let mut under_way: Vec<Seat> = Vec::new();
        for (millis, step) in steps {
            now += millis;
            let time = at(now);
            match step {
                Step::Asks(held) => {
                    let target = if held { HELD } else { VIDEO };
                    let anybody = board.states(time).iter().any(|state| state.up);
                    let chosen = board.choose(time, &of(target), &[]);
                    prop_assert!(chosen.is_some() || !anybody);
                    under_way.extend(chosen.map(|chosen| chosen.seat));
                }
                Step::Ends { at, answered } if !under_way.is_empty() => {
                    let seat = under_way.swap_remove(at.index(under_way.len()));
                    match answered {
                        true => board.answered(time, seat),
                        false => board.failed(time, seat),
                    };
                    board.leave(seat);
                }
                Step::Ends { .. } => {}
                Step::Checked { member, passed } => {
                    let found = match passed {
                        true => Checked::Passed,
                        false => Checked::Failed,
                    };
                    board.checked(time, member, found);
                }
                Step::Members(mask) => board.set_members(time, some(mask)),
            }
            for entry in &board.entries {
                prop_assert!(entry.probes.iter().all(|&probes| probes <= 3));
                let mine = under_way.iter().filter(|seat| seat.id == entry.id).count();
                prop_assert_eq!(entry.load + entry.held, mine as u64);
            }
        }
        for seat in under_way {
            board.leave(seat);
        }
        for entry in &board.entries {
            prop_assert_eq!((entry.load, entry.held, entry.probes), (0, 0, [0, 0]));
        }
    }
}
