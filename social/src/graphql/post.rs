//! Posts, as GraphQL shows them: what is asked for is fetched, for many at once.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};
use media::PostId;

use super::connection::{Connection, connection, of_page};
use super::loaders::Loaders;
use super::query::{asked, given};
use super::user::{People, User, people};
use crate::model::{
    Image, Moment, Part, PostCounts, PostStream, PostVideo, PostViewer, Revision, Visibility,
};
use crate::paging::Paged;
use crate::posts::{SeenPost, parts};

/// Posts with their cursors.
pub(crate) type Posts = Connection<Post>;

/// A page of posts as a connection.
pub(super) fn posts(page: Paged<SeenPost>) -> Posts {
    connection(page.map(Post))
}

/// A post, a comment, a share or a quote.
pub(crate) struct Post(pub(super) SeenPost);

#[Object]
impl Post {
    /// Id.
    async fn id(&self) -> ID {
        self.0.row.id.to_string().into()
    }

    /// Who wrote it; `null`: nothing is left of it but its place in a thread.
    async fn author(&self, context: &Context<'_>) -> Result<Option<User>> {
        let author = self.0.row.author.filter(|_| !self.0.is_deleted());
        let Some(author) = author else {
            return Ok(None);
        };
        let loaders: &Arc<Loaders> = given(context)?;
        let row = loaders.people.load_one(author).await?;
        Ok(row.map(|row| User(row.into())))
    }

    /// Plain text as it was written. A share has none.
    async fn text(&self) -> &str {
        &self.0.row.body
    }

    /// The same text in pieces, in their order.
    async fn parts(&self, context: &Context<'_>) -> Result<Vec<Part>> {
        let loaders: &Arc<Loaders> = given(context)?;
        let names = loaders.mentions.load_one(self.0.row.id).await?;
        Ok(parts(&self.0.row.body, &names.unwrap_or_default()))
    }

    /// Whom it is for.
    async fn visibility(&self) -> Visibility {
        self.0.row.visibility.into()
    }

    /// The post that a comment answers; `null`: it is none.
    async fn reply_to(&self) -> Option<ID> {
        self.0.row.parent.map(|id| id.to_string().into())
    }

    /// The first post of a comment's thread; `null`: it is none.
    async fn thread(&self) -> Option<ID> {
        self.0.row.root.map(|id| id.to_string().into())
    }

    /// What a share shares; `null`: it is none.
    async fn share_of(&self, context: &Context<'_>) -> Result<Option<Post>> {
        match self.0.row.share_of {
            Some(shared) => load(context, shared).await,
            None => Ok(None),
        }
    }

    /// What it quotes; `null`: nothing.
    async fn quote(&self) -> Option<Quote> {
        self.0.row.quote_of.map(Quote)
    }

    /// A stream that it shows; `null`: none.
    async fn stream(&self, context: &Context<'_>) -> Result<Option<PostStream>> {
        let Some(stream) = self.0.row.stream else {
            return Ok(None);
        };
        let loaders: &Arc<Loaders> = given(context)?;
        Ok(loaders.streams.load_one(stream).await?)
    }

    /// Pictures that it shows, in their order: 4 at most.
    #[graphql(complexity = "1 + 4 * child_complexity")]
    async fn images(&self, context: &Context<'_>) -> Result<Vec<Image>> {
        let loaders: &Arc<Loaders> = given(context)?;
        let images = loaders.images.load_one(self.0.row.id).await?;
        Ok(images.unwrap_or_default())
    }

    /// A video that it shows; `null`: none.
    async fn video(&self, context: &Context<'_>) -> Result<Option<PostVideo>> {
        let loaders: &Arc<Loaders> = given(context)?;
        Ok(loaders.videos.load_one(self.0.row.id).await?)
    }

    /// How often it was edited.
    async fn revision(&self) -> u64 {
        self.0.row.revision
    }

    /// When it was made.
    async fn created_at(&self) -> Moment {
        self.0.row.created_at.into()
    }

    /// When it was last edited; `null`: it was not.
    async fn edited_at(&self) -> Option<Moment> {
        self.0.row.edited_at.map(Moment::from)
    }

    /// How often something was done to it. Of a share, to what it shares.
    async fn counts(&self, context: &Context<'_>) -> Result<PostCounts> {
        if self.0.is_deleted() {
            return Ok(PostCounts::default());
        }
        let loaders: &Arc<Loaders> = given(context)?;
        let counts = loaders.post_counts.load_one(self.0.subject()).await?;
        Ok(counts.unwrap_or_default())
    }

    /// What you did to it; `null`: you have not logged in. Of a share, to what it shares.
    async fn viewer(&self, context: &Context<'_>) -> Result<Option<PostViewer>> {
        let loaders: &Arc<Loaders> = given(context)?;
        Ok(loaders.post_viewers.load_one(self.0.subject()).await?)
    }

    /// Whether it was deleted, and only holds its place in a thread.
    async fn is_deleted(&self) -> bool {
        self.0.is_deleted()
    }

    /// What it said before it was edited, the newest first.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn revisions(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<Revision>> {
        let (services, caller, page) = asked(context, first, after)?;
        let id = self.0.row.id.to_string();
        Ok(connection(
            services.list_revisions(caller, &id, page).await?,
        ))
    }

    /// What answers it, the newest first.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn comments(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Posts> {
        let (services, caller, page) = asked(context, first, after)?;
        let id = self.0.row.id.to_string();
        Ok(posts(services.list_comments(caller, &id, page).await?))
    }

    /// All comments of the thread that it is in, the oldest first. One can answer a comment that
    /// is not among them: it is deleted, or not for you.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn thread_comments(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Posts> {
        let (services, caller, page) = asked(context, first, after)?;
        let id = self.0.row.id.to_string();
        Ok(posts(services.list_thread(caller, &id, page).await?))
    }

    /// What quotes it, the newest first.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn quotes(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Posts> {
        let (services, caller, page) = asked(context, first, after)?;
        let id = self.0.row.id.to_string();
        Ok(posts(services.list_quotes(caller, &id, page).await?))
    }

    /// Who likes it, the newest account first.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn liked_by(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<People> {
        let (services, caller, page) = asked(context, first, after)?;
        let id = self.0.row.id.to_string();
        Ok(people(services.list_likes(caller, &id, page).await?))
    }
}

/// What a post quotes.
pub(crate) struct Quote(PostId);

#[Object]
impl Quote {
    /// Its id.
    async fn id(&self) -> ID {
        self.0.to_string().into()
    }

    /// The post; `null`: you may not see it, or it is deleted.
    async fn post(&self, context: &Context<'_>) -> Result<Option<Post>> {
        load(context, self.0).await
    }
}

async fn load(context: &Context<'_>, id: PostId) -> Result<Option<Post>> {
    let loaders: &Arc<Loaders> = given(context)?;
    Ok(loaders.posts.load_one(id).await?.map(Post))
}
