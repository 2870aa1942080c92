//! Whom an edge asks: `edge.shields`, `edge.origins`, `edge.origin`, `edge.upstreams`.

use edge::{InvalidNodeId, Member, MemberKind, NodeId};
use serde::{Deserialize, Serialize};
use storage::without_credentials;

use super::{ConfigError, Edge, is_http_origin};

/// Upstreams of one edge.
pub const MAX_UPSTREAMS: usize = 256;

/// What an edge is to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Viewers ask it.
    Edge,
    /// Other edges ask it.
    Shield,
}

/// `[[edge.upstreams]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    pub url: String,
    /// `shield` or `origin`.
    #[serde(default = "origin")]
    pub kind: Kind,
    /// The lowest group that has enough members to ask is asked.
    #[serde(default)]
    pub group: u32,
    /// Its share of the requests of its group.
    #[serde(default = "one")]
    pub weight: u32,
}

/// What an upstream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An edge that other edges ask.
    Shield,
    /// What has the media.
    Origin,
}

fn origin() -> Kind {
    Kind::Origin
}

fn one() -> u32 {
    1
}

impl Edge {
    /// The members of the pool: `upstreams`, or else `shields` and behind them `origins`, or
    /// `origin` where there are none of these and none are looked for.
    pub fn members(&self) -> Vec<Member> {
        let member = |url: &str, kind, group, weight| Member {
            name: url.trim_end_matches('/').to_owned(),
            kind,
            group,
            weight,
        };
        if !self.upstreams.is_empty() {
            let upstreams = self.upstreams.iter();
            return upstreams
                .map(|one| member(&one.url, one.kind.into(), one.group, one.weight))
                .collect();
        }
        let shields = self.shields.iter();
        let shields = shields.map(|url| member(url, MemberKind::Shield, 0, 1));
        let origins = match self.origins.is_empty() && !self.discover {
            true => std::slice::from_ref(&self.origin),
            false => &self.origins,
        };
        let origins = origins.iter().filter(|url| !url.is_empty());
        shields
            .chain(origins.map(|url| member(url, MemberKind::Origin, 1, 1)))
            .collect()
    }

    /// As what it looks for origins and shields in the registry; `None`: it does not.
    pub fn discovers(&self) -> Option<Tier> {
        self.discover.then_some(self.tier)
    }

    /// Whether it fills from other edges, or may.
    pub fn has_shields(&self) -> bool {
        if self.discovers() == Some(Tier::Edge) {
            return true;
        }
        let members = self.members();
        members.iter().any(|one| one.kind == MemberKind::Shield)
    }

    /// Its name among edges.
    pub fn node_id(&self) -> Result<NodeId, InvalidNodeId> {
        match self.node.as_str() {
            "" => Ok(NodeId::random()),
            name => name.parse(),
        }
    }

    /// What cannot be of the keys about upstreams.
    pub(super) fn check_upstreams(&self) -> Result<(), ConfigError> {
        let value = |key: &str, given: String, expected: &str| ConfigError::Value {
            key: key.to_owned(),
            given,
            expected: expected.to_owned(),
        };
        let one = [&self.origin];
        let shield_url = [&self.shield_url];
        let lists = [
            (
                "edge.origin",
                one.into_iter().filter(|url| !url.is_empty()).collect(),
            ),
            (
                "edge.shield_url",
                shield_url
                    .into_iter()
                    .filter(|url| !url.is_empty())
                    .collect(),
            ),
            ("edge.origins", self.origins.iter().collect::<Vec<_>>()),
            ("edge.shields", self.shields.iter().collect()),
            (
                "edge.upstreams.url",
                self.upstreams.iter().map(|one| &one.url).collect(),
            ),
        ];
        for (key, urls) in lists {
            let given = urls.len();
            if given > MAX_UPSTREAMS {
                return Err(value(key, given.to_string(), "256 at most"));
            }
            for url in urls {
                let plain = url.trim_end_matches('/');
                if !is_http_origin(plain, &["http", "https"]) || plain.contains('@') {
                    let expected = "http://HOST:PORT or https://HOST:PORT";
                    return Err(value(key, without_credentials(url), expected));
                }
            }
        }
        for upstream in &self.upstreams {
            if !(1..=1_000).contains(&upstream.weight) {
                let given = upstream.weight.to_string();
                return Err(value(
                    "edge.upstreams.weight",
                    given,
                    "a number from 1 to 1000",
                ));
            }
        }
        if self.members().is_empty() && !self.discover {
            let expected = "an address there, or in edge.origins, edge.shields or edge.upstreams, or edge.discover";
            return Err(value("edge.origin", "\"\"".to_owned(), expected));
        }
        self.node_id()
            .map(drop)
            .map_err(|error| value("edge.node", self.node.clone(), &error.to_string()))
    }

    /// Without passwords, for others to see.
    pub(super) fn hide_credentials(&mut self) {
        let upstreams = self.upstreams.iter_mut().map(|one| &mut one.url);
        let lists = self.origins.iter_mut().chain(&mut self.shields);
        for url in lists
            .chain(upstreams)
            .chain([&mut self.origin, &mut self.shield_url])
        {
            *url = without_credentials(url);
        }
    }
}

impl From<Kind> for MemberKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Shield => Self::Shield,
            Kind::Origin => Self::Origin,
        }
    }
}
