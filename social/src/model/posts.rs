//! Posts.

use async_graphql::{Enum, ID, InputObject, SimpleObject};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Moment;

/// Whom a post is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Everybody; of a private account, its followers.
    #[default]
    Public,
    /// Who follows its author, and was accepted.
    Followers,
}

/// A post, a comment or a quote to be made.
#[derive(Debug, Clone, Serialize, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePostInput {
    /// Plain text: 1 to 5000 characters, of control characters only the line feed; none is
    /// needed with `quote`, `images`, `video` or `stream`.
    #[schema(max_length = 5000)]
    #[serde(default)]
    #[graphql(default)]
    pub text: String,
    /// Whom it is for. A comment is for whom the first post of its thread is.
    #[schema(inline, required = false)]
    #[serde(default)]
    #[graphql(default)]
    pub visibility: Visibility,
    /// The post that it answers.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub reply_to: Option<ID>,
    /// The post that it quotes.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub quote: Option<ID>,
    /// The name of a stream that it shows. A post shows pictures, a video or a stream.
    pub stream: Option<String>,
    /// Pictures that you have sent and that are on no post yet, in their order: 4 at most.
    #[schema(value_type = Vec<String>, max_items = 4, required = false)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[graphql(default)]
    pub images: Vec<ID>,
    /// A video of yours that plays.
    #[schema(value_type = Option<String>, format = "uuid")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<ID>,
}

/// What a post is to say from now on.
#[derive(Debug, Clone, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditPostInput {
    /// Plain text, as of a new post.
    #[schema(max_length = 5000)]
    pub text: String,
    /// `revision` of the post that you saw.
    pub revision: u64,
}

/// A post, a comment, a share or a quote, as REST shows it. In GraphQL, what is asked for is
/// fetched.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Post {
    /// Id.
    #[schema(format = "uuid")]
    pub id: String,
    /// Who wrote it; `null`: nothing is left of it but its place in a thread.
    #[schema(required = true)]
    pub author: Option<Person>,
    /// Plain text as it was written. A share has none.
    pub text: String,
    /// The same text in pieces, in their order.
    pub parts: Vec<Part>,
    /// Whom it is for.
    pub visibility: Visibility,
    /// The post that a comment answers; `null`: it is none.
    #[schema(required = true, format = "uuid")]
    pub reply_to: Option<String>,
    /// The first post of a comment's thread; `null`: it is none.
    #[schema(required = true, format = "uuid")]
    pub thread: Option<String>,
    /// What a share shares, which is no share itself; `null`: it is none.
    #[schema(required = true, no_recursion)]
    pub share_of: Option<Box<Post>>,
    /// What it quotes; `null`: nothing.
    #[schema(required = true)]
    pub quote: Option<Quote>,
    /// A stream that it shows; `null`: none.
    #[schema(required = true)]
    pub stream: Option<PostStream>,
    /// Pictures that it shows, in their order.
    pub images: Vec<Image>,
    /// A video that it shows; `null`: none.
    #[schema(required = true)]
    pub video: Option<PostVideo>,
    /// How often it was edited.
    pub revision: u64,
    /// When it was made.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
    /// When it was last edited; `null`: it was not.
    #[schema(required = true, value_type = Option<String>, format = "date-time")]
    pub edited_at: Option<Moment>,
    /// How often something was done to it. Of a share, to what it shares.
    pub counts: PostCounts,
    /// What you did to it; `null`: you have not logged in. Of a share, to what it shares.
    #[schema(required = true)]
    pub viewer: Option<PostViewer>,
    /// Whether it was deleted, and only holds its place in a thread.
    pub is_deleted: bool,
}

/// Who wrote something.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Person {
    /// Id.
    #[schema(format = "uuid")]
    pub id: String,
    /// Name, as it stands in `/@name`.
    pub name: String,
    /// Name as it is shown.
    pub display_name: String,
    /// Where their picture is, on this server: `/avatars/...`; `null`: they have none.
    #[schema(required = true, format = "uri-reference")]
    pub avatar_url: Option<String>,
}

