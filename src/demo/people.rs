//! Who lives in the demo's world, and what is between them.

use super::{ADMINISTRATOR, ADMINISTRATOR_PASSWORD, NAME, PASSWORD};

/// Somebody.
#[derive(Debug)]
pub(super) struct Inhabitant {
    pub(super) name: &'static str,
    pub(super) display_name: &'static str,
    pub(super) bio: &'static str,
    /// Label and address.
    pub(super) link: Option<(&'static str, &'static str)>,
    pub(super) is_private: bool,
    pub(super) is_admin: bool,
    /// Of whom a visitor may log in as. Nobody knows the others'.
    pub(super) password: Option<&'static str>,
    /// Whom they follow, or ask to.
    pub(super) follows: &'static [&'static str],
    /// Of those who ask to follow them, whom they let.
    pub(super) accepts: &'static [&'static str],
}

const fn somebody(
    name: &'static str,
    display_name: &'static str,
    bio: &'static str,
    follows: &'static [&'static str],
) -> Inhabitant {
    Inhabitant {
        name,
        display_name,
        bio,
        link: None,
        is_private: false,
        is_admin: false,
        password: None,
        follows,
        accepts: &[],
    }
}

/// Who reports, and is reported for, what they write.
pub(super) const SPAMMER: &str = "dealsdaily";
/// Whom the visitor's account does not want to read.
pub(super) const MUTED: &str = "sam";

/// Everybody. Whoever follows comes behind nobody: all are made before that.
pub(super) static PEOPLE: &[Inhabitant] = &[
    Inhabitant {
        link: Some(("My stream", "http://localhost:8080/watch/demo")),
        password: Some(PASSWORD),
        ..somebody(
            NAME,
            "Robin Quist",
            "I keep the test picture running, day and night. Come in and say hello in the chat!",
            &["mira", "jonas", "lupe", "noor", "kofi", "pavel", "greta"],
        )
    },
    Inhabitant {
        is_private: true,
        is_admin: true,
        password: Some(ADMINISTRATOR_PASSWORD),
        ..somebody(
            ADMINISTRATOR,
            "Alex Brandt",
            "Looks after this place. Report what should not be here, and I will have a look.",
            &[NAME, "mira", "ines", "noor"],
        )
    },
    Inhabitant {
        link: Some(("Seed swap", "https://example.org/seed-swap")),
        ..somebody(
            "mira",
            "Mira Okafor",
            "Forty square metres of roof, eleven kinds of tomatoes. Streams on Saturdays.",
            &[NAME, "noor", "pavel", "lupe", "ines", "yuki"],
        )
    },
    somebody(
        "jonas",
        "Jonas Feld",
        "Builds synthesizers from what others throw away.",
        &[NAME, "kofi", "tomek", "mira"],
    ),
    somebody(
        "lupe",
        "Lupe Marín",
        "Sourdough, mostly. Sometimes cake. Up at four.",
        &[NAME, "mira", "pavel", "kofi", ADMINISTRATOR],
    ),
    somebody(
        "tomek",
        "Tomek",
        "Repairs home computers that are older than I am.",
        &[NAME, "jonas", "noor", ADMINISTRATOR],
    ),
    Inhabitant {
        link: Some(("Sketchbook", "https://example.org/yuki")),
        ..somebody(
            "yuki",
            "Yuki Tan",
            "Watercolours of places that are about to change.",
            &["mira", "ines", "greta", NAME],
        )
    },
    somebody(
        MUTED,
        "Sam Rivers",
        "Every hill within a day's ride. Twice.",
        &[NAME, "lupe", "ines"],
    ),
    somebody(
        "noor",
        "Noor Haddad",
        "Telescope on the balcony, patience in the fridge. Clear skies!",
        &[NAME, "yuki", "tomek", "mira", "ines"],
    ),
    somebody(
        "pavel",
        "Pavel Dvořák",
        "Hand tools, green wood, no hurry.",
        &["mira", NAME, "tomek", "jonas"],
    ),
    Inhabitant {
        link: Some(("Tide tables", "https://example.org/tides")),
        ..somebody(
            "ines",
            "Inês Costa",
            "Marine biologist. I count limpets so that you need not.",
            &["noor", "yuki", MUTED, NAME, "greta"],
        )
    },
    somebody(
        "kofi",
        "Kofi Mensah",
        "Drums. Brushes on Sundays.",
        &["jonas", NAME, "lupe"],
    ),
    Inhabitant {
        is_private: true,
        accepts: &[NAME, "ines"],
        ..somebody(
            "greta",
            "Greta Lind",
            "Short poems for few people.",
            &["yuki", "ines", NAME],
        )
    },
    somebody(
        SPAMMER,
        "DAILY DEALS",
        "Best prices!!! Every day!!!",
        &["lupe", "jonas"],
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn people_follow_others_who_are_there() {
        let names: BTreeSet<_> = PEOPLE.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), PEOPLE.len());
        for one in PEOPLE {
            for name in one.follows.iter().chain(one.accepts) {
                assert!(names.contains(name) && *name != one.name, "{name}");
            }
            for asks in one.accepts {
                let asking = PEOPLE.iter().find(|other| other.name == *asks).unwrap();
                assert!(one.is_private && asking.follows.contains(&one.name));
            }
        }
        // Somebody waits for an answer of the administrator.
        let waiting = PEOPLE
            .iter()
            .filter(|one| one.follows.contains(&ADMINISTRATOR));
        assert_eq!(waiting.count(), 2);
    }
}
