//! What can be said of a stream, and what is wrong with what was said.

use media::StreamName;
use storage::rows::streams::{Change, TakeoverPolicy, Visibility};

use super::MediaPlane;
use crate::ServiceError;
use crate::error::Fields;
use crate::model::{CreateStreamInput, UpdateStreamInput};
use crate::posts::text;

/// The longest title, in characters.
pub(crate) const MAX_TITLE: usize = 140;

/// The longest name of a key, in characters.
pub(crate) const MAX_KEY_NAME: usize = 100;

/// What stands for the installation's ladder.
const DEFAULT_LADDER: &str = "default";

/// What was said of a stream, and can be.
#[derive(Debug, Default)]
pub(super) struct Said {
    title: Option<String>,
    description: Option<String>,
    visibility: Option<Visibility>,
    takeover: Option<TakeoverPolicy>,
    pub(super) recording: Option<bool>,
    ladder: Option<Option<String>>,
    post_when_live: Option<Option<bool>>,
}

impl Said {
    pub(super) fn change(&self) -> Change<'_> {
        Change {
            title: self.title.as_deref(),
            description: self.description.as_deref(),
            visibility: self.visibility,
            takeover: self.takeover,
            recording: self.recording,
            ladder: self.ladder.as_ref().map(Option::as_deref),
            post_when_live: self.post_when_live,
        }
    }
}

/// The name, and what else was said, of a stream to be made.
pub(super) fn read_new(
    input: &CreateStreamInput,
    plane: &dyn MediaPlane,
) -> Result<(StreamName, Said), ServiceError> {
    let mut fields = Fields::default();
    let name = fields.read("name", input.name.parse::<StreamName>());
    let said = Said {
        title: line(&mut fields, "title", input.title.as_deref(), MAX_TITLE),
        description: description(&mut fields, input.description.as_deref()),
        visibility: input.visibility.map(Into::into),
        takeover: input.takeover.map(Into::into),
        recording: input.recording,
        ladder: ladder(&mut fields, input.ladder.as_deref(), plane),
        post_when_live: input.post_when_live.map(Into::into),
    };
    match name {
        Some(name) if fields.is_empty() => Ok((name, said)),
        _ => Err(fields.into_error()),
    }
}

/// What was said of a stream that is there.
pub(super) fn read_change(
    input: &UpdateStreamInput,
    plane: &dyn MediaPlane,
) -> Result<Said, ServiceError> {
    let mut fields = Fields::default();
    if input.delete_recordings && input.recording != Some(false) {
        let together = "goes with recording switched off";
        fields.read("delete_recordings", Err::<(), _>(together));
    }
    let said = Said {
        title: line(&mut fields, "title", input.title.as_deref(), MAX_TITLE),
        description: description(&mut fields, input.description.as_deref()),
        visibility: input.visibility.map(Into::into),
        takeover: input.takeover.map(Into::into),
        recording: input.recording,
        ladder: ladder(&mut fields, input.ladder.as_deref(), plane),
        post_when_live: input.post_when_live.map(Into::into),
    };
    match fields.is_empty() {
        true => Ok(said),
        false => Err(fields.into_error()),
    }
}

/// What a key is called.
pub(super) fn key_name(name: Option<&str>) -> Result<String, ServiceError> {
    let mut fields = Fields::default();
    let name = line(&mut fields, "name", name, MAX_KEY_NAME);
    match fields.is_empty() {
        true => Ok(name.unwrap_or_default()),
        false => Err(fields.into_error()),
    }
}

/// A line of text that reads as it was written, without the space around it.
fn line(fields: &mut Fields, field: &str, given: Option<&str>, most: usize) -> Option<String> {
    let given = given?.trim();
    let is_line = given.chars().count() <= most && !given.contains('\n');
    let expected = || format!("expected a line of at most {most} characters");
    let read = is_line.then_some(()).ok_or_else(expected);
    let read = read.and_then(|()| text::check(given).map_err(|error| error.to_string()));
    fields.read(field, read).map(|()| given.to_owned())
}

fn description(fields: &mut Fields, given: Option<&str>) -> Option<String> {
    let given = given?.trim();
    let read = fields.read("description", text::check(given));
    read.map(|()| given.to_owned())
}

fn ladder(
    fields: &mut Fields,
    given: Option<&str>,
    plane: &dyn MediaPlane,
) -> Option<Option<String>> {
    match given?.trim() {
        DEFAULT_LADDER => Some(None),
        text => fields.read("ladder", plane.ladder(text)).map(Some),
    }
}
