//! Posts with all that is shown of them: whatever page they are on, a bounded number of queries.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use media::{PostId, StreamId, UserId};
use storage::rows::posts::{self, PostRow};
use storage::rows::users::UserRow;
use storage::rows::{likes, post_counts, streams, users};

use super::SeenPost;
use super::text::{Kind, pieces};
use crate::caller::Caller;
use crate::model::{
    Image, Part, Person, Post, PostCounts, PostStream, PostVideo, PostViewer, Quote,
};
use crate::people::{avatar_url, shown_name};
use crate::{ServiceError, Services};

/// What is shown of posts beside their rows.
struct Facts {
    posts: HashMap<PostId, SeenPost>,
    people: HashMap<UserId, UserRow>,
    mentions: HashMap<PostId, Vec<String>>,
    counts: HashMap<PostId, PostCounts>,
    viewed: HashMap<PostId, PostViewer>,
    streams: HashMap<StreamId, PostStream>,
    images: HashMap<PostId, Vec<Image>>,
    videos: HashMap<PostId, PostVideo>,
}

impl Services {
    /// These posts, with all that is shown of them to whoever asks, in their order.
    pub async fn show_posts(
        &self,
        caller: &Caller,
        posts: Vec<SeenPost>,
    ) -> Result<Vec<Post>, ServiceError> {
        if posts.is_empty() {
            return Ok(Vec::new());
        }
        // What they share and quote, and then what is quoted by what they share.
        let mut named = self.posts_by_id(caller, &pointed_at(&posts)).await?;
        let shared: Vec<_> = posts
            .iter()
            .filter_map(|post| named.get(&post.row.share_of?).cloned())
            .collect();
        let quoted = pointed_at(&shared);
        named.extend(self.posts_by_id(caller, &quoted).await?);
        let rows = || posts.iter().chain(named.values()).map(|post| &post.row);
        let ids = distinct(rows().map(|row| row.id));
        let subjects = distinct(posts.iter().chain(named.values()).map(SeenPost::subject));
        let authors = distinct(rows().filter_map(|row| row.author));
        let streams = distinct(rows().filter_map(|row| row.stream));
        let (people, mentions, counts, viewed, streams, images, videos) = tokio::try_join!(
            self.people_by_id(&authors),
            self.mentioned_in(&ids),
            self.post_counts(&subjects),
            self.viewed_posts(caller, &subjects),
            self.post_streams(caller, &streams),
            self.post_images(&ids),
            self.post_videos(caller, &ids),
        )?;
        let facts = Facts {
            posts: named,
            people,
            mentions,
            counts,
            viewed,
            streams,
            images,
            videos,
        };
        Ok(posts.iter().map(|post| facts.show(post)).collect())
    }

    /// Those of these posts that whoever asks may see.
    pub(crate) async fn posts_by_id(
        &self,
        caller: &Caller,
        ids: &[PostId],
    ) -> Result<HashMap<PostId, SeenPost>, ServiceError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = posts::by_ids(&self.db, ids, caller.user()).await?;
        Ok(rows.into_iter().map(|row| (row.id, row.into())).collect())
    }

    /// These people, but those who were deleted.
    pub(crate) async fn people_by_id(
        &self,
        ids: &[UserId],
    ) -> Result<HashMap<UserId, UserRow>, ServiceError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = users::by_ids(&self.db, ids).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// The names of whom these posts mention and who is there.
    pub(crate) async fn mentioned_in(
        &self,
        ids: &[PostId],
    ) -> Result<HashMap<PostId, Vec<String>>, ServiceError> {
        let mentions = posts::mentions_of(&self.db, ids).await?;
        let of = distinct(mentions.iter().map(|(_, user)| *user));
        let people = self.people_by_id(&of).await?;
        let mut names: HashMap<_, Vec<_>> = HashMap::new();
        for (post, user) in mentions {
            if let Some(row) = people.get(&user).filter(|row| row.is_active()) {
                names.entry(post).or_default().push(row.name.clone());
            }
        }
        Ok(names)
    }

    /// The names of who is there of those who may be mentioned by these texts.
    pub(super) async fn names_in<'a>(
        &self,
        bodies: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<String>, ServiceError> {
        let pieces = bodies.flat_map(pieces);
        let names = distinct(pieces.filter_map(|piece| match piece.kind {
            Kind::Mention(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        }));
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let people = users::by_names(&self.db, &names).await?;
        let people = people.into_iter().filter(UserRow::is_active);
        Ok(people.map(|row| row.name).collect())
    }

    /// How often something was done to these posts.
    pub(crate) async fn post_counts(
        &self,
        ids: &[PostId],
    ) -> Result<HashMap<PostId, PostCounts>, ServiceError> {
        let counts = post_counts::of(&self.db, ids).await?;
        let counts = counts.into_iter().map(|one| {
            let counts = PostCounts {
                likes: one.likes,
                comments: one.comments,
                shares: one.shares,
                quotes: one.quotes,
            };
            (one.post, counts)
        });
        Ok(counts.collect())
    }

    /// What whoever asks did to these posts; nothing where nobody has logged in.
    pub(crate) async fn viewed_posts(
        &self,
        caller: &Caller,
        ids: &[PostId],
    ) -> Result<HashMap<PostId, PostViewer>, ServiceError> {
        let Some(viewer) = caller.user() else {
            return Ok(HashMap::new());
        };
        let (liked, shared) = tokio::try_join!(
            likes::liked_among(&self.db, viewer, ids),
            posts::shared_among(&self.db, viewer, ids),
        )?;
        let (liked, shared) = (set(liked), set(shared));
        let viewed = ids.iter().map(|id| {
            let viewer = PostViewer {
                likes: liked.contains(id),
                shares: shared.contains(id),
            };
            (*id, viewer)
        });
        Ok(viewed.collect())
    }

    /// Those of these streams that whoever asks may see, as posts show them.
    pub(crate) async fn post_streams(
        &self,
        caller: &Caller,
        ids: &[StreamId],
    ) -> Result<HashMap<StreamId, PostStream>, ServiceError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = streams::shown(&self.db, ids, caller.user()).await?;
        let shown = rows.into_iter().map(|row| {
            let stream = PostStream {
                name: row.name.to_string(),
                title: row.title,
                is_live: row.is_live,
                owner: row.owner,
            };
            (row.id, stream)
        });
        Ok(shown.collect())
    }
}

