//! People: profiles, follows, blocks, mutes, preferences.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::request::{Asking, Body, Page, Paging, Segment};
use crate::caller::Caller;
use crate::model::{FollowState, Me, Preference, PreferenceInput, UpdateProfileInput, User};
use crate::paging::Paged;
use crate::people::{KNOWN_PREFERENCES, Person};
use crate::problem::Problem;
use crate::{ServiceError, Services};

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::new()
        .routes(routes!(get_user))
        .routes(routes!(update_profile))
        .routes(routes!(follow, unfollow))
        .routes(routes!(list_followers))
        .routes(routes!(list_following))
        .routes(routes!(list_follow_requests))
        .routes(routes!(accept_follow, refuse_follow))
        .routes(routes!(remove_follower))
        .routes(routes!(block, unblock))
        .routes(routes!(list_blocks))
        .routes(routes!(mute, unmute))
        .routes(routes!(list_mutes))
        .routes(routes!(list_preferences, set_preferences))
}

/// One person, as whoever asks may see them.
pub(super) async fn show(
    services: &Services,
    caller: &Caller,
    person: Person,
) -> Result<Json<User>, Problem> {
    let described = services.describe(caller, vec![person]).await?;
    let user = described.into_iter().next();
    let user = user.ok_or_else(|| ServiceError::internal("person", "not described"))?;
    Ok(Json(user))
}

pub(super) async fn page(
    services: &Services,
    caller: &Caller,
    people: Paged<Person>,
) -> Result<Json<Page<User>>, Problem> {
    let next = people.next;
    let people = people.items.into_iter().map(|(_, person)| person).collect();
    let items = services.describe(caller, people).await?;
    Ok(Json(Page { items, next }))
}

/// Show somebody
#[utoipa::path(get, path = "/api/v1/users/{name}", tag = "people",
    params(("name" = String, Path, description = "Their name")),
    responses((status = 200, description = "Somebody", body = User)))]
async fn get_user(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<Json<User>, Problem> {
    let person = services.get_user(&caller, &name).await?;
    show(&services, &caller, person).await
}

/// Change your profile
#[utoipa::path(patch, path = "/api/v1/me", tag = "people",
    request_body = UpdateProfileInput,
    responses((status = 200, description = "The account", body = Me)))]
async fn update_profile(
    State(services): State<Services>,
    Asking(caller): Asking,
    Body(input): Body<UpdateProfileInput>,
) -> Result<Json<Me>, Problem> {
    Ok(Json(services.update_profile(&caller, input).await?))
}

/// Follow somebody
///
/// Where their account is private, they are asked.
#[utoipa::path(put, path = "/api/v1/users/{name}/follow", tag = "people",
    params(("name" = String, Path, description = "Their name")),
    responses((status = 200, description = "What is between you", body = FollowState)))]
async fn follow(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<Json<FollowState>, Problem> {
    let follows = services.follow(&caller, &name).await?;
    Ok(Json(FollowState { follows }))
}

/// Follow somebody no more
#[utoipa::path(delete, path = "/api/v1/users/{name}/follow", tag = "people",
    params(("name" = String, Path, description = "Their name")),
    responses((status = 200, description = "What is between you", body = FollowState)))]
async fn unfollow(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<Json<FollowState>, Problem> {
    let follows = services.unfollow(&caller, &name).await?;
    Ok(Json(FollowState { follows }))
}

/// List who follows somebody
///
/// Of a private account, only its followers may.
#[utoipa::path(get, path = "/api/v1/users/{name}/followers", tag = "people",
    params(("name" = String, Path, description = "Their name"), Paging),
    responses((status = 200, description = "Followers, the latest first", body = Page<User>)))]
async fn list_followers(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
    Paging(asked): Paging,
) -> Result<Json<Page<User>>, Problem> {
    let people = services.list_followers(&caller, &name, asked).await?;
    page(&services, &caller, people).await
}

/// List whom somebody follows
///
/// Of a private account, only its followers may.
#[utoipa::path(get, path = "/api/v1/users/{name}/following", tag = "people",
    params(("name" = String, Path, description = "Their name"), Paging),
    responses((status = 200, description = "Whom they follow, the latest first", body = Page<User>)))]
async fn list_following(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
    Paging(asked): Paging,
) -> Result<Json<Page<User>>, Problem> {
    let people = services.list_following(&caller, &name, asked).await?;
    page(&services, &caller, people).await
}

/// List who asks to follow you
#[utoipa::path(get, path = "/api/v1/me/follow-requests", tag = "people", params(Paging),
    responses((status = 200, description = "Who asks, the earliest first", body = Page<User>)))]
async fn list_follow_requests(
    State(services): State<Services>,
    Asking(caller): Asking,
    Paging(asked): Paging,
) -> Result<Json<Page<User>>, Problem> {
    let people = services.list_follow_requests(&caller, asked).await?;
    page(&services, &caller, people).await
}

/// Let somebody follow you who asked
#[utoipa::path(put, path = "/api/v1/me/follow-requests/{name}", tag = "people",
    params(("name" = String, Path, description = "Their name")),
    responses((status = 204, description = "They follow you")))]