/// A piece of a text. At most one of `mention`, `hashtag` and `link` is not `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, SimpleObject, ToSchema)]
#[graphql(name = "TextPart")]
#[schema(as = TextPart)]
pub struct Part {
    /// As it was written.
    pub text: String,
    /// The name of the account that is mentioned.
    #[schema(required = true)]
    pub mention: Option<String>,
    /// A hashtag as it is looked up: without `#`, in lower case.
    #[schema(required = true)]
    pub hashtag: Option<String>,
    /// An address on the web, `http://` or `https://`.
    #[schema(required = true)]
    pub link: Option<String>,
}

/// What a post quotes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Quote {
    /// Its id.
    #[schema(format = "uuid")]
    pub id: String,
    /// The post; `null`: you may not see it, or it is deleted, or what quotes it is itself only
    /// quoted here.
    #[schema(required = true, no_recursion)]
    pub post: Option<Box<Post>>,
}

/// A stream that a post shows, that trends, or that was found.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct PostStream {
    /// Name, as it stands in its URLs.
    pub name: String,
    /// What it is called.
    pub title: String,
    /// Whether it is live.
    pub is_live: bool,
    /// The name of the account that it belongs to.
    pub owner: String,
}

/// A picture for a post, or on one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, SimpleObject, ToSchema)]
pub struct Image {
    /// Id. Whoever has it has the picture.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// Where it is, on this server: `/images/...`.
    #[schema(format = "uri-reference")]
    pub url: String,
    /// Where a small one of the same shape is.
    #[schema(format = "uri-reference")]
    pub preview_url: String,
    /// Pixels of a line, 2048 at most.
    pub width: u32,
    /// Lines, 2048 at most.
    pub height: u32,
    /// What is seen on it, for those who do not see it. Empty: nobody has said.
    pub description: String,
}

/// A video on a post.
#[derive(Debug, Clone, PartialEq, Serialize, SimpleObject, ToSchema)]
pub struct PostVideo {
    /// Id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// What it is called.
    pub title: String,
    /// Seconds; `null`: it is a recording, of which there may be less and less.
    #[schema(required = true)]
    pub duration: Option<f64>,
    /// The name of the stream that it is a recording of, whose chat can be said again with it;
    /// `null`: it is none.
    #[schema(required = true)]
    pub stream: Option<String>,
    /// Its HLS multivariant playlist; with a token that is yours, where one is needed: see the post
    /// again for another.
    pub playlist: String,
    /// Its DASH manifest, likewise.
    pub manifest: String,
    /// The picture that stands for it, likewise.
    pub poster: String,
}

/// A hashtag that trends.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
#[graphql(name = "TrendingHashtag")]
#[schema(as = TrendingHashtag)]
pub struct Hashtag {
    /// Without `#`, in lower case.
    pub hashtag: String,
    /// Posts of the last day that have it, of those that were counted.
    pub posts: u64,
}

/// How often something was done to a post.
#[derive(Debug, Clone, Copy, Default, Serialize, SimpleObject, ToSchema)]
pub struct PostCounts {
    /// Who like it.
    pub likes: u64,
    /// What answers it.
    pub comments: u64,
    /// Who share it.
    pub shares: u64,
    /// What quotes it.
    pub quotes: u64,
}

/// What whoever asks did to a post.
#[derive(Debug, Clone, Copy, Default, Serialize, SimpleObject, ToSchema)]
pub struct PostViewer {
    /// Whether you like it.
    pub likes: bool,
    /// Whether you share it.
    pub shares: bool,
}

/// What a post said before an edit.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
#[graphql(name = "PostRevision")]
#[schema(as = PostRevision)]
pub struct Revision {
    /// How often it had been edited then.
    pub number: u64,
    /// What it said.
    pub text: String,
    /// The same text in pieces, in their order.
    pub parts: Vec<Part>,
    /// When that was written.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
}

impl From<Visibility> for storage::rows::posts::Visibility {
    fn from(visibility: Visibility) -> Self {
        match visibility {
            Visibility::Public => Self::Public,
            Visibility::Followers => Self::Followers,
        }
    }
}

impl From<storage::rows::posts::Visibility> for Visibility {
    fn from(visibility: storage::rows::posts::Visibility) -> Self {
        use storage::rows::posts::Visibility as Stored;
        match visibility {
            Stored::Public => Self::Public,
            Stored::Followers => Self::Followers,
        }
    }
}
