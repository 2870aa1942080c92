//! Every operation there is, who may do it, and what it is called on each face.

use crate::caller::{Caller, Identity, Role, Scope};
use crate::error::Missing;
use crate::limits::Key;
use crate::{ServiceError, Services};

/// Who may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Anyone,
    /// Everybody; of API tokens, those with the scope: what their owner sees is not what
    /// everybody does.
    Public(Scope),
    /// Whoever has logged in, and API tokens with the scope.
    Scope(Scope),
    /// The same with both scopes: what is changed by the one, the answer has by the other.
    Scopes(Scope, Scope),
    /// Whoever has logged in. No API token: it could make itself stronger.
    Login,
    /// Whoever has at least this role, and their API tokens with the scope.
    Role(Role, Scope),
}

/// How an operation is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It changes nothing that stays.
    Read,
    /// It changes something.
    Write,
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident: $rest:literal, $graphql:literal, $kind:ident, $access:expr;)*) => {
        /// An operation of the API: the same on every face.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Operation {
            $($(#[$doc])* $name,)*
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its `operationId` in OpenAPI; empty: REST has it not.
            pub fn rest(self) -> &'static str {
                match self {
                    $(Self::$name => $rest,)*
                }
            }

            /// Its `Type.field` in GraphQL; empty: GraphQL has it not.
            pub fn graphql(self) -> &'static str {
                match self {
                    $(Self::$name => $graphql,)*
                }
            }

            /// Who may do it.
            pub fn access(self) -> Access {
                match self {
                    $(Self::$name => $access,)*
                }
            }

            /// How it is counted.
            pub fn kind(self) -> Kind {
                match self {
                    $(Self::$name => Kind::$kind,)*
                }
            }
        }
    };
}

