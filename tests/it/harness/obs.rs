//! OBS Studio on a display that nobody sees.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::Process;

/// How long a display may take to come up.
const DISPLAY_LIMIT: Duration = Duration::from_secs(30);

/// A running OBS that streams a colour and silence. Fields are dropped in their order:
/// OBS goes before its display.
pub(crate) struct Obs {
    /// OBS itself; what it logs is its standard output.
    pub(crate) process: Process,
    _display: Process,
    _home: TempDir,
}

impl Obs {
    /// Streams to the server at `rtmp`, as a person would have set it up: a custom
    /// service with a URL and a key.
    pub(crate) fn publish(rtmp: SocketAddr, key: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        configure(home.path(), rtmp, key);
        let display = Process::start(
            "Xvfb",
            Command::new("Xvfb").args(["-displayfd", "1", "-screen", "0", "800x600x24"]),
        );
        let number = display
            .stdout
            .wait_for("a display", DISPLAY_LIMIT, |line| line.parse::<u32>().ok());
        let mut command = Command::new("obs");
        command
            .args(["--startstreaming", "--minimize-to-tray", "--multi"])
            .args(["--disable-shutdown-check", "--disable-updater"])
            .env("DISPLAY", format!(":{number}"))
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            .env("HOME", home.path())
            .env("XDG_CONFIG_HOME", home.path())
            .env("XDG_RUNTIME_DIR", home.path());
        Self {
            process: Process::start("obs", &mut command),
            _display: display,
            _home: home,
        }
    }
}

/// Writes what OBS would have written after its first run.
fn configure(home: &Path, rtmp: SocketAddr, key: &str) {
    let root = home.join("obs-studio");
    let service = json!({
        "type": "rtmp_custom",
        "settings": { "server": format!("rtmp://{rtmp}/live"), "key": key, "use_auth": false },
    });
    for (path, text) in [
        ("global.ini", include_str!("../obs/global.ini")),
        (
            "basic/profiles/nova/basic.ini",
            include_str!("../obs/profile.ini"),
        ),
        ("basic/profiles/nova/service.json", &service.to_string()),
        ("basic/scenes/nova.json", include_str!("../obs/scenes.json")),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a writable directory");
        fs::write(path, text).expect("a writable directory");
    }
}
