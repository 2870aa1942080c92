//! Who may have what is served, and the keys that say so.

use edge::access::{KeyRing, PathScope, Policy, Rule};

use super::{Config, ConfigError};

impl Config {
    /// The keys of signed URLs and cookies, those in the file too.
    pub fn access_keys(&self) -> Result<KeyRing, ConfigError> {
        let path = &self.access.keys_file;
        if path.as_os_str().is_empty() {
            return self.access_keys_with(None);
        }
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.clone(),
            source,
        })?;
        self.access_keys_with(Some(&text))
    }

    /// The same, where `file` is what is in the file.
    pub fn access_keys_with(&self, file: Option<&str>) -> Result<KeyRing, ConfigError> {
        let mut keys = self.access.keys.clone();
        let mut key = "access.keys";
        if let Some(text) = file {
            // As it may be while it is written.
            if text.parse::<KeyRing>().is_ok_and(|ring| ring.is_empty()) {
                return Err(self.empty_keys_file());
            }
            keys.push('\n');
            keys.push_str(text);
            key = "access.keys and access.keys_file";
        }
        keys.push('\n');
        keys.push_str(&self.access.shared_key);
        let ring: KeyRing = keys
            .parse()
            .map_err(|error| ConfigError::Keys { key, error })?;
        match ring.is_empty() && !self.access_policy()?.is_open() {
            true => Err(self.no_keys()),
            false => Ok(ring),
        }
    }

    /// A file is named, and there is no key in it.
    fn empty_keys_file(&self) -> ConfigError {
        ConfigError::Value {
            key: "access.keys_file".to_owned(),
            given: self.access.keys_file.display().to_string(),
            expected: "a file with a key at least; nova url key makes one".to_owned(),
        }
    }

    /// Something is protected, and no key opens it.
    pub(super) fn no_keys(&self) -> ConfigError {
        ConfigError::Value {
            key: "access.signed".to_owned(),
            given: format!("{:?}", self.access.signed),
            expected: "also a key in access.keys or access.keys_file, or nobody could watch; nova url key makes one".to_owned(),
        }
    }

    /// What needs a token.
    pub fn access_policy(&self) -> Result<Policy, ConfigError> {
        let of = |key, paths: &str, rule| {
            let paths = paths
                .split(',')
                .map(str::trim)
                .filter(|path| !path.is_empty());
            let scopes: Result<Vec<(PathScope, Rule)>, _> = paths
                .map(|path| path.parse().map(|scope| (scope, rule)))
                .collect();
            scopes.map_err(|error| ConfigError::Path { key, error })
        };
        let signed = of("access.signed", &self.access.signed, Rule::Signed)?;
        let public = of("access.public", &self.access.public, Rule::Public)?;
        for (key, rules) in [("access.signed", &signed), ("access.public", &public)] {
            if let Some((scope, _)) = rules.iter().find(|(scope, _)| is_folder_of_media(scope)) {
                return Err(ConfigError::Value {
                    key: key.to_owned(),
                    given: format!("{:?}", scope.as_str()),
                    expected: format!("{scope}/, which is all below it; there is nothing else"),
                });
            }
        }
        if signed.is_empty() && !public.is_empty() {
            return Err(ConfigError::Value {
                key: "access.public".to_owned(),
                given: format!("{:?}", self.access.public),
                expected: "also access.signed: these are paths among those".to_owned(),
            });
        }
        Ok(signed.into_iter().chain(public).collect())
    }
}

/// Is it `/live`, `/vod`, or one folder in them, without the slash that would mean what is in
/// it? Nothing is served by these names.
fn is_folder_of_media(scope: &PathScope) -> bool {
    let mut segments = scope.as_str().split('/').skip(1);
    let is_media = matches!(segments.next(), Some("live" | "vod"));
    is_media && segments.next() != Some("") && segments.next().is_none()
}
