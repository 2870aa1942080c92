//! The demo's chat, which moves while the demo runs.

use std::time::Duration;

use social::model::SendChatInput;
use social::{ServiceError, Services};

use super::NAME;
use super::chance::Chance;
use super::filling::{People, patiently};

/// Lines that were said before anybody came.
pub(super) const OPENING: usize = 9;

/// Seconds between two lines, at least,
const SHORTEST: u32 = 3;
/// and at most.
const LONGEST: u32 = 15;

/// What somebody says.
#[derive(Debug, Clone, Copy)]
struct Line {
    author: &'static str,
    text: &'static str,
    /// How many lines before it stands what it answers.
    answers: Option<usize>,
}

const fn says(author: &'static str, text: &'static str) -> Line {
    Line {
        author,
        text,
        answers: None,
    }
}

const fn answers(back: usize, author: &'static str, text: &'static str) -> Line {
    Line {
        answers: Some(back),
        ..says(author, text)
    }
}

/// What is said, over and over.
static SCRIPT: &[Line] = &[
    says("mira", "Evening all. Is the clock right tonight?"),
    answers(1, "tomek", "To the frame. I checked against my watch."),
    says("jonas", "The beep sounds a little brighter than yesterday."),
    answers(1, "kofi", "That is your new speaker."),
    says("jonas", "Possible."),
    says(
        "lupe",
        "Hello from the bakery! Ten minutes until the loaves come out.",
    ),
    answers(1, "mira", "Which ones?"),
    answers(1, "lupe", "Rye with walnuts."),
    says("kofi", "Now I am hungry."),
    says(
        "noor",
        "Clouds here. So I watch a test picture instead of Saturn.",
    ),
    answers(1, "ines", "It has rings too, in the corner, if you squint."),
    says("noor", "True!"),
    says(
        "pavel",
        "Just came in from the workshop. Did I miss something?",
    ),
    answers(
        1,
        "tomek",
        "Eleven minutes and forty seconds, it says so on the picture.",
    ),
    says("pavel", "I shall never catch up."),
    says(
        "yuki",
        "I am trying to paint the colour bars. The green dries too dark.",
    ),
    answers(1, "mira", "Then it is just like grass."),
    says("yuki", "You are very kind, @mira."),
    says(
        "jonas",
        "Question for @demo: how far is the picture behind, for you?",
    ),
    answers(
        1,
        "tomek",
        "Hold a clock beside the screen and take a photo. I get about two seconds.",
    ),
    says(
        "kofi",
        "Two seconds is one bar and a bit. I can work with that.",
    ),
    says(
        "ines",
        "Tide is out. I am off to count, with the stream in one ear.",
    ),
    answers(1, "lupe", "Take a jacket!"),
    says("lupe", "The loaves are out. They sing."),
    answers(1, "kofi", "In which key?"),
    answers(1, "lupe", "Crackling, in C."),
    says("noor", "A gap in the clouds! Back in a moment."),
    says(
        "pavel",
        "The quality menu is worth a look, by the way. The smallest one still has the clock.",
    ),
    answers(1, "jonas", "On the train that is all I get, and it holds."),
    says("mira", "Somebody should put this on a wall."),
    answers(1, "yuki", "Somebody is painting it, slowly."),
    says("noor", "Clouds again. Good that this picture never sets."),
    says(
        "tomek",
        "Good night, everybody. See you at the same beep tomorrow.",
    ),
    answers(1, "mira", "Good night, @tomek!"),
    says("kofi", "Night. Keep the time, @demo."),
];

/// What was said before anybody came. It is said once, however often this is done.
pub(super) async fn open(services: &Services, people: &People) -> Result<(), ServiceError> {
    let mut said = Said::nothing();
    for at in 0..OPENING {
        said.say(services, people, at, Some(&format!("demo-{at}")))
            .await?;
    }
    Ok(())
}

/// Has people talk on, for as long as this is waited for.
pub(super) async fn go_on(services: &Services, people: &People) {
    let (mut said, mut chance) = (Said::nothing(), Chance::of("pauses"));
    for at in (OPENING..).map(|at| at % SCRIPT.len()) {
        let seconds = SHORTEST + chance.below(LONGEST - SHORTEST + 1);
        tokio::time::sleep(Duration::from_secs(seconds.into())).await;
        match said.say(services, people, at, None).await {
            Ok(()) => {}
            // A visitor looks after the room.
            Err(
                error @ (ServiceError::ChatBanned
                | ServiceError::ChatTimedOut { .. }
                | ServiceError::FollowersOnly
                | ServiceError::SlowMode { .. }
                | ServiceError::NotFound(_)),
            ) => tracing::debug!(%error, "somebody in the demo's chat says nothing"),
            Err(error) => tracing::warn!(%error, "nobody talks in the demo's chat"),
        }
    }
}

/// The ids of the messages that the lines have become, as far as they have.
struct Said(Vec<Option<String>>);

impl Said {
    fn nothing() -> Self {
        Self(vec![None; SCRIPT.len()])
    }

    /// Says a line, if whoever says it is there.
    async fn say(
        &mut self,
        services: &Services,
        people: &People,
        at: usize,
        key: Option<&str>,
    ) -> Result<(), ServiceError> {
        let Line {
            author,
            text,
            answers,
        } = SCRIPT[at];
        let Some(caller) = people.find(author) else {
            return Ok(());
        };
        let answered = answers.and_then(|back| at.checked_sub(back));
        let input = SendChatInput {
            text: text.to_owned(),
            reply_to: answered.and_then(|at| self.0[at].clone()).map(Into::into),
            media_time: None,
        };
        let say = || services.send_chat_message(caller, NAME, input.clone(), key);
        self.0[at] = Some(patiently(say).await?.id.to_string());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::people::PEOPLE;
    use super::*;

    #[test]
    fn people_answer_what_was_said_before() {
        assert!(OPENING < SCRIPT.len());
        for (at, line) in SCRIPT.iter().enumerate() {
            let is_there = PEOPLE.iter().any(|one| one.name == line.author);
            assert!(is_there, "{}", line.author);
            assert!(line.answers.is_none_or(|back| (1..=at).contains(&back)));
        }
    }
}
