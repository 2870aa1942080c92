//! What says of a data directory that it is a demo's, and how far the demo has got with it.

use std::io;
use std::path::{Path, PathBuf};

/// The file that says it. It outlives the demo: the passwords of its accounts are known to all.
const FILE: &str = "demo-world";

/// How far it has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Something may be missing.
    Begun,
    /// Everything was made. What is missing now, somebody took away.
    Filled,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun\n",
            Self::Filled => "filled\n",
        }
    }
}

/// Whether a data directory is a demo's.
pub fn is_in(data_dir: &Path) -> bool {
    file(data_dir).exists()
}

/// How far the demo has got with it; none: it is no demo's.
pub(super) async fn state(data_dir: &Path) -> io::Result<Option<State>> {
    match tokio::fs::read_to_string(file(data_dir)).await {
        Ok(text) if text == State::Filled.as_str() => Ok(Some(State::Filled)),
        Ok(_) => Ok(Some(State::Begun)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Says how far it has got.
pub(super) async fn note(data_dir: &Path, state: State) -> io::Result<()> {
    tokio::fs::write(file(data_dir), state.as_str()).await
}

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_is_a_demos_from_its_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert_eq!((state(path).await.unwrap(), is_in(path)), (None, false));
        for known in [State::Begun, State::Filled] {
            note(path, known).await.unwrap();
            assert_eq!(state(path).await.unwrap(), Some(known));
            assert!(is_in(path));
        }
        // A write that was cut short.
        std::fs::write(file(path), "fil").unwrap();
        assert_eq!(state(path).await.unwrap(), Some(State::Begun));
    }
}
