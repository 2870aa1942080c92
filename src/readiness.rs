//! Whether what this process depends on answers.

use std::sync::Arc;
use std::time::Duration;

use storage::rows::Database;
use storage::{ObjectError, ObjectStore};
use tokio::time::timeout;

/// How long a dependency may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The dependencies of this process.
#[derive(Debug)]
pub struct Readiness {
    database: Database,
    objects: Arc<dyn ObjectStore>,
}

impl Readiness {
    /// Of rows and objects.
    pub fn new(database: Database, objects: Arc<dyn ObjectStore>) -> Self {
        Self { database, objects }
    }

    /// What does not answer, one line each.
    pub async fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        match timeout(PATIENCE, self.database.ping()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => faults.push(format!("database: {error}")),
            Err(_) => faults.push("database: no answer".to_owned()),
        }
        match timeout(PATIENCE, self.objects.head("readiness")).await {
            Ok(Ok(_) | Err(ObjectError::NotFound(_))) => {}
            Ok(Err(error)) => faults.push(format!("objects: {error}")),
            Err(_) => faults.push("objects: no answer".to_owned()),
        }
        faults
    }
}
