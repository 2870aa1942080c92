//! What the edge of this process asks, when it is not the origin in the process.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use edge::{EdgeConfig, HttpUpstream, HttpUpstreamConfig, Member, Pool, PoolConfig, UpstreamTls};

use crate::config::Config;

/// The pool that `[edge]` tells of.
pub fn pool(config: &Config, edge: &EdgeConfig) -> Result<Pool<HttpUpstream>, Box<dyn Error>> {
    let members = config.edge.members();
    let tls = match config.edge.authorities.as_str() {
        _ if !members.iter().any(is_https) => None,
        "" => Some(UpstreamTls::of_the_system()?),
        file => Some(UpstreamTls::of_file(Path::new(file))?),
    };
    let pool = Pool::new(PoolConfig {
        origin: edge.origin,
        // What is left is time enough for the other to answer.
        retry_within: edge.head_timeout / 2,
        stall: edge.body_timeout.min(Duration::from_secs(5)),
        ..PoolConfig::default()
    });
    let mut services = Vec::new();
    for member in members {
        let upstream = HttpUpstreamConfig {
            tls: tls.clone(),
            ..HttpUpstreamConfig::new(&member.name)
        };
        let service = HttpUpstream::new(&upstream)
            .map_err(|error| format!("edge upstream {}: {error}", member.name))?;
        services.push((member, service));
    }
    pool.set_members(services);
    Ok(pool)
}

fn is_https(member: &Member) -> bool {
    member.name.starts_with("https://")
}
