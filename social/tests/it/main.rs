//! The API as clients see it, request by request, on real databases.

#[macro_use]
mod app;
mod mailbox;

mod account_changes;
mod attachments;
mod avatar_places;
mod avatar_uploads;
mod avatars;
mod broadcasts;
mod browser_session;
mod chat;
mod chat_crowds;
mod chat_nodes;
mod chat_sockets;
mod counted;
mod face_limits;
mod feeds;
mod golden;
mod images;
mod logins_at_once;
mod measured;
mod moderation;
mod notifications;
mod operations;
mod people;
mod post_edits;
mod post_reactions;
mod post_visibility;
mod posts;
mod s03_nobody_is_told;
mod s04_refresh;
mod s05_measured;
mod s05_missed_events;
mod s05_revocation;
mod s10_mails;
mod s11_expansion;
mod s11_graphql;
mod search;
mod sessions;
mod socket_ends;
mod sockets;
mod stream_audience;
mod stream_control;
mod stream_keys;
mod streams;
