//! What this process tells the registry, and what it reads there.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use edge::access::Gate;
use edge::server::Server;
use edge::{EdgeConfig, HttpUpstream, Pool};
use storage::events::{Bus, SubjectPattern};

use super::Foundation;
use crate::cdn::EdgeHandles;
use crate::config::{Config, Tier};
use crate::edge_node::{AssetTable, Assets, EdgeNodeParts};
use crate::origin_node::MOVED;
use crate::roles::Roles;
use crate::upstreams::{DirectoryParts, Maker, pool_config};
use crate::wake::Wakes;

/// What the edge's place in the registry is made of.
pub(super) fn node_parts<'a>(
    config: &'a Config,
    roles: Roles,
    foundation: &Foundation,
    bus: &Arc<dyn Bus>,
    edge: &EdgeHandles,
    http: &Server,
    assets: Assets,
) -> Result<EdgeNodeParts<'a>, Box<dyn Error>> {
    Ok(EdgeNodeParts {
        database: foundation.database.clone(),
        clock: foundation.clock.clone(),
        bus: bus.clone(),
        events_are_shared: config.events.url != "local:",
        control: edge.control.clone(),
        prewarmer: edge.prewarmer.clone(),
        connections: http.open_connections(),
        data_dir: &config.data_dir,
        roles: roles.names(),
        url: config.edge.public_url.clone(),
        region: config.edge.region.clone(),
        has_shields: config.edge.has_shields(),
        shield_url: shield_url(config, http)?,
        assets,
        on_database_loss: config.edge.on_database_loss,
    })
}

/// What keeps the pool as the registry has it.
pub(super) async fn directory_parts(
    config: &Config,
    foundation: &Foundation,
    bus: &Arc<dyn Bus>,
    pool: &Pool<HttpUpstream>,
) -> Result<DirectoryParts, Box<dyn Error>> {
    Ok(DirectoryParts {
        database: foundation.database.clone(),
        clock: foundation.clock.clone(),
        // Before the rows are read: what is told in between is found there.
        wakes: Wakes::new(bus.subscribe(&SubjectPattern::new(MOVED)?).await?),
        events_are_shared: config.events.url != "local:",
        pool: pool.clone(),
        maker: Maker::new(config),
        configured: config.edge.members(),
        discovers: config.edge.discovers(),
    })
}

/// Where edges reach the origin; empty: nobody said so. `None` without a listener for them.
pub(super) fn origin_url(config: &Config, listener: Option<&Server>) -> Option<String> {
    let address = listener?.address();
    let given = config.origin.url.trim_end_matches('/');
    if given.is_empty() && address.ip().is_unspecified() {
        tracing::info!("edges do not find this origin in the registry: set origin.url for that");
        return Some(String::new());
    }
    Some(match given {
        "" => {
            warn_of_loopback(config, address, "origin.url");
            format!("http://{address}")
        }
        url => url.to_owned(),
    })
}

/// Who shares a database may be on other hosts, and these do not reach a loopback address.
fn warn_of_loopback(config: &Config, address: SocketAddr, key: &str) {
    if address.ip().is_loopback() && !config.database_url().starts_with("sqlite:") {
        tracing::warn!(
            %address,
            "edges on other hosts are told an address that they do not reach: set {key}"
        );
    }
}

/// Where other edges reach this one as a shield; empty: it is none.
fn shield_url(config: &Config, http: &Server) -> Result<String, Box<dyn Error>> {
    if config.edge.tier == Tier::Edge {
        return Ok(String::new());
    }
    let address = http.address();
    match config.edge.shield_url.trim_end_matches('/') {
        "" if address.ip().is_unspecified() => Err(format!(
            "edge.shield_url is empty: expected http://HOST:PORT where other edges reach this shield, since http.bind is {address}"
        )
        .into()),
        "" => {
            warn_of_loopback(config, address, "edge.shield_url");
            Ok(format!("{}://{address}", config.http.scheme()))
        }
        url => Ok(url.to_owned()),
    }
}

/// What changes when assets do. A shield lets in whoever comes: the edges in front of it have
/// taken the tokens off.
pub(super) fn assets(
    config: &Config,
    edge: &EdgeConfig,
    table: &AssetTable,
    gate: Option<&Gate>,
) -> Result<Assets, Box<dyn Error>> {
    let gate = gate.filter(|_| config.edge.tier == Tier::Edge);
    Ok(Assets {
        table: table.clone(),
        maker: Maker::new(config),
        pool: pool_config(edge),
        gate: match gate {
            Some(gate) => Some((gate.clone(), config.access_policy()?)),
            None => None,
        },
        pools: HashMap::new(),
        unmade: HashSet::new(),
    })
}
