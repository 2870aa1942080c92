//! The connections of a listener: how many, and which have to end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::time::Instant;

use super::activity::{Activity, Cut, Listener, Order};
use super::watch::Watch;

/// All that are open. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Connections(Arc<Inner>);

/// How many connections of a listener are open.
#[derive(Debug, Clone, Default)]
pub struct OpenConnections(Arc<AtomicU64>);

impl OpenConnections {
    /// Their number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Inner {
    listener: Arc<Listener>,
    open: Mutex<Open>,
    number: OpenConnections,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    entries: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    activity: Arc<Activity>,
    watch: Watch,
}

/// One that is open; dropped, it is not any more.
#[derive(Debug)]
pub(super) struct Registered {
    connections: Connections,
    key: u64,
    pub(super) activity: Arc<Activity>,
}

impl Connections {
    pub(super) fn new(listener: Arc<Listener>, number: OpenConnections) -> Self {
        Self(Arc::new(Inner {
            listener,
            open: Mutex::default(),
            number,
        }))
    }

    /// None if there are as many as may be.
    pub(super) fn register(&self, now: Instant) -> Option<Registered> {
        let listener = &self.0.listener;
        let activity = Arc::new(Activity::new(listener));
        let mut open = self.lock();
        if open.entries.len() >= listener.config.max_connections {
            return None;
        }
        let key = open.next;
        open.next += 1;
        let entry = Entry {
            activity: Arc::clone(&activity),
            watch: Watch::new(now),
        };
        open.entries.insert(key, entry);
        self.show(&open);
        Some(Registered {
            connections: self.clone(),
            key,
            activity,
        })
    }

    /// Ends those that have to end.
    pub(super) fn patrol(&self, now: Instant) {
        let config = &self.0.listener.config;
        for entry in self.lock().entries.values_mut() {
            let sample = entry.activity.sample();
            let order = match entry.watch.look(sample, now, config) {
                None => continue,
                // It may say goodbye, until the next look.
                Some(Cut::Idle) if entry.activity.ordered() == Order::GoOn => {
                    Order::Finish(Cut::Idle)
                }
                Some(cut) => Order::Cut(cut),
            };
            entry.activity.order(order);
        }
    }

    /// Lets requests under way finish.
    pub(super) fn drain(&self) {
        self.order(Order::Finish(Cut::Shutdown));
    }

    /// Ends all.
    pub(super) fn cut(&self) {
        self.order(Order::Cut(Cut::Shutdown));
    }

    fn order(&self, order: Order) {
        let open = self.lock();
        open.entries
            .values()
            .for_each(|entry| entry.activity.order(order));
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn show(&self, open: &Open) {
        let number = open.entries.len();
        self.0.number.0.store(number as u64, Ordering::Relaxed);
        metrics::gauge!("nova_http_connections", "listener" => self.0.listener.name)
            .set(number as f64);
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.entries.remove(&self.key);
        self.connections.show(&open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::ServerConfig;

    fn connections(max_connections: usize) -> Connections {
        let config = ServerConfig {
            max_connections,
            ..ServerConfig::default()
        };
        Connections::new(Listener::new("test", config), OpenConnections::default())
    }

    #[test]
    fn there_are_so_many_at_most_and_one_that_ends_makes_room() {
        let connections = connections(2);
        let now = Instant::now();
        let first = connections.register(now).unwrap();
        let _second = connections.register(now).unwrap();
        assert!(connections.register(now).is_none());
        drop(first);
        assert!(connections.register(now).is_some());
    }

    #[test]
    fn a_patrol_cuts_what_is_too_slow_only() {
        let connections = connections(9);
        let ServerConfig {
            header_timeout,
            idle_timeout,
            ..
        } = ServerConfig::default();
        let start = Instant::now();
        let [slow, busy, idle] = [(); 3].map(|()| connections.register(start).unwrap());
        busy.activity.request_begins();
        idle.activity.request_begins();
        idle.activity.request_ends();
        connections.patrol(start + header_timeout);
        assert_eq!(slow.activity.ordered(), Order::Cut(Cut::SlowHeader));
        assert_eq!(busy.activity.ordered(), Order::GoOn);
        // It may say goodbye first.
        connections.patrol(start + header_timeout + idle_timeout);
        assert_eq!(idle.activity.ordered(), Order::Finish(Cut::Idle));
        connections.patrol(start + header_timeout + idle_timeout);
        assert_eq!(idle.activity.ordered(), Order::Cut(Cut::Idle));
        connections.drain();
        assert_eq!(busy.activity.ordered(), Order::Finish(Cut::Shutdown));
        connections.cut();
        assert_eq!(busy.activity.ordered(), Order::Cut(Cut::Shutdown));
    }
}
