//! Which parts of the server run in this process.

use std::collections::BTreeSet;
use std::error::Error;

use edge::server::{BindError, Server, ServerConfig};

use crate::cli::Role;
use crate::config::Config;

/// The roles of a process, in a combination that works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// RTMP in, the ladder and the origin: the path of a frame, one process for now.
    pub media: bool,
    /// The cache that players reach.
    pub edge: bool,
    /// Web pages and the API.
    pub api: bool,
}

/// A combination of roles that cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--role {given}: ingest, transcode and origin run in one process in this version; give all three or none"
)]
pub struct SplitMediaPath {
    given: String,
}

impl Roles {
    /// Checks what was asked for.
    pub fn new(asked: &[Role]) -> Result<Self, SplitMediaPath> {
        let asked: BTreeSet<_> = asked.iter().copied().collect();
        let path = [Role::Ingest, Role::Transcode, Role::Origin];
        let media = path.iter().filter(|role| asked.contains(role)).count();
        if media != 0 && media != path.len() {
            let names: Vec<_> = asked.iter().map(Role::to_string).collect();
            return Err(SplitMediaPath {
                given: names.join(","),
            });
        }
        Ok(Self {
            media: media > 0,
            edge: asked.contains(&Role::Edge),
            api: asked.contains(&Role::Api),
        })
    }

    /// Whether everything is in this process.
    pub fn is_all(self) -> bool {
        self.media && self.edge && self.api
    }

    /// Their names, joined by commas.
    pub fn names(self) -> String {
        let names = [
            (self.media, "ingest,transcode,origin"),
            (self.edge, "edge"),
            (self.api, "api"),
        ];
        let names = names.into_iter().filter(|(has, _)| *has);
        names.map(|(_, name)| name).collect::<Vec<_>>().join(",")
    }

    /// The listener for players and people, if a role has it.
    pub async fn bind_http(self, config: &Config) -> Result<Option<Server>, Box<dyn Error>> {
        if !(self.edge || self.api) {
            return Ok(None);
        }
        let http = &config.http;
        let server = Server::bind("http", http.bind, http.limits()).await?;
        Ok(Some(match http.tls()? {
            Some(tls) => server.with_tls(tls),
            None => server,
        }))
    }

    /// The listener for edges elsewhere, if there are to be any.
    pub async fn bind_origin(self, config: &Config) -> Result<Option<Server>, BindError> {
        if !self.media || self.edge {
            return Ok(None);
        }
        let limits = ServerConfig {
            max_connections: config.http.max_connections,
            // Edges are few, and ask much.
            max_connections_per_address: config.http.max_connections,
            ..ServerConfig::default()
        };
        Server::bind("origin", config.origin.bind, limits)
            .await
            .map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_path_is_not_split() {
        let all = Roles::new(&Role::ALL).unwrap();
        assert!(all.is_all());
        let edge = Roles::new(&[Role::Edge]).unwrap();
        assert!(edge.edge && !edge.media && !edge.is_all());
        let error = Roles::new(&[Role::Ingest, Role::Edge]).unwrap_err();
        assert!(
            error.to_string().starts_with("--role ingest,edge:"),
            "{error}"
        );
    }
}