async fn accept_follow(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<StatusCode, Problem> {
    services.accept_follow(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let somebody not follow you who asked
#[utoipa::path(delete, path = "/api/v1/me/follow-requests/{name}", tag = "people",
    params(("name" = String, Path, description = "Their name")),
    responses((status = 204, description = "They do not ask any more")))]
async fn refuse_follow(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<StatusCode, Problem> {
    services.refuse_follow(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Have somebody follow you no more
#[utoipa::path(delete, path = "/api/v1/me/followers/{name}", tag = "people",
    params(("name" = String, Path, description = "Their name")),
    responses((status = 204, description = "They do not follow you any more")))]
async fn remove_follower(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<StatusCode, Problem> {
    services.remove_follower(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Block somebody
///
/// Neither follows the other any more, and they do not see you.
#[utoipa::path(put, path = "/api/v1/users/{name}/block", tag = "people",
    params(("name" = String, Path, description = "Their name")),
    responses((status = 204, description = "They are blocked")))]
async fn block(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<StatusCode, Problem> {
    services.block(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Block somebody no more
#[utoipa::path(delete, path = "/api/v1/users/{name}/block", tag = "people",
    params(("name" = String, Path, description = "Their name")),
    responses((status = 204, description = "They are not blocked")))]
async fn unblock(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<StatusCode, Problem> {
    services.unblock(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List whom you block
#[utoipa::path(get, path = "/api/v1/me/blocks", tag = "people", params(Paging),
    responses((status = 200, description = "Whom you block", body = Page<User>)))]
async fn list_blocks(
    State(services): State<Services>,
    Asking(caller): Asking,
    Paging(asked): Paging,
) -> Result<Json<Page<User>>, Problem> {
    let people = services.list_blocks(&caller, asked).await?;
    page(&services, &caller, people).await
}

/// Mute somebody
///
/// They are not told.
#[utoipa::path(put, path = "/api/v1/users/{name}/mute", tag = "people",
    params(("name" = String, Path, description = "Their name")),
    responses((status = 204, description = "They are muted")))]
async fn mute(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<StatusCode, Problem> {
    services.mute(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mute somebody no more
#[utoipa::path(delete, path = "/api/v1/users/{name}/mute", tag = "people",
    params(("name" = String, Path, description = "Their name")),
    responses((status = 204, description = "They are not muted")))]
async fn unmute(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<StatusCode, Problem> {
    services.unmute(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List whom you mute
#[utoipa::path(get, path = "/api/v1/me/mutes", tag = "people", params(Paging),
    responses((status = 200, description = "Whom you mute", body = Page<User>)))]
async fn list_mutes(
    State(services): State<Services>,
    Asking(caller): Asking,
    Paging(asked): Paging,
) -> Result<Json<Page<User>>, Problem> {
    let people = services.list_mutes(&caller, asked).await?;
    page(&services, &caller, people).await
}

/// The body of a change as the document has it: which names there are, and what they may be.
struct PreferenceChanges;

impl ToSchema for PreferenceChanges {}

impl PartialSchema for PreferenceChanges {
    fn schema() -> RefOr<Schema> {
        let mut names =
            ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(false)));
        for (name, values) in KNOWN_PREFERENCES {
            let types = SchemaType::from_iter([Type::String, Type::Null]);
            let values = values.iter().map(|value| Value::from(*value));
            let value = ObjectBuilder::new()
                .schema_type(types)
                .enum_values(Some(values.chain([Value::Null])));
            names = names.property(*name, value);
        }
        names.into()
    }
}

/// Preferences by their names.
type Preferences = BTreeMap<String, String>;

fn by_name(preferences: Vec<Preference>) -> Json<Preferences> {
    let pairs = preferences.into_iter().map(|one| (one.name, one.value));
    Json(pairs.collect())
}

/// Show your preferences
///
/// All of them, the defaults too.
#[utoipa::path(get, path = "/api/v1/me/preferences", tag = "people",
    responses((status = 200, description = "Preferences by their names", body = BTreeMap<String, String>)))]
async fn list_preferences(
    State(services): State<Services>,
    Asking(caller): Asking,
) -> Result<Json<Preferences>, Problem> {
    Ok(by_name(services.list_preferences(&caller).await?))
}

/// Set some of your preferences
///
/// `null` is the default.
#[utoipa::path(patch, path = "/api/v1/me/preferences", tag = "people",
    request_body = PreferenceChanges,
    responses((status = 200, description = "All preferences", body = BTreeMap<String, String>)))]
async fn set_preferences(
    State(services): State<Services>,
    Asking(caller): Asking,
    Body(changes): Body<BTreeMap<String, Option<String>>>,
) -> Result<Json<Preferences>, Problem> {
    let changes = changes.into_iter();
    let changes = changes.map(|(name, value)| PreferenceInput { name, value });
    let all = services.set_preferences(&caller, changes.collect()).await?;
    Ok(by_name(all))
}