operations! {
    /// The streams that are live.
    ListLive: "list_live", "Query.live", Read, Access::Public(Scope::StreamsRead);
    /// Make a stream.
    CreateStream: "create_stream", "Mutation.createStream", Write, Access::Scopes(Scope::StreamsRead, Scope::StreamsWrite);
    /// A stream.
    GetStream: "get_stream", "Query.stream", Read, Access::Public(Scope::StreamsRead);
    /// Somebody's streams.
    ListUserStreams: "list_user_streams", "User.streams", Read, Access::Public(Scope::StreamsRead);
    /// Change a stream of one's own.
    UpdateStream: "update_stream", "Mutation.updateStream", Write, Access::Scopes(Scope::StreamsRead, Scope::StreamsWrite);
    /// Delete one.
    DeleteStream: "delete_stream", "Mutation.deleteStream", Write, Access::Scope(Scope::StreamsWrite);
    /// Let it be published to again.
    StartStream: "start_stream", "Mutation.startStream", Write, Access::Scopes(Scope::StreamsRead, Scope::StreamsWrite);
    /// Let nobody publish to it.
    StopStream: "stop_stream", "Mutation.stopStream", Write, Access::Scopes(Scope::StreamsRead, Scope::StreamsWrite);
    /// Where a stream is played.
    GetPlayback: "get_playback", "Stream.playback", Read, Access::Public(Scope::StreamsRead);
    /// What is measured of a stream.
    GetStreamStatus: "get_stream_status", "Query.streamStatus", Read, Access::Scope(Scope::StreamsRead);
    /// What is kept of its broadcasts.
    ListRecordings: "list_recordings", "Stream.recordings", Read, Access::Public(Scope::StreamsRead);
    /// One's own videos.
    ListVideos: "list_videos", "Me.videos", Read, Access::Scope(Scope::StreamsRead);
    /// Say that one watches a stream.
    JoinStream: "join_stream", "Mutation.joinStream", Read, Access::Public(Scope::StreamsRead);
    /// Say that one still does.
    StayInStream: "stay_in_stream", "Mutation.stayInStream", Read, Access::Public(Scope::StreamsRead);
    /// Say that one does no more.
    LeaveStream: "leave_stream", "Mutation.leaveStream", Read, Access::Public(Scope::StreamsRead);
    /// Who watched a stream of one's own.
    GetStreamAnalytics: "get_stream_analytics", "Query.streamAnalytics", Read, Access::Scope(Scope::StreamsRead);
    /// The keys of a stream of one's own.
    ListStreamKeys: "list_stream_keys", "Stream.keys", Read, Access::Scope(Scope::StreamsRead);
    /// Make one.
    CreateStreamKey: "create_stream_key", "Mutation.createStreamKey", Write, Access::Scopes(Scope::StreamsRead, Scope::StreamsWrite);
    /// Put another in its place.
    RotateStreamKey: "rotate_stream_key", "Mutation.rotateStreamKey", Write, Access::Scopes(Scope::StreamsRead, Scope::StreamsWrite);
    /// Revoke one.
    RevokeStreamKey: "revoke_stream_key", "Mutation.revokeStreamKey", Write, Access::Scope(Scope::StreamsWrite);
    /// Ask for an account.
    Register: "register", "Mutation.register", Write, Access::Anyone;
    /// Follow the link of the mail, which makes the account.
    VerifyEmail: "verify_email", "Mutation.verifyEmail", Write, Access::Anyone;
    /// Begin a login session.
    Login: "login", "Mutation.login", Write, Access::Anyone;
    /// Go on with one.
    Refresh: "refresh", "Mutation.refresh", Write, Access::Anyone;
    /// End one.
    Logout: "logout", "Mutation.logout", Write, Access::Anyone;
    /// End all of one's own.
    LogoutEverywhere: "logout_everywhere", "Mutation.logoutEverywhere", Write, Access::Login;
    /// One's own login sessions.
    ListSessions: "list_sessions", "Me.sessions", Read, Access::Login;
    /// End one of one's own.
    EndSession: "end_session", "Mutation.endSession", Write, Access::Login;
    /// Hear when the session one is in ends.
    SessionEnded: "", "Subscription.sessionEnded", Read, Access::Login;
    /// Ask for a link to another password.
    RequestPasswordReset: "request_password_reset", "Mutation.requestPasswordReset", Write, Access::Anyone;
    /// Set another password by it.
    ResetPassword: "reset_password", "Mutation.resetPassword", Write, Access::Anyone;
    /// Set another password.
    ChangePassword: "change_password", "Mutation.changePassword", Write, Access::Login;
    /// Ask for a link to another address.
    ChangeEmail: "change_email", "Mutation.changeEmail", Write, Access::Login;
    /// Have another address by it.
    ConfirmEmail: "confirm_email", "Mutation.confirmEmail", Write, Access::Anyone;
    /// Have no account any more.
    DeleteAccount: "delete_account", "Mutation.deleteAccount", Write, Access::Login;
    /// One's own API tokens.
    ListApiTokens: "list_api_tokens", "Me.apiTokens", Read, Access::Login;
    /// Make one.
    CreateApiToken: "create_api_token", "Mutation.createApiToken", Write, Access::Login;
    /// Revoke one.
    RevokeApiToken: "revoke_api_token", "Mutation.revokeApiToken", Write, Access::Login;
    /// Somebody.
    GetUser: "get_user", "Query.user", Read, Access::Public(Scope::PeopleRead);
    /// Change one's profile.
    UpdateProfile: "update_profile", "Mutation.updateProfile", Write, Access::Scopes(Scope::AccountRead, Scope::AccountWrite);
    /// Show another picture of oneself.
    SetAvatar: "set_avatar", "Mutation.setAvatar", Write, Access::Scopes(Scope::AccountRead, Scope::AccountWrite);
    /// Show none.
    RemoveAvatar: "remove_avatar", "Mutation.removeAvatar", Write, Access::Scopes(Scope::AccountRead, Scope::AccountWrite);
    /// Follow somebody.
    Follow: "follow", "Mutation.follow", Write, Access::Scope(Scope::PeopleWrite);
    /// Follow somebody no more.
    Unfollow: "unfollow", "Mutation.unfollow", Write, Access::Scope(Scope::PeopleWrite);
    /// Who follows somebody.
    ListFollowers: "list_followers", "User.followers", Read, Access::Public(Scope::PeopleRead);
    /// Whom somebody follows.
    ListFollowing: "list_following", "User.following", Read, Access::Public(Scope::PeopleRead);
    /// Who asks to follow.
    ListFollowRequests: "list_follow_requests", "Me.followRequests", Read, Access::Scope(Scope::PeopleRead);
    /// Let somebody follow.
    AcceptFollow: "accept_follow", "Mutation.acceptFollow", Write, Access::Scope(Scope::PeopleWrite);
    /// Let somebody not follow.
    RefuseFollow: "refuse_follow", "Mutation.refuseFollow", Write, Access::Scope(Scope::PeopleWrite);
    /// Have somebody follow no more.
    RemoveFollower: "remove_follower", "Mutation.removeFollower", Write, Access::Scope(Scope::PeopleWrite);
    /// Block somebody.
    Block: "block", "Mutation.block", Write, Access::Scope(Scope::PeopleWrite);
    /// Block somebody no more.
    Unblock: "unblock", "Mutation.unblock", Write, Access::Scope(Scope::PeopleWrite);
    /// Whom one blocks.
    ListBlocks: "list_blocks", "Me.blocks", Read, Access::Scope(Scope::PeopleRead);
    /// Mute somebody.
    Mute: "mute", "Mutation.mute", Write, Access::Scope(Scope::PeopleWrite);
    /// Mute somebody no more.
    Unmute: "unmute", "Mutation.unmute", Write, Access::Scope(Scope::PeopleWrite);
    /// Whom one mutes.
    ListMutes: "list_mutes", "Me.mutes", Read, Access::Scope(Scope::PeopleRead);
    /// One's preferences.
    ListPreferences: "list_preferences", "Me.preferences", Read, Access::Scope(Scope::AccountRead);
    /// Set some of them.
    SetPreferences: "set_preferences", "Mutation.setPreferences", Write, Access::Scopes(Scope::AccountRead, Scope::AccountWrite);
    /// Send a picture for a post.
    UploadImage: "upload_image", "Mutation.uploadImage", Write, Access::Scope(Scope::PostsWrite);
    /// Write a post, a comment or a quote.
    CreatePost: "create_post", "Mutation.createPost", Write, Access::Scopes(Scope::PostsRead, Scope::PostsWrite);
    /// A post.
    GetPost: "get_post", "Query.post", Read, Access::Public(Scope::PostsRead);
    /// Say something else in a post of one's own.
    EditPost: "edit_post", "Mutation.editPost", Write, Access::Scopes(Scope::PostsRead, Scope::PostsWrite);
    /// Delete a post.
    DeletePost: "delete_post", "Mutation.deletePost", Write, Access::Scope(Scope::PostsWrite);
    /// What a post said before.
    ListRevisions: "list_revisions", "Post.revisions", Read, Access::Public(Scope::PostsRead);
    /// What answers a post.
    ListComments: "list_comments", "Post.comments", Read, Access::Public(Scope::PostsRead);
    /// The comments of a thread.
    ListThread: "list_thread", "Post.threadComments", Read, Access::Public(Scope::PostsRead);
    /// What quotes a post.
    ListQuotes: "list_quotes", "Post.quotes", Read, Access::Public(Scope::PostsRead);
    /// Who likes a post.
    ListLikes: "list_likes", "Post.likedBy", Read, Access::Public(Scope::PostsRead);
    /// Like a post.
    LikePost: "like_post", "Mutation.likePost", Write, Access::Scope(Scope::PostsWrite);
    /// Like it no more.
    UnlikePost: "unlike_post", "Mutation.unlikePost", Write, Access::Scope(Scope::PostsWrite);
    /// Share a post.
    SharePost: "share_post", "Mutation.sharePost", Write, Access::Scopes(Scope::PostsRead, Scope::PostsWrite);
    /// Share it no more.
    UnsharePost: "unshare_post", "Mutation.unsharePost", Write, Access::Scope(Scope::PostsWrite);
    /// What somebody wrote and shared.
    ListUserPosts: "list_user_posts", "User.posts", Read, Access::Public(Scope::PostsRead);
    /// Posts with a hashtag.
    ListHashtagPosts: "list_hashtag_posts", "Query.hashtagPosts", Read, Access::Public(Scope::PostsRead);
    /// The home feed of whoever asks.
    ListHome: "list_home", "Query.home", Read, Access::Scope(Scope::PostsRead);
    /// What everybody wrote.
    ListDiscover: "list_discover", "Query.discover", Read, Access::Public(Scope::PostsRead);
    /// Posts that trend.
    ListTrendingPosts: "list_trending_posts", "Query.trendingPosts", Read, Access::Public(Scope::PostsRead);
    /// Hashtags that trend.
    ListTrendingHashtags: "list_trending_hashtags", "Query.trendingHashtags", Read, Access::Public(Scope::PostsRead);
    /// Streams that trend.
    ListTrendingStreams: "list_trending_streams", "Query.trendingStreams", Read, Access::Public(Scope::StreamsRead);
    /// Posts by their words.
    SearchPosts: "search_posts", "Query.searchPosts", Read, Access::Public(Scope::PostsRead);
    /// People by their names.
    SearchUsers: "search_users", "Query.searchUsers", Read, Access::Public(Scope::PeopleRead);
    /// Streams by their names.
    SearchStreams: "search_streams", "Query.searchStreams", Read, Access::Public(Scope::StreamsRead);
    /// What one is told of.
    ListNotifications: "list_notifications", "Query.notifications", Read, Access::Scope(Scope::NotificationsRead);
    /// How much of it is unread.
    CountUnreadNotifications: "count_unread_notifications", "Query.unreadNotifications", Read, Access::Scope(Scope::NotificationsRead);
    /// Mark some of it as read.
    ReadNotifications: "read_notifications", "Mutation.readNotifications", Write, Access::Scopes(Scope::NotificationsRead, Scope::NotificationsWrite);
    /// Hear when it changes.
    NotificationsChanged: "", "Subscription.notificationsChanged", Read, Access::Scope(Scope::NotificationsRead);
    /// How the chat of a stream is run.
    GetChat: "get_chat", "Query.chat", Read, Access::Public(Scope::ChatRead);
    /// What was said there.
    ListChatMessages: "list_chat_messages", "Query.chatMessages", Read, Access::Public(Scope::ChatRead);
    /// What was said while something was seen.
    ReplayChat: "replay_chat", "Query.chatReplay", Read, Access::Public(Scope::ChatRead);
    /// Be there while something is said.
    JoinChat: "", "Subscription.chat", Read, Access::Public(Scope::ChatRead);
    /// Say something there.
    SendChatMessage: "send_chat_message", "Mutation.sendChatMessage", Write, Access::Scopes(Scope::ChatRead, Scope::ChatWrite);
    /// Take it back.
    DeleteChatMessage: "delete_chat_message", "Mutation.deleteChatMessage", Write, Access::Scope(Scope::ChatWrite);
    /// Run a chat differently.
    ChangeChat: "change_chat", "Mutation.changeChat", Write, Access::Scopes(Scope::ChatRead, Scope::ChatWrite);
    /// Keep somebody from talking there.
    SanctionInChat: "sanction_in_chat", "Mutation.sanctionInChat", Write, Access::Scopes(Scope::ChatRead, Scope::ChatWrite);
    /// Let them talk again.
    LiftInChat: "lift_in_chat", "Mutation.liftInChat", Write, Access::Scope(Scope::ChatWrite);
    /// Whom something keeps from talking there.
    ListChatSanctions: "list_chat_sanctions", "Query.chatSanctions", Read, Access::Scope(Scope::ChatRead);
    /// Make a URL of something of one's own.
    GenerateUrl: "generate_url", "Mutation.generateUrl", Write, Access::Scope(Scope::StreamsWrite);
    /// Have something of one's own leave all caches.
    Purge: "purge", "Mutation.purge", Write, Access::Scope(Scope::StreamsWrite);
    /// Have what matches leave them.
    PurgeByPattern: "purge_by_pattern", "Mutation.purgeByPattern", Write, Access::Scope(Scope::StreamsWrite);
    /// How far a purge is.
    GetPurge: "get_purge", "Query.purge", Read, Access::Scope(Scope::StreamsRead);
    /// Have caches store something of one's own.
    Prewarm: "prewarm", "Mutation.prewarm", Write, Access::Scope(Scope::StreamsWrite);
    /// How far a prewarm is.
    GetPrewarm: "get_prewarm", "Query.prewarm", Read, Access::Scope(Scope::StreamsRead);
    /// End it.
    CancelPrewarm: "cancel_prewarm", "Mutation.cancelPrewarm", Write, Access::Scope(Scope::StreamsWrite);
    /// What was served of what is one's own.
    ListUsage: "list_usage", "Query.usage", Read, Access::Scope(Scope::StreamsRead);
    /// The caches, and where they are.
    ListEdgeNodes: "list_edge_nodes", "Query.edgeNodes", Read, Access::Role(Role::Admin, Scope::Admin);
    /// Whether they have the configuration.
    GetEdgeDeployment: "get_edge_deployment", "Query.edgeDeployment", Read, Access::Role(Role::Admin, Scope::Admin);
    /// What they do together.
    GetEdgeMetrics: "get_edge_metrics", "Query.edgeMetrics", Read, Access::Role(Role::Admin, Scope::Admin);
    /// What is registered to be cached.
    ListEdgeAssets: "list_edge_assets", "Query.edgeAssets", Read, Access::Role(Role::Admin, Scope::Admin);
    /// One of it.
    GetEdgeAsset: "get_edge_asset", "Query.edgeAsset", Read, Access::Role(Role::Admin, Scope::Admin);
    /// Register something.
    RegisterEdgeAsset: "register_edge_asset", "Mutation.registerEdgeAsset", Write, Access::Role(Role::Admin, Scope::Admin);
    /// Change it.
    UpdateEdgeAsset: "update_edge_asset", "Mutation.updateEdgeAsset", Write, Access::Role(Role::Admin, Scope::Admin);
    /// Remove it.
    RemoveEdgeAsset: "remove_edge_asset", "Mutation.removeEdgeAsset", Write, Access::Role(Role::Admin, Scope::Admin);
    /// Report somebody.
    Report: "report", "Mutation.report", Write, Access::Scope(Scope::PeopleWrite);
    /// What was told of anybody.
    ListReports: "list_reports", "Query.reports", Read, Access::Role(Role::Moderator, Scope::Moderation);
    /// Say what came of a report.
    ResolveReport: "resolve_report", "Mutation.resolveReport", Write, Access::Role(Role::Moderator, Scope::Moderation);
    /// Keep somebody out.
    Suspend: "suspend", "Mutation.suspend", Write, Access::Role(Role::Moderator, Scope::Moderation);
    /// Let somebody in again.
    Unsuspend: "unsuspend", "Mutation.unsuspend", Write, Access::Role(Role::Moderator, Scope::Moderation);
    /// Give somebody a role.
    SetRole: "set_role", "Mutation.setRole", Write, Access::Role(Role::Admin, Scope::Admin);
    /// Who did what by right of a role.
    ListAuditLog: "list_audit_log", "Query.auditLog", Read, Access::Role(Role::Moderator, Scope::Moderation);
    /// All that there is of one's own account.
    ExportAccount: "export_account", "Query.exportAccount", Read, Access::Login;
    /// One's own account.
    GetMe: "get_me", "Query.me", Read, Access::Scope(Scope::AccountRead);
}

