//! What the demo's people write.

use social::model::Visibility;

use super::drawing::Motif;
use super::people::SPAMMER;
use super::{ADMINISTRATOR, NAME};

/// A post, a comment or a quote, and what others make of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Saying {
    /// What it is called here; empty: nobody refers to it.
    pub(super) key: &'static str,
    pub(super) author: &'static str,
    pub(super) text: &'static str,
    /// What it says after an edit.
    pub(super) edited: Option<&'static str>,
    pub(super) visibility: Visibility,
    pub(super) reply_to: Option<&'static str>,
    pub(super) quote: Option<&'static str>,
    /// The stream that it shows.
    pub(super) stream: Option<&'static str>,
    /// A picture, and what is seen on it.
    pub(super) picture: Option<(Motif, &'static str)>,
    pub(super) likes: &'static [&'static str],
    pub(super) shares: &'static [&'static str],
}

const fn post(key: &'static str, author: &'static str, text: &'static str) -> Saying {
    Saying {
        key,
        author,
        text,
        edited: None,
        visibility: Visibility::Public,
        reply_to: None,
        quote: None,
        stream: None,
        picture: None,
        likes: &[],
        shares: &[],
    }
}

const fn comment(on: &'static str, author: &'static str, text: &'static str) -> Saying {
    Saying {
        reply_to: Some(on),
        ..post("", author, text)
    }
}

impl Saying {
    const fn called(self, key: &'static str) -> Self {
        Self { key, ..self }
    }

    const fn edited(self, text: &'static str) -> Self {
        Self {
            edited: Some(text),
            ..self
        }
    }

    const fn for_followers(self) -> Self {
        Self {
            visibility: Visibility::Followers,
            ..self
        }
    }

    const fn quoting(self, quote: &'static str) -> Self {
        Self {
            quote: Some(quote),
            ..self
        }
    }

    const fn with_stream(self, stream: &'static str) -> Self {
        Self {
            stream: Some(stream),
            ..self
        }
    }

    const fn with_picture(self, motif: Motif, description: &'static str) -> Self {
        Self {
            picture: Some((motif, description)),
            ..self
        }
    }

    const fn liked(self, likes: &'static [&'static str]) -> Self {
        Self { likes, ..self }
    }

    const fn shared(self, shares: &'static [&'static str]) -> Self {
        Self { shares, ..self }
    }
}

/// The post that is reported.
pub(super) const SPAM: &str = "spam";

