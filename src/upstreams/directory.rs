//! What the registry tells the pool of an edge: which origin has which live stream, and, where
//! it is to find them, which origins and shields there are.
//!
//! The registry says who exists, and the pool's health who may be asked. So an origin whose lease
//! has run out stays as long as it is up, for some minutes: that it cannot reach the database is no
//! reason not to ask it. A shield goes with its lease, since it does not hear of purges any more,
//! and origins stand behind it. One that has left goes at once. While the database is away nothing
//! changes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use edge::{HttpUpstream, Member, MemberKind, MemberState, Pool};
use media::{Clock, Micros, Timestamp};
use storage::rows::origins::Listed;
use storage::rows::{Database, RowError, edge_nodes, origins};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::Maker;
use crate::config::{MAX_UPSTREAMS, Tier};
use crate::wake::Wakes;

/// How often the rows are looked at where events come from other processes.
const POLL: Duration = Duration::from_secs(1);
/// The same where they do not.
const POLL_WITHOUT_EVENTS: Duration = Duration::from_millis(250);
/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an origin whose lease has run out is a member: another may be at its address later.
const SILENCE: Micros = Micros::from_secs(300);
/// Live streams with a route. Those beyond are searched for.
const MAX_ROUTES: u32 = 50_000;
/// The groups of members that the registry tells of, as those of `edge.shields` and
/// `edge.origins`.
const SHIELDS: u32 = 0;
const ORIGINS: u32 = 1;

/// What a directory is made of.
pub struct DirectoryParts {
    /// The registry.
    pub database: Database,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What tells that the registry has changed.
    pub wakes: Wakes,
    /// Whether that comes from other processes too.
    pub events_are_shared: bool,
    /// What is told.
    pub pool: Pool<HttpUpstream>,
    /// Makes what asks a member.
    pub maker: Maker,
    /// Members by configuration, which are there whatever the registry says.
    pub configured: Vec<Member>,
    /// As what it looks for others; `None`: not at all.
    pub discovers: Option<Tier>,
}

/// Keeps a pool as the registry has it.
pub struct Directory {
    parts: DirectoryParts,
    routes: HashMap<String, String>,
    /// As the pool has them.
    members: Vec<Member>,
    /// What asks them, but for those of the configuration that the pool had before.
    services: HashMap<String, HttpUpstream>,
    /// Those that the registry has and that cannot be asked.
    unmade: HashSet<String>,
    /// Why the registry was not read last; empty: it was.
    fault: String,
}

impl Directory {
    /// With what the registry says now.
    pub async fn start(parts: DirectoryParts) -> Result<Self, RowError> {
        let mut directory = Self {
            routes: HashMap::new(),
            members: parts.configured.clone(),
            services: HashMap::new(),
            unmade: HashSet::new(),
            fault: String::new(),
            parts,
        };
        directory.look().await?;
        Ok(directory)
    }

