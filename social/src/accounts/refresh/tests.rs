//! The rule by its cases, and in a world of tabs, lost replies, clocks and thieves.

mod world;

use media::{Micros, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use storage::rows::login_sessions::{Decision, Family};

use self::world::{Act, Fate, Request, Rule, World};
use super::{CLOCKS_AGREE_WITHIN, EXCHANGED_AFTER, LOGIN_LASTS, PATIENCE, decide};

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const LATER: Micros = Micros::from_secs(600);

#[test]
fn the_window_is_as_long_as_the_argument_needs() {
    let needed = 2 * (PATIENCE.as_micros() + CLOCKS_AGREE_WITHIN.as_micros());
    assert!(EXCHANGED_AFTER.as_micros() >= needed);
}

#[test]
fn every_fact_has_its_decision() {
    let good = Family {
        expires_at: NOW + LOGIN_LASTS,
        ended_at: None,
        given_at: NOW - EXCHANGED_AFTER,
        used_at: None,
        is_overtaken: false,
    };
    let just = Micros::new(1);
    for (family, decision) in [
        (good, Decision::Rotate),
        (
            Family {
                given_at: good.given_at + just,
                ..good
            },
            Decision::Keep,
        ),
        (
            Family {
                used_at: Some(good.given_at),
                ..good
            },
            Decision::Rotate,
        ),
        (
            Family {
                used_at: Some(good.given_at + just),
                ..good
            },
            Decision::Keep,
        ),
        (
            Family {
                is_overtaken: true,
                given_at: NOW,
                ..good
            },
            Decision::End,
        ),
        (
            Family {
                expires_at: NOW,
                is_overtaken: true,
                ..good
            },
            Decision::Refuse,
        ),
        (
            Family {
                ended_at: Some(NOW),
                ..good
            },
            Decision::Refuse,
        ),
        // Another host's clock is ahead.
        (
            Family {
                given_at: NOW + CLOCKS_AGREE_WITHIN,
                ..good
            },
            Decision::Keep,
        ),
    ] {
        assert_eq!(decide(&family, NOW), decision, "{family:?}");
    }
}

/// S04.
#[test]
fn s04_a_lost_reply_is_forgiven_however_often() {
    let mut world = World::new();
    for _ in 0..5 {
        world.wait(LATER);
        let before = world.kept();
        world.ask(Request::LOST_ON_THE_WAY_BACK);
        world.wait(LATER);
        assert_eq!(world.kept(), before);
    }
    world.ask(Request::AT_ONCE);
    world.wait(LATER);
    world.ask(Request::AT_ONCE);
    world.wait(LATER);
    assert_eq!(world.logged_out(), None);
    assert!(world.is_open());
}

/// S04.
#[test]
fn s04_a_replay_ends_the_family() {
    let mut world = World::new();
    world.thief_steals();
    for _ in 0..2 {
        world.wait(LATER);
        world.ask(Request::AT_ONCE);
    }
    world.wait(Micros::from_millis(1));
    assert!(world.is_open());
    world.thief_shows(0, 0);
    assert!(!world.is_open());
}

/// S04.
#[test]
fn s04_ten_tabs_at_once_are_given_one_token() {
    let mut world = World::new();
    for _ in 0..3 {
        world.wait(LATER);
        let tokens = world.tokens();
        for tab in 0..10 {
            world.ask(Request {
                there: Micros::from_millis(40 * tab),
                back: Micros::from_millis(700 - 60 * tab),
                fate: Fate::Arrives,
                host: 0,
            });
        }
        world.wait(PATIENCE);
        assert_eq!(world.tokens(), tokens + 1);
    }
    assert_eq!(world.logged_out(), None);
}

/// The token that the owner keeps is stolen, and the thief asks all the time: each time is
/// "just now", except the first.
#[test]
fn a_thief_who_asks_all_the_time_does_not_last() {
    for every in [1, 59, 119, 121, 300] {
        let mut world = World::new();
        world.wait(LATER);
        world.thief_steals();
        for _ in 0..3 {
            for _ in 0..(1_200 / every) {
                world.wait(Micros::from_secs(every));
                world.thief_shows(0, 0);
            }
            world.ask(Request::AT_ONCE);
            world.wait(Micros::from_millis(1));
        }
        assert!(!world.is_open(), "every {every} s");
    }
}

fn span() -> impl Strategy<Value = Micros> {
    prop_oneof![
        (0..3_000_i64).prop_map(Micros::from_millis),
        (0..300_i64).prop_map(Micros::from_secs),
        (5..120_i64).prop_map(|minutes| Micros::from_secs(60 * minutes)),
        (1..20_i64).prop_map(|days| Micros::from_secs(24 * 60 * 60 * days)),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let takes = prop_oneof![0..2_000_i64, 0..=PATIENCE.as_micros() / 1_000];
    let fate = prop_oneof![
        4 => Just(Fate::Arrives),
        2 => Just(Fate::ReplyLost),
        1 => Just(Fate::RequestLost),
    ];
    (takes, 0..=1_000_i64, fate, 0..world::HOSTS).prop_map(|(takes, part, fate, host)| {
        let there = takes * part / 1_000;
        Request {
            there: Micros::from_millis(there),
            back: Micros::from_millis(takes - there),
            fate,
            host,
        }
    })
}

fn honest_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        span().prop_map(Act::Wait),
        vec(request(), 1..=10).prop_map(Act::Ask),
    ]
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => honest_act(),
        1 => Just(Act::ThiefSteals),
        2 => (any::<prop::sample::Index>(), 0..world::HOSTS)
            .prop_map(|(token, host)| Act::ThiefShows(token, host)),
    ]
}