/// Who does something, after it was seen that they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Actor {
    pub(crate) user: media::UserId,
    pub(crate) role: Role,
}

impl Services {
    /// Counts an operation and sees whether the caller may do it. The first thing that every
    /// operation does, and the one place where it is decided.
    pub(crate) fn begin(
        &self,
        caller: &Caller,
        operation: Operation,
    ) -> Result<Option<Actor>, ServiceError> {
        self.count(caller)?;
        if operation.kind() == Kind::Write {
            let writes = &self.limiter.writes;
            writes.take(Key::of(caller), &caller.standings)?;
        }
        decide(&caller.identity, operation.access())
    }

    /// The same for an operation that somebody does who is known.
    pub(crate) fn begin_known(
        &self,
        caller: &Caller,
        operation: Operation,
    ) -> Result<Actor, ServiceError> {
        self.begin(caller, operation)?
            .ok_or(ServiceError::Unauthenticated)
    }
}

fn decide(identity: &Identity, access: Access) -> Result<Option<Actor>, ServiceError> {
    let (user, role, scopes) = match identity {
        Identity::Anonymous if matches!(access, Access::Anyone | Access::Public(_)) => {
            return Ok(None);
        }
        Identity::Anonymous => return Err(ServiceError::Unauthenticated),
        Identity::Session { user, role, .. } => (*user, *role, None),
        Identity::Token {
            user, role, scopes, ..
        } => (*user, *role, Some(scopes)),
    };
    let missing = match (access, scopes) {
        (Access::Role(least, _), _) if role < least => Some(Missing::Role(least)),
        (Access::Login, Some(_)) => Some(Missing::Login),
        (Access::Public(scope) | Access::Scope(scope) | Access::Role(_, scope), Some(scopes)) => {
            lacks(scopes, &[scope])
        }
        (Access::Scopes(one, other), Some(scopes)) => lacks(scopes, &[one, other]),
        _ => None,
    };
    match missing {
        None => Ok(Some(Actor { user, role })),
        Some(missing) => Err(ServiceError::Forbidden(missing)),
    }
}

