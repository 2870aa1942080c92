//! Writing, editing and deleting posts.

use std::collections::BTreeSet;

use media::UserId;
use serde_json::json;
use storage::rows::audit_log::{self, NewAuditEntry};
use storage::rows::posts::{
    self, Edit, Edited, HASHTAGS_AT_MOST, MENTIONS_AT_MOST, NewPost, PostRow,
};
use storage::rows::{relations, users};

use super::text::{self, Kind};
use super::{SeenPost, missing, parse};
use crate::caller::{Caller, Role};
use crate::error::{Fields, Missing};
use crate::idempotency::{Made, Repeatable};
use crate::limits::Key;
use crate::model::{CreatePostInput, EditPostInput};
use crate::operation::{Actor, Operation};
use crate::people::is_moderator;
use crate::{ServiceError, Services};

/// A text that was looked at.
struct Written<'a> {
    body: &'a str,
    /// What may be names of accounts, each once, in lower case.
    names: Vec<String>,
    /// Each once, as they are looked up.
    hashtags: Vec<String>,
}

impl Services {
    /// Writes a post, a comment or a quote.
    pub async fn create_post(
        &self,
        caller: &Caller,
        input: CreatePostInput,
        idempotency_key: Option<&str>,
    ) -> Result<SeenPost, ServiceError> {
        let actor = self.begin_known(caller, Operation::CreatePost)?;
        let operation = Operation::CreatePost;
        let request = Repeatable::new(actor.user, idempotency_key, operation, &input)?;
        let request = request.as_ref();
        if let Some(Made { id }) = self.earlier(request).await? {
            return self.find_readable_post(caller, &id).await;
        }
        let attached = self.attached(caller, &input).await?;
        let may_be_empty = input.quote.is_some() || attached.is_something();
        let written = read(&input.text, may_be_empty)?;
        let parent = input.reply_to.as_ref().map(|id| parse(id)).transpose()?;
        let quote_of = input.quote.as_ref().map(|id| parse(id)).transpose()?;
        self.count_post(caller, actor.user)?;
        let mentions = self.mentioned_by(actor.user, &written.names).await?;
        let new = NewPost {
            author: actor.user,
            parent,
            quote_of,
            shows: attached.shows(),
            visibility: input.visibility.into(),
            body: written.body,
            mentions: &mentions,
            hashtags: &written.hashtags,
        };
        let author = actor.user;
        self.check_attached_video(author, &attached).await?;
        let mut transaction = self.db.write().await?;
        if let Err(refused) = self
            .check_attached_images(&mut transaction, author, &attached)
            .await
        {
            drop(transaction);
            // The same request, which came meanwhile, may have what this one asks for.
            let Made { id } = self.faster(request, refused).await?;
            return self.find_readable_post(caller, &id).await;
        }
        let created = posts::create(&self.db, &mut transaction, &new, self.now()).await?;
        let made = Made {
            id: created.post.id.to_string(),
        };
        match self.commit_once(transaction, request, &made).await? {
            Some(Made { id }) => self.find_readable_post(caller, &id).await,
            None => Ok(created.post.into()),
        }
    }

    /// Says something else in a post of the caller's.
    pub async fn edit_post(
        &self,
        caller: &Caller,
        id: &str,
        input: EditPostInput,
    ) -> Result<SeenPost, ServiceError> {
        let actor = self.begin_known(caller, Operation::EditPost)?;
        let SeenPost { row } = self.find_readable_post(caller, id).await?;
        if row.author != Some(actor.user) {
            return Err(ServiceError::Forbidden(Missing::Authorship));
        }
        if row.share_of.is_some() {
            return Err(ServiceError::Conflict("a share has no text".into()));
        }
        let may_be_empty = self.says_something_without_text(caller, &row).await?;
        let written = read(&input.text, may_be_empty)?;
        let edits = &self.limiter.edits;
        edits.take(Key::User(actor.user), &caller.standings)?;
        let mentions = self.mentioned_by(actor.user, &written.names).await?;
        let edit = Edit {
            post: row.id,
            seen: input.revision,
            body: written.body,
            mentions: &mentions,
            hashtags: &written.hashtags,
        };
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        match posts::edit(db, &mut transaction, actor.user, &edit, now).await? {
            Edited::Done(row) => {
                transaction.commit().await?;
                Ok(row.into())
            }
            Edited::Overtaken { .. } => Err(ServiceError::EditedMeanwhile),
            Edited::TooOften => {
                let most = posts::EDITS_AT_MOST;
                let why = format!("the post was edited {most} times: no more are kept");
                Err(ServiceError::Conflict(why.into()))
            }
        }
    }

