//! What is so of a demo, whose passwords and keys are known to all.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::{Config, ConfigError};

impl Config {
    /// The defaults of `nova serve --demo`: nothing listens beyond this machine.
    pub fn demo() -> Self {
        let mut config = Self {
            // Its password and stream key are known to all: nothing else is kept there.
            data_dir: PathBuf::from("nova-demo"),
            ..Self::default()
        };
        config.ingest.rtmp_bind.set_ip(Ipv4Addr::LOCALHOST.into());
        config.http.bind.set_ip(Ipv4Addr::LOCALHOST.into());
        config
    }

    /// Refuses addresses that a demo must not listen on.
    pub fn check_demo(&self) -> Result<(), ConfigError> {
        match self.reached_from_elsewhere() {
            Some((key, given)) => Err(ConfigError::DemoAddress { key, given }),
            None => Ok(()),
        }
    }

    /// Refuses the same of a server without `--demo` whose data directory is a demo's.
    pub fn check_demo_directory(&self) -> Result<(), ConfigError> {
        match self.reached_from_elsewhere() {
            Some((key, given)) => Err(ConfigError::DemoDirectory {
                key,
                given,
                path: self.data_dir.clone(),
            }),
            None => Ok(()),
        }
    }

    /// The first address that others could reach, and its key.
    fn reached_from_elsewhere(&self) -> Option<(&'static str, SocketAddr)> {
        let addresses = [
            ("ingest.rtmp_bind", self.ingest.rtmp_bind),
            ("http.bind", self.http.bind),
            ("origin.bind", self.origin.bind),
            ("admin.bind", self.admin.bind),
        ];
        let mut addresses = addresses.into_iter();
        addresses.find(|(_, given)| !given.ip().is_loopback())
    }
}
