//! Preferences: what a user set differently from the default. A closed set of names, so that
//! clients can rely on what they mean.

use storage::rows::preferences;

use crate::caller::Caller;
use crate::error::Fields;
use crate::model::{Preference, PreferenceInput};
use crate::operation::Operation;
use crate::{ServiceError, Services};

/// Whether going live makes a post.
pub(crate) const POST_WHEN_LIVE: &str = "post_when_live";

/// Whether somebody is told of something.
const WANTED: &[&str] = &["on", "off"];

/// Names, what they may be, and the default first.
pub(crate) const KNOWN_PREFERENCES: &[(&str, &[&str])] = &[
    ("autoplay", &["on", "off"]),
    ("captions", &["off", "on"]),
    ("notify_comment", WANTED),
    ("notify_follow", WANTED),
    ("notify_follow_accepted", WANTED),
    ("notify_follow_request", WANTED),
    ("notify_like", WANTED),
    ("notify_mention", WANTED),
    ("notify_quote", WANTED),
    ("notify_share", WANTED),
    ("notify_went_live", WANTED),
    (POST_WHEN_LIVE, &["no", "yes"]),
    ("theme", &["system", "light", "dark"]),
];

impl Services {
    /// All of the caller's preferences, the defaults too.
    pub async fn list_preferences(&self, caller: &Caller) -> Result<Vec<Preference>, ServiceError> {
        let actor = self.begin_known(caller, Operation::ListPreferences)?;
        let set = preferences::all(&self.db, actor.user).await?;
        Ok(effective(&set))
    }

    /// Sets some of the caller's preferences; `null` is the default.
    pub async fn set_preferences(
        &self,
        caller: &Caller,
        changes: Vec<PreferenceInput>,
    ) -> Result<Vec<Preference>, ServiceError> {
        let actor = self.begin_known(caller, Operation::SetPreferences)?;
        let mut fields = Fields::default();
        for change in &changes {
            fields.read(&change.name, check(change));
        }
        if !fields.is_empty() {
            return Err(fields.into_error());
        }
        let mut transaction = self.db.write().await?;
        for PreferenceInput { name, value } in &changes {
            preferences::set(&mut transaction, actor.user, name, value.as_deref()).await?;
        }
        transaction.commit().await?;
        let set = preferences::all(&self.db, actor.user).await?;
        Ok(effective(&set))
    }
}

fn check(change: &PreferenceInput) -> Result<(), String> {
    let known = KNOWN_PREFERENCES
        .iter()
        .find(|(name, _)| *name == change.name);
    let Some((_, values)) = known else {
        let names: Vec<_> = KNOWN_PREFERENCES.iter().map(|(name, _)| *name).collect();
        return Err(format!("expected one of the names {}", names.join(", ")));
    };
    match &change.value {
        Some(value) if !values.contains(&value.as_str()) => {
            Err(format!("expected one of {}", values.join(", ")))
        }
        _ => Ok(()),
    }
}

fn effective(set: &[(String, String)]) -> Vec<Preference> {
    let value = |(name, values): &(&str, &[&str])| {
        let own = set.iter().find(|(known, _)| known == name);
        let value = own.map_or(values[0], |(_, value)| value.as_str());
        Preference {
            name: (*name).to_owned(),
            value: value.to_owned(),
        }
    };
    KNOWN_PREFERENCES.iter().map(value).collect()
}
