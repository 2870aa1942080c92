//! What a newcomer sees when the server is up.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::Config;
use crate::demo::{self, Demo};

/// Where this process listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// For players and people.
    pub http: Option<SocketAddr>,
    /// For encoders.
    pub rtmp: Option<SocketAddr>,
    /// For the operator.
    pub admin: SocketAddr,
}

/// Prints where to watch, where to publish and where data is kept, to standard output.
pub fn print(config: &Config, addresses: Addresses, demo: Option<&Demo>) {
    let mut text = format!("\n  Nova {}\n\n", env!("CARGO_PKG_VERSION"));
    let mut line = |label: &str, value: &str| {
        text.push_str(&format!("  {label:<10} {value}\n"));
    };
    if let Some(http) = addresses.http {
        line(
            "Watch",
            &format!("{}://{}/", config.http.scheme(), reachable(http)),
        );
    }
    if let Some(rtmp) = addresses.rtmp {
        let host = reachable(rtmp);
        let host = host.strip_suffix(":1935").unwrap_or(&host);
        line("OBS", "Settings > Stream > Service: Custom...");
        line("  Server", &format!("rtmp://{host}/live"));
        let key = if demo.is_some() {
            demo::NAME
        } else {
            "from: nova stream create NAME --owner USER"
        };
        line("  Key", key);
    }
    for (label, name, password) in demo.map(Demo::logins).unwrap_or_default() {
        line(label, &format!("{name} / {password}"));
    }
    line("Data", &absolute(config));
    line("Metrics", &format!("http://{}/metrics", addresses.admin));
    line("Stop", "Ctrl-C");
    // A closed terminal is no reason to stop.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// An address as a person would type it on this machine.
fn reachable(address: SocketAddr) -> String {
    let host = match address.ip() {
        IpAddr::V4(Ipv4Addr::LOCALHOST | Ipv4Addr::UNSPECIFIED) => "localhost".to_owned(),
        IpAddr::V6(ip) if ip.is_unspecified() || ip.is_loopback() => "localhost".to_owned(),
        IpAddr::V6(ip) => format!("[{ip}]"),
        IpAddr::V4(ip) => ip.to_string(),
    };
    format!("{host}:{}", address.port())
}

fn absolute(config: &Config) -> String {
    std::path::absolute(&config.data_dir)
        .unwrap_or_else(|_| config.data_dir.clone())
        .display()
        .to_string()
}