/// In the order in which it was written: what is answered, quoted or shared comes before.
pub(super) static SAYINGS: &[Saying] = &[
    post(
        "beans",
        "mira",
        "First beans of the year, three weeks early. The roof is warmer than the forecast. #gardening #rooftop",
    )
    .with_picture(Motif::Garden, "Green hills with many small flowers under a pale sky")
    .liked(&[NAME, "pavel", "lupe", "ines", "yuki", "noor"])
    .shared(&["pavel"]),
    comment("beans", "pavel", "Mine have not even noticed that it is spring. What is your secret?")
        .called("secret"),
    comment("secret", "mira", "Black buckets full of water along the wall, @pavel. They give the heat back at night. #gardening")
        .liked(&["pavel", NAME]),
    comment("beans", "ines", "Jealous from the tide line, where nothing grows but limpets."),
    post(
        "welcome",
        NAME,
        "The test picture is on again, with its clock and its beep. Chat is open, @mira and @jonas are there most evenings. #live",
    )
    .with_stream(NAME)
    .liked(&["mira", "jonas", "kofi", "tomek", "lupe"])
    .shared(&["jonas", "tomek"]),
    comment("welcome", "jonas", "Best show on here. I set my oscilloscope by it. #live")
        .liked(&[NAME, "kofi"]),
    comment("welcome", "tomek", "Is the beep really at 1 kHz, @demo? My old monitor wants to know.")
        .called("beep"),
    comment("beep", NAME, "To the hertz, @tomek. Ask @jonas, he has measured it."),
    post(
        "loaf",
        "lupe",
        "Rule of the day: if the dough sticks to everything, including the cat, it needs another hour. #baking #sourdough",
    )
    .liked(&["mira", "kofi", NAME, "pavel", "sam"]),
    comment("loaf", "kofi", "And the cat?"),
    comment("loaf", "lupe", "Also another hour. #baking"),
    post(
        "filter",
        "jonas",
        "The filter from the dead organ works. It howls like a dog at a fire engine, and I could not be happier. #synths #repair",
    )
    .liked(&["kofi", "tomek", NAME])
    .shared(&["kofi"]),
    comment("filter", "kofi", "Bring it on Sunday, I have brushes and a patient neighbour. #synths"),
    post(
        "moon",
        "noor",
        "Forty minutes of clear sky, and the crescent came out like this. Stream from the balcony tonight for those who follow me. #astronomy",
    )
    .with_picture(Motif::Night, "A thin crescent moon among stars")
    .liked(&[NAME, "yuki", "tomek", "mira", "ines", ADMINISTRATOR])
    .shared(&["yuki", "ines"]),
    comment("moon", "yuki", "May I paint from this one? #watercolour"),
    comment("moon", "noor", "Of course, @yuki! Show it to us when it is dry."),
    post(
        "painted",
        "yuki",
        "Painted after a picture by @noor, from memory and with too much water. #watercolour #astronomy",
    )
    .quoting("moon")
    .with_picture(Motif::Watercolour, "Washes of blue and violet that run into each other")
    .liked(&["noor", "ines", "greta", NAME]),
    post(
        "keyboard",
        "tomek",
        "Found the fault: one key of 73, one spring, eleven hours. The machine says READY again. #repair #retrocomputing",
    )
    .liked(&["jonas", "noor", NAME, "pavel"]),
    comment("keyboard", "jonas", "Eleven hours is nothing for the right spring. #repair"),
    post(
        "spoons",
        "pavel",
        "The workshop is full of spoons nobody asked for. Come and take one. #woodwork",
    )
    .edited("The workshop is full of spoons that nobody asked for. Come on Friday and take one, or two. #woodwork")
    .liked(&["mira", "tomek", "jonas"]),
    post(
        "tide",
        "ines",
        "Low tide at 19:40, sun going down behind the pier. Count of the day: 412 limpets, 3 walkers, 1 lost shoe. #sea",
    )
    .with_picture(Motif::Sea, "The sun going down over a calm sea")
    .liked(&["yuki", "noor", "sam", "mira", NAME]),
    comment("tide", "sam", "The shoe is mine, I fear."),
    post(
        "hill",
        "sam",
        "1,204 m of climbing before breakfast, for one roll at the top. It was worth every metre. #cycling",
    )
    .liked(&["lupe", "ines"]),
    post(
        "brushes",
        "kofi",
        "Sunday session: brushes, one organ filter that howls, and bread by @lupe in the break. @demo, do you lend us the clock for the tempo? #synths #jazz",
    )
    .liked(&["jonas", "lupe", NAME]),
    comment("brushes", NAME, "60 to the minute, take it or leave it."),
    post(
        "planter",
        "mira",
        "Look at what @pavel made for the roof: a planter without a single screw. #gardening #woodwork",
    )
    .quoting("spoons")
    .liked(&["pavel", NAME, "lupe"]),
    post(
        "thanks",
        "jonas",
        "For everybody who asks how the test picture is made: @demo told us all of it last night, from the clock to the beep. #live",
    )
    .quoting("welcome")
    .liked(&[NAME, "tomek"]),
    post(
        "kept",
        NAME,
        "For those who follow me: next week there is a second picture, with a bouncing ball. Do not tell anybody.",
    )
    .for_followers()
    .liked(&["mira", "jonas"]),
    post("roof", "mira", "Roof door is open from six, for those of you who know where it is.")
        .for_followers(),
    post("poem", "greta", "The lamp outside\nhas learned my window\nby heart.")
        .liked(&["ines", NAME]),
    post(
        SPAM,
        SPAMMER,
        "WATCHES!!! BAGS!!! 90 % OFF!!! Only today: https://example.com/deals #gardening #live #astronomy",
    ),
    comment("welcome", SPAMMER, "CHEAP FOLLOWERS!!! https://example.com/followers"),
    post(
        "rules",
        ADMINISTRATOR,
        "Maintenance is on Sunday at five in the morning, for ten minutes. @lupe, you are the only one who will notice.",
    )
    .for_followers(),
];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::people::PEOPLE;
    use super::*;

    #[test]
    fn what_is_written_fits_together() {
        let names: BTreeSet<_> = PEOPLE.iter().map(|one| one.name).collect();
        let mut before = BTreeSet::new();
        let mut texts = BTreeMap::new();
        for saying in SAYINGS {
            let Saying { key, author, .. } = *saying;
            for name in [author].iter().chain(saying.likes).chain(saying.shares) {
                assert!(names.contains(name), "{name}");
            }
            for other in saying.reply_to.iter().chain(&saying.quote) {
                assert!(before.contains(other), "{other}");
            }
            for text in [Some(saying.text), saying.edited].into_iter().flatten() {
                // What is there already is found by its text.
                assert_eq!(texts.insert((author, text), ()), None, "{text}");
            }
            assert!(key.is_empty() || before.insert(key), "{key}");
        }
        assert!(before.contains(SPAM));
    }
}
