//! The dependency direction of the crates, as `docs/ARCHITECTURE.md` gives it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Each crate with those of ours it may name.
const ALLOWED: &[(&str, &[&str])] = &[
    ("media", &[]),
    ("peers", &[]),
    ("measured", &[]),
    ("ingest", &["media"]),
    ("transcode", &["media"]),
    ("storage", &["media"]),
    ("packager", &["media", "storage"]),
    ("edge", &["media", "storage"]),
    ("social", &["media", "storage"]),
    (
        "nova",
        &[
            "media",
            "ingest",
            "transcode",
            "packager",
            "storage",
            "edge",
            "social",
        ],
    ),
];

/// What would make `media` more than a vocabulary.
const IO: &[&str] = &[
    "tokio",
    "hyper",
    "axum",
    "sqlx",
    "mio",
    "socket2",
    "async-std",
];

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| {
            let normal = package["dependencies"]
                .as_array()
                .expect("dependencies")
                .iter()
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| dependency["name"].as_str().expect("name").to_owned())
                .collect();
            (package["name"].as_str().expect("name").to_owned(), normal)
        })
        .collect()
}

#[test]
fn dependencies_go_one_way() {
    let dependencies = dependencies();
    let ours: BTreeSet<_> = ALLOWED.iter().map(|(name, _)| *name).collect();
    for (name, allowed) in ALLOWED {
        let named: BTreeSet<_> = dependencies[*name]
            .iter()
            .map(String::as_str)
            .filter(|dependency| ours.contains(dependency))
            .collect();
        let allowed: BTreeSet<_> = allowed.iter().copied().collect();
        let beyond: Vec<_> = named.difference(&allowed).collect();
        assert!(beyond.is_empty(), "{name} must not depend on {beyond:?}");
    }
}

#[test]
fn every_crate_is_placed() {
    let known: BTreeSet<_> = ALLOWED
        .iter()
        .map(|(name, _)| *name)
        .chain(["benches"])
        .collect();
    for name in dependencies().keys() {
        assert!(
            known.contains(name.as_str()),
            "{name} is not in the list above"
        );
    }
}

#[test]
fn media_does_no_io() {
    let dependencies = dependencies();
    for name in IO {
        assert!(
            !dependencies["media"].contains(*name),
            "media depends on {name}"
        );
    }
}