impl Facts {
    /// A post of the page, with what it shares and quotes.
    fn show(&self, post: &SeenPost) -> Post {
        let shared = post.row.share_of.and_then(|id| self.posts.get(&id));
        Post {
            share_of: shared.map(|shared| Box::new(self.with_quote(shared))),
            ..self.with_quote(post)
        }
    }

    /// A post, with what it quotes.
    fn with_quote(&self, post: &SeenPost) -> Post {
        let quoted = post.row.quote_of.and_then(|id| self.posts.get(&id));
        let mut shown = self.alone(post);
        if let Some(quote) = &mut shown.quote {
            quote.post = quoted.map(|quoted| Box::new(self.alone(quoted)));
        }
        shown
    }

    /// A post; of what it quotes, the id.
    fn alone(&self, post: &SeenPost) -> Post {
        let PostRow {
            id, author, body, ..
        } = &post.row;
        let author = author.filter(|_| !post.is_deleted());
        let names = self.mentions.get(id).map(Vec::as_slice);
        let stream = post.row.stream.and_then(|id| self.streams.get(&id));
        let quote = post.row.quote_of.map(|id| Quote {
            id: id.to_string(),
            post: None,
        });
        let subject = post.subject();
        Post {
            id: id.to_string(),
            author: author.and_then(|id| self.people.get(&id)).map(person),
            text: body.clone(),
            parts: parts(body, names.unwrap_or_default()),
            visibility: post.row.visibility.into(),
            reply_to: post.row.parent.map(|id| id.to_string()),
            thread: post.row.root.map(|id| id.to_string()),
            share_of: None,
            quote,
            stream: stream.cloned(),
            images: self.images.get(id).cloned().unwrap_or_default(),
            video: self.videos.get(id).cloned(),
            revision: post.row.revision,
            created_at: post.row.created_at.into(),
            edited_at: post.row.edited_at.map(Into::into),
            // Of what was deleted nothing is counted any more.
            counts: match post.is_deleted() {
                true => PostCounts::default(),
                false => self.counts.get(&subject).copied().unwrap_or_default(),
            },
            viewer: self.viewed.get(&subject).copied(),
            is_deleted: post.is_deleted(),
        }
    }
}

/// Who wrote something, or did something else.
pub(crate) fn person(row: &UserRow) -> Person {
    Person {
        id: row.id.to_string(),
        name: row.name.clone(),
        display_name: shown_name(row).to_owned(),
        avatar_url: avatar_url(row),
    }
}

/// A text in pieces, which mentions whoever of them it names.
pub(crate) fn parts(body: &str, names: &[String]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for piece in pieces(body) {
        let text = piece.text.to_owned();
        let (mut mention, mut hashtag, mut link) = (None, None, None);
        match piece.kind {
            Kind::Plain => {}
            Kind::Mention(name) => {
                let named = names.iter().find(|one| one.eq_ignore_ascii_case(name));
                mention = named.cloned();
            }
            Kind::Hashtag(folded) => hashtag = Some(folded),
            Kind::Link(address) => link = Some(address),
        }
        let part = Part {
            text,
            mention,
            hashtag,
            link,
        };
        match parts.last_mut() {
            // A name of nobody is text, as what stands around it.
            Some(last) if is_plain(last) && is_plain(&part) => last.text += &part.text,
            _ => parts.push(part),
        }
    }
    parts
}

fn is_plain(part: &Part) -> bool {
    part.mention.is_none() && part.hashtag.is_none() && part.link.is_none()
}

/// What these posts share and quote.
fn pointed_at(posts: &[SeenPost]) -> Vec<PostId> {
    let pointed = posts.iter().map(|post| &post.row);
    distinct(pointed.flat_map(|row| row.share_of.into_iter().chain(row.quote_of)))
}

fn distinct<T: Eq + Hash>(all: impl Iterator<Item = T>) -> Vec<T> {
    set(all).into_iter().collect()
}

fn set<T: Eq + Hash>(all: impl IntoIterator<Item = T>) -> HashSet<T> {
    all.into_iter().collect()
}