    /// Follows the registry until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut ticks = interval(match self.parts.events_are_shared {
            true => POLL,
            false => POLL_WITHOUT_EVENTS,
        });
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
                () = self.parts.wakes.heard() => {}
            }
            let looking = timeout(PATIENCE, self.look());
            let fault = match shutdown.run_until_cancelled(looking).await {
                None => return,
                Some(Ok(Ok(()))) => String::new(),
                Some(Ok(Err(error))) => error.to_string(),
                Some(Err(_)) => "the database does not answer".to_owned(),
            };
            self.tell(fault);
        }
    }

    /// Logs it once.
    fn tell(&mut self, fault: String) {
        match (self.fault.is_empty(), fault.is_empty()) {
            (true, false) => tracing::warn!(
                error = fault,
                "the registry of origins is not read: members and routes stay as they are"
            ),
            (false, true) => tracing::info!("the registry of origins is read again"),
            _ => {}
        }
        self.fault = fault;
    }

    async fn look(&mut self) -> Result<(), RowError> {
        let DirectoryParts {
            database,
            clock,
            discovers,
            ..
        } = &self.parts;
        let limit = u32::try_from(MAX_UPSTREAMS).unwrap_or(u32::MAX);
        let now = clock.now();
        let shields = match discovers {
            Some(Tier::Edge) => edge_nodes::shields(database, now, limit).await?,
            Some(Tier::Shield) | None => Vec::new(),
        };
        let origins = match discovers {
            Some(_) => origins::reachable(database, now - SILENCE, limit).await?,
            None => Vec::new(),
        };
        let routes = origins::routes(database, MAX_ROUTES).await?;
        if discovers.is_some() {
            // Before the routes: these name members.
            self.set_members(&[
                (MemberKind::Shield, SHIELDS, shields),
                (MemberKind::Origin, ORIGINS, origins),
            ]);
        }
        self.set_routes(routes.into_iter().map(|route| {
            let url = route.url.trim_end_matches('/').to_owned();
            (route.stream.to_string(), url)
        }));
        Ok(())
    }

    fn set_members(&mut self, found: &[(MemberKind, u32, Vec<Listed>)]) {
        let parts = &self.parts;
        let known = parts.pool.members();
        let members = members(&parts.configured, found, &known, parts.clock.now());
        if members == self.members && self.unmade.is_empty() {
            return;
        }
        let has = |name: &String| members.iter().any(|member| member.name == *name);
        self.services.retain(|name, _| has(name));
        self.unmade.retain(has);
        // What cannot be made now is tried again with the next look.
        let services: Vec<_> = members
            .into_iter()
            .filter_map(|member| self.service(&member.name).map(|service| (member, service)))
            .collect();
        let members: Vec<_> = services.iter().map(|(member, _)| member.clone()).collect();
        if members != self.members {
            self.parts.pool.set_members(services);
            self.members = members;
        }
    }

    /// What asks the member, if it can be made. Why not is logged once.
    fn service(&mut self, name: &str) -> Option<HttpUpstream> {
        if let Some(service) = self.services.get(name) {
            return Some(service.clone());
        }
        match self.parts.maker.make(name) {
            Ok(service) => {
                self.unmade.remove(name);
                self.services.insert(name.to_owned(), service.clone());
                Some(service)
            }
            Err(error) => {
                if self.unmade.insert(name.to_owned()) {
                    tracing::warn!(member = name, %error, "the registry has a member that cannot be asked");
                }
                None
            }
        }
    }

    fn set_routes(&mut self, routes: impl Iterator<Item = (String, String)>) {
        let routes: HashMap<_, _> = routes.collect();
        if routes == self.routes {
            return;
        }
        for (stream, origin) in &routes {
            if self.routes.get(stream) != Some(origin) {
                tracing::info!(stream, origin, "a live stream has an origin");
            }
        }
        metrics::gauge!("nova_edge_upstream_routes").set(routes.len() as f64);
        self.parts.pool.set_routes(routes.clone());
        self.routes = routes;
    }
}

