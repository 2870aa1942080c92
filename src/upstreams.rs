//! What the edge of this process asks, when it is not the origin in the process.

mod directory;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use edge::{EdgeConfig, HttpUpstream, HttpUpstreamConfig, Member, Pool, PoolConfig, UpstreamTls};

use crate::config::Config;

pub use directory::{Directory, DirectoryParts};

/// Makes what asks an upstream.
#[derive(Debug, Clone)]
pub struct Maker {
    /// File of certificate authorities; empty: the system's.
    authorities: String,
    /// Read when the first upstream needs it.
    tls: Option<UpstreamTls>,
}

impl Maker {
    /// With the authorities of `[edge]`.
    pub fn new(config: &Config) -> Self {
        Self {
            authorities: config.edge.authorities.clone(),
            tls: None,
        }
    }

    /// What asks the upstream at `base`.
    pub fn make(&mut self, base: &str) -> Result<HttpUpstream, Box<dyn Error + Send + Sync>> {
        if base.starts_with("https://") && self.tls.is_none() {
            self.tls = Some(match self.authorities.as_str() {
                "" => UpstreamTls::of_the_system()?,
                file => UpstreamTls::of_file(Path::new(file))?,
            });
        }
        let upstream = HttpUpstreamConfig {
            tls: self.tls.clone(),
            ..HttpUpstreamConfig::new(base)
        };
        Ok(HttpUpstream::new(&upstream)?)
    }

    /// The members, and what asks each.
    fn services(
        &mut self,
        members: Vec<Member>,
    ) -> Result<Vec<(Member, HttpUpstream)>, Box<dyn Error>> {
        let service = |member: Member| match self.make(&member.name) {
            Ok(service) => Ok((member, service)),
            Err(error) => Err(format!("edge upstream {}: {error}", member.name).into()),
        };
        members.into_iter().map(service).collect()
    }
}

/// How pools of this edge ask.
pub fn pool_config(edge: &EdgeConfig) -> PoolConfig {
    PoolConfig {
        origin: edge.origin,
        // What is left is time enough for the other to answer.
        retry_within: edge.head_timeout / 2,
        stall: edge.body_timeout.min(Duration::from_secs(5)),
        ..PoolConfig::default()
    }
}

/// The pool that `[edge]` tells of.
pub fn pool(config: &Config, edge: &EdgeConfig) -> Result<Pool<HttpUpstream>, Box<dyn Error>> {
    let pool = Pool::new(pool_config(edge));
    pool.set_members(Maker::new(config).services(config.edge.members())?);
    Ok(pool)
}