    /// Deletes a post: of the caller's, or, by right of a role, anybody's.
    pub async fn delete_post(&self, caller: &Caller, id: &str) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::DeletePost)?;
        let id = parse(id)?;
        let row = posts::all_by_ids(&self.db, &[id]).await?.pop();
        let row = row.filter(|row| row.deleted_at.is_none());
        let row = row.ok_or_else(missing)?;
        if row.author != Some(actor.user) {
            if !is_moderator(caller) {
                // Who may not see it is not told that it is there.
                self.find_readable_post(caller, &id.to_string()).await?;
                return Err(ServiceError::Forbidden(Missing::Authorship));
            }
            return self.take_down(actor, &row).await;
        }
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        let by = Some(actor.user);
        let is_deleted = posts::delete(db, &mut transaction, id, by, now).await?;
        transaction.commit().await?;
        is_deleted.then_some(()).ok_or_else(missing)
    }

    /// Deletes somebody else's post by right of a role, and notes it.
    async fn take_down(&self, actor: Actor, row: &PostRow) -> Result<(), ServiceError> {
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        users::take_administrators_turn(db, &mut transaction).await?;
        self.role_as_it_is(&mut transaction, actor, Role::Moderator)
            .await?;
        if !posts::delete(db, &mut transaction, row.id, None, now).await? {
            return Err(missing());
        }
        let author = row.author.map(|author| author.to_string());
        let detail = json!({ "author": author });
        let entry = NewAuditEntry {
            actor: Some(actor.user),
            action: "delete-post",
            subject_kind: "post",
            subject: row.id.as_uuid(),
            detail: &detail,
        };
        audit_log::append(&mut transaction, entry, now).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Counts a post or a share that `user` makes.
    pub(super) fn count_post(&self, caller: &Caller, user: UserId) -> Result<(), ServiceError> {
        self.limiter.posts.take(Key::User(user), &caller.standings)
    }

    /// Who is mentioned by these names: nobody who is not there for the author.
    async fn mentioned_by(
        &self,
        author: UserId,
        names: &[String],
    ) -> Result<Vec<UserId>, ServiceError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let people = users::by_names(&self.db, names).await?;
        let people = people.iter().filter(|row| row.is_active());
        let mut ids: Vec<_> = people.map(|row| row.id).collect();
        let relations = relations::between(&self.db, author, &ids).await?;
        let blocks = |id: &UserId| {
            relations
                .iter()
                .any(|one| one.user == *id && one.blocked_by)
        };
        ids.retain(|id| !blocks(id));
        Ok(ids)
    }

    /// Whether a post of the author's needs no text: it quotes or shows something.
    async fn says_something_without_text(
        &self,
        caller: &Caller,
        row: &PostRow,
    ) -> Result<bool, ServiceError> {
        let ids = [row.id];
        Ok(row.quote_of.is_some()
            || row.stream.is_some()
            || !self.post_images(&ids).await?.is_empty()
            || !self.post_videos(caller, &ids).await?.is_empty())
    }
}

/// Looks at what somebody writes.
fn read(text: &str, may_be_empty: bool) -> Result<Written<'_>, ServiceError> {
    let body = text.trim();
    let mut fields = Fields::default();
    fields.read("text", text::check(body));
    if body.is_empty() && !may_be_empty {
        fields.read("text", Err::<(), _>("expected some words"));
    }
    let (mut names, mut hashtags) = (BTreeSet::new(), BTreeSet::new());
    if fields.is_empty() {
        for piece in text::pieces(body) {
            match piece.kind {
                Kind::Mention(name) => drop(names.insert(name.to_ascii_lowercase())),
                Kind::Hashtag(hashtag) => drop(hashtags.insert(hashtag)),
                Kind::Plain | Kind::Link(_) => {}
            }
        }
    }
    for (what, there, most) in [
        ("mentions", names.len(), MENTIONS_AT_MOST),
        ("hashtags", hashtags.len(), HASHTAGS_AT_MOST),
    ] {
        if there > most {
            let many = format!("expected at most {most} {what}: there are {there}");
            fields.read("text", Err::<(), _>(many));
        }
    }
    match fields.is_empty() {
        true => Ok(Written {
            body,
            names: names.into_iter().collect(),
            hashtags: hashtags.into_iter().collect(),
        }),
        false => Err(fields.into_error()),
    }
}