/// The first of the scopes that are needed and not there.
fn lacks(has: &[Scope], needed: &[Scope]) -> Option<Missing> {
    let lacking = needed.iter().find(|scope| !has.contains(scope));
    lacking.copied().map(Missing::Scope)
}

#[cfg(test)]
mod tests {
    use media::{ApiTokenId, LoginSessionId, UserId};

    use super::*;

    fn login(role: Role) -> Identity {
        Identity::Session {
            user: UserId::new(),
            session: LoginSessionId::new(),
            role,
        }
    }

    fn token(role: Role, scopes: &[Scope]) -> Identity {
        Identity::Token {
            user: UserId::new(),
            token: ApiTokenId::new(),
            role,
            scopes: scopes.into(),
        }
    }

    fn missing(identity: &Identity, access: Access) -> Option<Missing> {
        match decide(identity, access) {
            Err(ServiceError::Forbidden(missing)) => Some(missing),
            _ => None,
        }
    }

    #[test]
    fn a_login_has_what_its_role_has() {
        let admin = Access::Role(Role::Admin, Scope::Admin);
        let moderator = Access::Role(Role::Moderator, Scope::Moderation);
        for (role, access, lacks) in [
            (Role::User, Access::Anyone, None),
            (Role::User, Access::Login, None),
            (Role::User, Access::Scope(Scope::PeopleWrite), None),
            (Role::User, moderator, Some(Missing::Role(Role::Moderator))),
            (Role::Moderator, moderator, None),
            (Role::Moderator, admin, Some(Missing::Role(Role::Admin))),
            (Role::Admin, moderator, None),
        ] {
            assert_eq!(missing(&login(role), access), lacks, "{role} {access:?}");
        }
    }

