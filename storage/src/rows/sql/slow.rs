//! Statements that take long are logged: by their first words, for a page of a copy has
//! 30,000 placeholders. Values are never in the text.

use std::time::{Duration, Instant};

use sqlx::SqlStr;

/// From here on, the wait for a connection included.
const SLOW: Duration = Duration::from_secs(1);

/// Characters that are logged.
const SHOWN: usize = 200;

/// A statement that runs, until it is dropped.
pub(super) struct Watch {
    text: SqlStr,
    began: Instant,
}

impl Watch {
    pub(super) fn over(text: &SqlStr) -> Self {
        Self {
            text: text.clone(),
            began: Instant::now(),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let elapsed = self.began.elapsed();
        if elapsed >= SLOW {
            let statement = shown(self.text.as_str());
            tracing::warn!(statement, ?elapsed, "a statement was slow");
        }
    }
}

/// The first words, on one line.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for word in text.split_whitespace() {
        if shown.len() + word.len() >= SHOWN {
            shown.push_str(" ...");
            break;
        }
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(word);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_shown_in_short() {
        assert_eq!(shown("SELECT 1\n     FROM users"), "SELECT 1 FROM users");
        let page = format!("INSERT INTO things VALUES {}", "($1, $2), ".repeat(15_000));
        let short = shown(&page);
        assert!(short.starts_with("INSERT INTO things"), "{short}");
        assert!(short.len() <= SHOWN + 4, "{}", short.len());
    }
}
