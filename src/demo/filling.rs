//! Fills the demo's world, by the operations that everybody has: what holds for people holds here.
//!
//! Whatever is there already is left as it is, so that a filling that was cut off is gone on with.

use std::collections::HashMap;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use image::ImageResult;
use media::Clock;
use social::accounts::{self, NewUser, Password};
use social::caller::{Caller, Identity, LoginSessionId};
use social::model::{
    CreatePostInput, CreateStreamInput, EditPostInput, Link, ReportInput, ReportReason,
    SanctionInput, StreamVisibility, UpdateProfileInput, UpdateStreamInput,
};
use social::paging::{MAX_FIRST, PageRequest};
use social::{ServiceError, Services};
use storage::Database;
use storage::rows::users::{self, UserRow};
use tokio_util::sync::CancellationToken;

use super::drawing;
use super::folder::{self, State};
use super::people::{Inhabitant, MUTED, PEOPLE, SPAMMER};
use super::posts::{SAYINGS, SPAM, Saying};
use super::{ADMINISTRATOR, NAME, chat};

/// What the demo's stream is called.
const TITLE: &str = "The test picture, day and night";
const DESCRIPTION: &str = "A clock, a beep, and everything else that a camera and a microphone \
    would bring. Publish with the key `demo`, and you are what plays here. #live";

/// How often something is tried that the server is too busy for.
const TRIES: u32 = 30;
/// The pause between two tries.
const RETRY: Duration = Duration::from_secs(1);

/// Random bytes of a password that nobody knows.
const UNKNOWN: usize = 24;

/// What keeps the world from being filled.
pub(super) type Fault = Box<dyn Error + Send + Sync>;

/// What the world is made in.
#[derive(Debug)]
pub(super) struct World {
    pub(super) services: Services,
    pub(super) database: Database,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) data_dir: PathBuf,
    pub(super) state: State,
}