    #[test]
    fn a_token_has_its_scopes_and_no_more_than_its_owner() {
        let moderator = Access::Role(Role::Moderator, Scope::Moderation);
        let reads = token(Role::User, &[Scope::AccountRead]);
        assert_eq!(missing(&reads, Access::Scope(Scope::AccountRead)), None);
        let lacks = missing(&reads, Access::Scope(Scope::AccountWrite));
        assert_eq!(lacks, Some(Missing::Scope(Scope::AccountWrite)));
        assert_eq!(missing(&reads, Access::Login), Some(Missing::Login));
        assert_eq!(missing(&reads, Access::Anyone), None);
        let public = Access::Public(Scope::PeopleRead);
        let lacks = missing(&reads, public);
        assert_eq!(lacks, Some(Missing::Scope(Scope::PeopleRead)));
        assert_eq!(missing(&Identity::Anonymous, public), None);
        let both = Access::Scopes(Scope::AccountRead, Scope::AccountWrite);
        let lacks = missing(&reads, both);
        assert_eq!(lacks, Some(Missing::Scope(Scope::AccountWrite)));
        let writes = token(Role::User, &[Scope::AccountWrite]);
        let lacks = missing(&writes, both);
        assert_eq!(lacks, Some(Missing::Scope(Scope::AccountRead)));
        let all = token(Role::User, Scope::ALL);
        let lacks = missing(&all, moderator);
        assert_eq!(lacks, Some(Missing::Role(Role::Moderator)));
        let of_moderator = token(Role::Moderator, &[Scope::AccountRead]);
        let lacks = missing(&of_moderator, moderator);
        assert_eq!(lacks, Some(Missing::Scope(Scope::Moderation)));
    }

    #[test]
    fn nobody_is_asked_to_log_in() {
        let decided = decide(&Identity::Anonymous, Access::Login);
        assert!(matches!(decided, Err(ServiceError::Unauthenticated)));
        let decided = decide(&Identity::Anonymous, Access::Anyone);
        assert!(matches!(decided, Ok(None)));
    }
}