/// Those of the configuration, and those that were `found` and that may be there: they have a
/// lease, or are origins that the pool knows as up. Not more than a pool may have.
fn members(
    configured: &[Member],
    found: &[(MemberKind, u32, Vec<Listed>)],
    known: &[MemberState],
    now: Timestamp,
) -> Vec<Member> {
    let mut members = configured.to_vec();
    for (kind, group, listed) in found {
        for Listed { url, lease_until } in listed {
            let name = url.trim_end_matches('/');
            let may_stay = || {
                let is_up = |one: &MemberState| one.member.name == name && one.up;
                *kind == MemberKind::Origin && known.iter().any(is_up)
            };
            let is_new = members.iter().all(|member| member.name != name);
            if is_new && members.len() < MAX_UPSTREAMS && (*lease_until > now || may_stay()) {
                members.push(Member {
                    name: name.to_owned(),
                    kind: *kind,
                    group: *group,
                    weight: 1,
                });
            }
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use media::{ManualClock, NodeId};
    use storage::events::{Bus, LocalBus, SubjectPattern};
    use storage::rows::IfMissing;
    use storage::rows::origins::NewOrigin;

    use super::*;
    use crate::config::Config;
    use crate::origin_node::MOVED;
    use crate::upstreams::pool;

    fn member(name: &str, kind: MemberKind, group: u32) -> Member {
        Member {
            name: name.to_owned(),
            kind,
            group,
            weight: 1,
        }
    }

    fn listed(url: &str, lease_until: i64) -> Listed {
        Listed {
            url: url.to_owned(),
            lease_until: Timestamp::from_micros(lease_until),
        }
    }

    #[test]
    fn who_has_a_lease_or_is_up_is_a_member() {
        let configured = [member("http://a", MemberKind::Origin, 7)];
        let origins = vec![
            listed("http://a/", 100),
            listed("http://b/", 100),
            listed("http://silent-and-up", 50),
            listed("http://silent-and-out", 50),
            listed("http://silent-and-unknown", 50),
        ];
        let found = [
            (
                MemberKind::Shield,
                SHIELDS,
                vec![
                    listed("http://s", 100),
                    listed("http://s-silent-and-up", 50),
                ],
            ),
            (MemberKind::Origin, ORIGINS, origins),
        ];
        let state = |name: &str, up| MemberState {
            member: member(name, MemberKind::Origin, ORIGINS),
            up,
            seen: true,
            under_way: 0,
        };
        let known = [
            state("http://s-silent-and-up", true),
            state("http://silent-and-up", true),
            state("http://silent-and-out", false),
        ];
        let members = members(&configured, &found, &known, Timestamp::from_micros(50));
        let expected = [
            // As it is configured.
            member("http://a", MemberKind::Origin, 7),
            member("http://s", MemberKind::Shield, 0),
            member("http://b", MemberKind::Origin, 1),
            member("http://silent-and-up", MemberKind::Origin, 1),
        ];
        assert_eq!(members, expected);
    }

    #[tokio::test]
    async fn a_member_that_could_not_be_made_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let rows = format!("sqlite:{}", folder.path().join("nova.db").display());
        let database = Database::open(&rows, IfMissing::Create).await.unwrap();
        database.migrate().await.unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1)));
        for url in ["http://a:8081", "https://b:8081"] {
            let origin = NewOrigin {
                id: NodeId::new(),
                instance: "test".to_owned(),
                url: url.to_owned(),
                is_alone: false,
                version: "1".to_owned(),
            };
            let lease = Micros::from_secs(15);
            let place = origins::register(&database, &origin, lease, clock.now()).await;
            assert!(place.unwrap().is_some());
        }
        let mut config = Config::default();
        let authorities = folder.path().join("authorities.pem");
        config.edge.authorities = authorities.display().to_string();
        let pool = pool(&config, &edge::EdgeConfig::default()).unwrap();
        let bus = LocalBus::new();
        let subject = SubjectPattern::new(MOVED).unwrap();
        let events = bus.subscribe(&subject).await.unwrap();
        let mut directory = Directory::start(DirectoryParts {
            database,
            clock,
            wakes: Wakes::new(events),
            events_are_shared: false,
            pool: pool.clone(),
            maker: Maker::new(&config),
            configured: Vec::new(),
            discovers: Some(Tier::Shield),
        })
        .await
        .unwrap();
        let names = || {
            let members = pool.members().into_iter();
            members.map(|state| state.member.name).collect::<Vec<_>>()
        };
        assert_eq!(names(), ["http://a:8081"]);
        directory.look().await.unwrap();
        assert_eq!(names(), ["http://a:8081"]);
        let made = rcgen::generate_simple_self_signed(["b".to_owned()]).unwrap();
        std::fs::write(authorities, made.cert.pem()).unwrap();
        directory.look().await.unwrap();
        assert_eq!(names(), ["http://a:8081", "https://b:8081"]);
    }

    #[test]
    fn a_registry_does_not_fill_a_pool_without_bound() {
        let origins = (0..2 * MAX_UPSTREAMS).map(|n| listed(&format!("http://o{n}"), 100));
        let found = [(MemberKind::Origin, ORIGINS, origins.collect())];
        let members = members(&[], &found, &[], Timestamp::from_micros(0));
        assert_eq!(members.len(), MAX_UPSTREAMS);
    }
}