/// Who is there, each as they ask.
pub(super) struct People(HashMap<&'static str, Caller>);

impl People {
    /// Somebody, as long as they have an account.
    pub(super) fn find(&self, name: &str) -> Option<&Caller> {
        self.0.get(name)
    }

    fn named(&self, name: &str) -> Result<&Caller, Fault> {
        let found = self.find(name);
        found.ok_or_else(|| format!("there is no {name}").into())
    }
}

impl World {
    /// Fills what is to be filled, and has people talk until `shutdown`.
    pub(super) async fn live(self, shutdown: CancellationToken) {
        let all = async {
            match self.people().await {
                Ok(people) => chat::go_on(&self.services, &people).await,
                Err(error) => tracing::error!(
                    error = &*error as &dyn Error,
                    "the demo's world is not whole: the next start goes on with it"
                ),
            }
        };
        shutdown.run_until_cancelled(all).await;
    }

    /// Everybody, with all that there is to be.
    async fn people(&self) -> Result<People, Fault> {
        if self.state == State::Filled {
            // Who has left, has left.
            return self.who_is_there().await;
        }
        let people = self.make_people().await?;
        for one in PEOPLE {
            self.introduce(one, people.named(one.name)?).await?;
        }
        self.connect(&people).await?;
        self.make_streams(&people).await?;
        let written = self.write(&people).await?;
        self.report(&people, &written).await?;
        chat::open(&self.services, &people).await?;
        self.part(&people).await?;
        folder::note(&self.data_dir, State::Filled).await?;
        tracing::info!(people = PEOPLE.len(), "the demo's world is filled");
        Ok(people)
    }

    async fn who_is_there(&self) -> Result<People, Fault> {
        let names: Vec<_> = PEOPLE.iter().map(|one| one.name.to_owned()).collect();
        let rows = users::by_names(&self.database, &names).await?;
        let there = PEOPLE.iter().filter_map(|one| {
            let row = rows.iter().find(|row| row.name == one.name)?;
            row.is_active().then(|| (one.name, caller(row)))
        });
        Ok(People(there.collect()))
    }

    async fn make_people(&self) -> Result<People, Fault> {
        let mut people = HashMap::new();
        for one in PEOPLE {
            let row = match users::find_by_name(&self.database, one.name).await? {
                Some(row) => row,
                None => {
                    let new = NewUser {
                        name: one.name.parse()?,
                        email: super::address(one.name).parse()?,
                        password: password(one)?,
                        is_admin: one.is_admin,
                    };
                    accounts::create_user(&self.database, self.clock.as_ref(), new).await?
                }
            };
            people.insert(one.name, caller(&row));
        }
        Ok(People(people))
    }

    /// What somebody shows of themselves.
    async fn introduce(&self, one: &'static Inhabitant, caller: &Caller) -> Result<(), Fault> {
        let link = one.link.map(|(label, url)| Link {
            label: label.to_owned(),
            url: url.to_owned(),
        });
        let profile = UpdateProfileInput {
            display_name: Some(one.display_name.to_owned()),
            bio: Some(one.bio.to_owned()),
            links: Some(link.into_iter().collect()),
            is_private: Some(one.is_private),
        };
        patiently(|| self.services.update_profile(caller, profile.clone())).await?;
        let picture = drawn(|| drawing::portrait(one.name)).await?;
        patiently(|| self.services.set_whole_avatar(caller, picture.clone())).await?;
        Ok(())
    }

    /// Who follows whom.
    async fn connect(&self, people: &People) -> Result<(), Fault> {
        for one in PEOPLE {
            let caller = people.named(one.name)?;
            for name in one.follows {
                patiently(|| self.services.follow(caller, name)).await?;
            }
        }
        for one in PEOPLE {
            let caller = people.named(one.name)?;
            for name in one.accepts {
                match patiently(|| self.services.accept_follow(caller, name)).await {
                    // Let in by a filling that was cut off.
                    Ok(()) | Err(ServiceError::NotFound(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    async fn make_streams(&self, people: &People) -> Result<(), Fault> {
        let owner = people.named(NAME)?;
        let said = UpdateStreamInput {
            title: Some(TITLE.to_owned()),
            description: Some(DESCRIPTION.to_owned()),
            visibility: None,
            takeover: None,
            recording: None,
            delete_recordings: false,
            ladder: None,
            post_when_live: None,
        };
        patiently(|| self.services.update_stream(owner, NAME, said.clone())).await?;
        for (owner, name, title, visibility) in [
            (
                "mira",
                "rooftop",
                "Saturdays on the roof",
                StreamVisibility::Public,
            ),
            (
                "noor",
                "balcony",
                "Whatever the clouds leave",
                StreamVisibility::Followers,
            ),
            (
                "pavel",
                "workbench",
                "A camera that I still have to focus",
                StreamVisibility::Private,
            ),
        ] {
            let owner = people.named(owner)?;
            match patiently(|| self.services.get_stream(owner, name)).await {
                Ok(_) => continue,
                Err(ServiceError::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
            let new = CreateStreamInput {
                name: name.to_owned(),
                title: Some(title.to_owned()),
                description: None,
                visibility: Some(visibility),
                takeover: None,
                recording: None,
                ladder: None,
                post_when_live: None,
            };
            patiently(|| self.services.create_stream(owner, new.clone(), None)).await?;
        }
        Ok(())
    }

    /// Posts, comments and quotes, and what others make of them. The ids, by their keys.
    async fn write(&self, people: &People) -> Result<HashMap<&'static str, String>, Fault> {
        let mut there = HashMap::new();
        for one in PEOPLE {
            there.insert(one.name, self.written_by(people, one.name).await?);
        }
        let mut written = HashMap::new();
        for saying in SAYINGS {
            let known = there.get(saying.author);
            let find = |text: &str| known.and_then(|known| known.get(text).cloned());
            let id = match find(saying.text) {
                Some(id) => id,
                None => match saying.edited.and_then(find) {
                    Some(id) => id,
                    None => self.say(people, saying, &written).await?,
                },
            };
            if saying.edited.is_none_or(|text| find(text).is_none()) {
                self.edit(people, saying, &id).await?;
            }
            for name in saying.likes {
                let caller = people.named(name)?;
                patiently(|| self.services.like_post(caller, &id)).await?;
            }
            for name in saying.shares {
                let caller = people.named(name)?;
                patiently(|| self.services.share_post(caller, &id)).await?;
            }
            written.insert(saying.key, id);
        }
        Ok(written)
    }

    /// The ids of what somebody has written, by their texts.
    async fn written_by(
        &self,
        people: &People,
        name: &str,
    ) -> Result<HashMap<String, String>, Fault> {
        let (caller, mut after) = (people.named(name)?, None);
        let mut written = HashMap::new();
        loop {
            let page = PageRequest::new(Some(MAX_FIRST.into()), after.as_deref())?;
            let list = || self.services.list_user_posts(caller, name, true, page);
            let page = patiently(list).await?;
            let posts = page.items.iter().map(|(_, post)| post);
            written.extend(posts.map(|post| (post.text().to_owned(), post.id().to_string())));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(written),
            }
        }
    }

    async fn say(
        &self,
        people: &People,
        saying: &Saying,
        written: &HashMap<&'static str, String>,
    ) -> Result<String, Fault> {
        let caller = people.named(saying.author)?;
        let id = |key: Option<&'static str>| match key {
            Some(key) => match written.get(key) {
                Some(id) => Ok(Some(id.clone().into())),
                None => Err(Fault::from(format!("{key:?} is not written yet"))),
            },
            None => Ok(None),
        };
        let mut images = Vec::new();
        if let Some((motif, description)) = saying.picture {
            let picture = drawn(move || drawing::scene(motif)).await?;
            let send = || {
                self.services
                    .upload_whole_image(caller, description, picture.clone())
            };
            images.push(patiently(send).await?.id);
        }
        let input = CreatePostInput {
            text: saying.text.to_owned(),
            visibility: saying.visibility,
            reply_to: id(saying.reply_to)?,
            quote: id(saying.quote)?,
            stream: saying.stream.map(str::to_owned),
            images,
            video: None,
        };
        let post = patiently(|| self.services.create_post(caller, input.clone(), None)).await?;
        Ok(post.id().to_string())
    }

    async fn edit(&self, people: &People, saying: &Saying, id: &str) -> Result<(), Fault> {
        let Some(text) = saying.edited else {
            return Ok(());
        };
        let caller = people.named(saying.author)?;
        let edit = EditPostInput {
            text: text.to_owned(),
            revision: 0,
        };
        patiently(|| self.services.edit_post(caller, id, edit.clone())).await?;
        Ok(())
    }

    /// What moderators are told, and what came of some of it.
    async fn report(
        &self,
        people: &People,
        written: &HashMap<&'static str, String>,
    ) -> Result<(), Fault> {
        let spam = written.get(SPAM).ok_or("nothing is to be reported")?;
        let mut first = None;
        for (at, (reporter, post, comment)) in [
            (
                "mira",
                Some(spam),
                "The third time this week, under every hashtag.",
            ),
            (NAME, Some(spam), "These are not the followers I want."),
            ("lupe", None, "Follows everybody, says nothing."),
        ]
        .into_iter()
        .enumerate()
        {
            let caller = people.named(reporter)?;
            let report = ReportInput {
                user: SPAMMER.to_owned(),
                reason: ReportReason::Spam,
                comment: comment.to_owned(),
                post: post.map(|id| id.clone().into()),
            };
            // Under a key it is told once.
            let key = format!("demo-{at}");
            let tell = || self.services.report(caller, report.clone(), Some(&key));
            let made = patiently(tell).await?;
            first.get_or_insert(made.id.to_string());
        }
        let administrator = people.named(ADMINISTRATOR)?;
        let id = first.unwrap_or_default();
        let words = "Warned. The next one ends the account.";
        let resolve = || self.services.resolve_report(administrator, &id, words);
        match patiently(resolve).await {
            // Resolved by a filling that was cut off.
            Ok(_) | Err(ServiceError::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whom people do not want to hear. The last of all: who is blocked does nothing any more.
    async fn part(&self, people: &People) -> Result<(), Fault> {
        let owner = people.named(NAME)?;
        let ban = SanctionInput { seconds: None };
        let keep_out = || self.services.sanction_in_chat(owner, NAME, SPAMMER, ban);
        patiently(keep_out).await?;
        patiently(|| self.services.mute(owner, MUTED)).await?;
        patiently(|| self.services.block(owner, SPAMMER)).await?;
        Ok(())
    }
}

/// Somebody who asks from this machine.
fn caller(row: &UserRow) -> Caller {
    let identity = Identity::Session {
        user: row.id,
        session: LoginSessionId::new(),
        role: row.role.into(),
    };
    Caller::anonymous(IpAddr::V4(Ipv4Addr::LOCALHOST), "nova --demo").with_identity(identity)
}

fn password(one: &Inhabitant) -> Result<Password, Fault> {
    if let Some(password) = one.password {
        return Ok(password.parse()?);
    }
    let mut bytes = [0_u8; UNKNOWN];
    getrandom::fill(&mut bytes)?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(text.parse()?)
}

/// A picture, drawn where that keeps nobody waiting.
async fn drawn(draw: impl FnOnce() -> ImageResult<Bytes> + Send + 'static) -> Result<Bytes, Fault> {
    Ok(tokio::task::spawn_blocking(draw).await??)
}

/// Asks again when the limits say when, which an operator may have set low, and a while when the
/// server is busy.
pub(super) async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, ServiceError>
where
    F: Future<Output = Result<T, ServiceError>>,
{
    let mut tries = 0;
    loop {
        let refused = match Box::pin(ask()).await {
            Ok(done) => return Ok(done),
            Err(refused) => refused,
        };
        let pause = match &refused {
            ServiceError::RateLimited { after, .. } => *after,
            ServiceError::Busy if tries < TRIES => {
                tries += 1;
                RETRY
            }
            _ => return Err(refused),
        };
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_waited_for_and_a_server_that_stays_busy_is_not() {
        let asked = AtomicU32::new(0);
        let limited = || async {
            match asked.fetch_add(1, Ordering::Relaxed) {
                0..2 => Err(ServiceError::RateLimited {
                    limit: "posts",
                    after: Duration::from_secs(3_600),
                }),
                _ => Ok(()),
            }
        };
        patiently(limited).await.unwrap();
        assert_eq!(asked.swap(0, Ordering::Relaxed), 3);
        let busy = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(ServiceError::Busy)
        };
        assert!(matches!(patiently(busy).await, Err(ServiceError::Busy)));
        assert_eq!(asked.load(Ordering::Relaxed), TRIES + 1);
    }
}