/// What the thief does between two refreshes of the owner: after how long, and which token.
fn meanwhile() -> impl Strategy<Value = Vec<(Micros, prop::sample::Index)>> {
    let pause = prop_oneof![0..5_000_i64, 0..150_000_i64].prop_map(Micros::from_millis);
    vec((pause, any::<prop::sample::Index>()), 0..8)
}

fn never_logged_out(mut world: World, acts: Vec<Act>) -> Result<(), TestCaseError> {
    for act in acts {
        world.act(act);
        prop_assert_eq!(world.logged_out(), None);
    }
    world.wait(PATIENCE);
    prop_assert_eq!(world.logged_out(), None);
    Ok(())
}

/// After the last theft the owner refreshes three times.
fn no_thief_survives(
    mut world: World,
    acts: Vec<Act>,
    meanwhile: Vec<Vec<(Micros, prop::sample::Index)>>,
) -> Result<(), TestCaseError> {
    for act in acts {
        world.act(act);
    }
    world.thief_steals();
    world.wait(PATIENCE);
    for shows in meanwhile {
        world.wait(Micros::from_secs(300));
        for (pause, token) in shows {
            world.wait(pause);
            world.act(Act::ThiefShows(token, 0));
        }
        // Whatever the thief is at, the owner comes back.
        world.ask(Request::AT_ONCE);
        world.wait(Micros::from_millis(1));
    }
    for token in 0..world.stolen() {
        for after in [Micros::new(0), EXCHANGED_AFTER] {
            let mut world = world.clone();
            world.wait(after);
            world.thief_shows(token, 0);
            prop_assert!(!world.is_open(), "token {token} of {}", world.stolen());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn s04_an_honest_client_is_never_logged_out(
        skews in world::skews(), acts in vec(honest_act(), 1..40),
    ) {
        never_logged_out(World::with(decide, skews), acts)?;
    }

    #[test]
    fn s04_a_thief_never_survives_the_family(
        skews in world::skews(), acts in vec(any_act(), 1..40), meanwhile in vec(meanwhile(), 3),
    ) {
        no_thief_survives(World::with(decide, skews), acts, meanwhile)?;
    }
}

fn runner() -> TestRunner {
    let config = ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 0,
        ..ProptestConfig::with_cases(20_000)
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// A rule that forgives less than this one logs somebody out, in some world.
#[test]
fn s04_a_rule_that_forgives_less_is_found_out() {
    let rules: [(&str, Rule); 4] = [
        ("a used token ends the login", |family, now| {
            match family.used_at {
                Some(_) => Decision::End,
                None => decide(family, now),
            }
        }),
        ("every token is exchanged", |family, now| {
            match decide(family, now) {
                Decision::Keep => Decision::Rotate,
                other => other,
            }
        }),
        ("young tokens are exchanged", |family, now| {
            let older = Family {
                given_at: family.given_at - EXCHANGED_AFTER,
                ..*family
            };
            decide(&older, now)
        }),
        ("tokens rest for half the time", |family, now| {
            let half = Micros::new(EXCHANGED_AFTER.as_micros() / 2);
            let older = Family {
                given_at: family.given_at - half,
                used_at: family.used_at.map(|at| at - half),
                ..*family
            };
            decide(&older, now)
        }),
    ];
    for (name, rule) in rules {
        let worlds = (world::skews(), vec(honest_act(), 1..40));
        let found = runner().run(&worlds, |(skews, acts)| {
            never_logged_out(World::with(rule, skews), acts)
        });
        assert!(found.is_err(), "{name}");
    }
}

/// A rule that forgives more lets a thief survive.
#[test]
fn s04_a_rule_that_forgives_more_is_found_out() {
    let rules: [(&str, Rule); 2] = [
        (
            "an overtaken token is refused",
            |family, now| match decide(family, now) {
                Decision::End => Decision::Refuse,
                other => other,
            },
        ),
        ("nothing is overtaken", |family, now| {
            let forgiven = Family {
                is_overtaken: false,
                ..*family
            };
            decide(&forgiven, now)
        }),
    ];
    for (name, rule) in rules {
        let worlds = (world::skews(), vec(any_act(), 1..40), vec(meanwhile(), 3));
        let found = runner().run(&worlds, |(skews, acts, meanwhile)| {
            no_thief_survives(World::with(rule, skews), acts, meanwhile)
        });
        assert!(found.is_err(), "{name}");
    }
}
