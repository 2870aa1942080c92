//! What a piece of work asks the engine, for who shows the plans of it or asks the same by another
//! client. Nothing is kept unless somebody wants it: values are what people wrote.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Value;

tokio::task_local! {
    static RECORD: Record;
}

#[derive(Clone, Default)]
struct Record(Arc<Mutex<Asked>>);

#[derive(Default)]
struct Asked {
    transactions: u32,
    statements: Vec<Statement>,
}

impl Record {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A statement that was asked.
#[derive(Clone, PartialEq, Debug)]
pub struct Statement {
    /// Its text.
    pub text: String,
    /// What was bound to its placeholders, in their order.
    pub values: Vec<Value>,
    /// The transaction that it was asked in, from 1 on, of work that has one at a time; `None`: it
    /// was alone.
    pub transaction: Option<u32>,
}

/// Does `work`, and gives what it asked on the way, in this order.
pub async fn recorded<T>(work: impl Future<Output = T>) -> (T, Vec<Statement>) {
    let record = Record::default();
    let done = RECORD.scope(record.clone(), work).await;
    let statements = std::mem::take(&mut record.asked().statements);
    (done, statements)
}

/// `work`, which another task may do, recorded as a part of what this task does.
pub fn in_current_record<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let record = RECORD.try_with(Record::clone).ok();
    async move {
        match record {
            Some(record) => RECORD.scope(record, work).await,
            None => work.await,
        }
    }
}

/// A transaction began.
pub(in crate::rows) fn note_begin() {
    // Outside of `recorded` there is no record.
    let _ = RECORD.try_with(|record| record.asked().transactions += 1);
}

/// A statement is asked.
pub(super) fn note(text: &str, values: &[Value], is_in_transaction: bool) {
    let _ = RECORD.try_with(|record| {
        let mut asked = record.asked();
        let transaction = is_in_transaction.then_some(asked.transactions);
        asked.statements.push(Statement {
            text: text.to_owned(),
            values: values.to_vec(),
            transaction,
        });
    });
}

#[cfg(test)]
mod tests {
    use super::super::{Bind, query};
    use super::*;
    use crate::rows::{Database, IfMissing};

    #[tokio::test]
    async fn what_is_asked_is_recorded_where_it_is_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("nova.db").display());
        let db = Database::open(&url, IfMissing::Create).await.unwrap();
        let asking = async {
            assert!(query("SELECT $1").bind(7_i64).exists(&db).await.unwrap());
            for _ in 0..2 {
                let mut snapshot = db.snapshot().await.unwrap();
                query("SELECT 1").rows(&mut snapshot).await.unwrap();
            }
            "done"
        };
        let (done, statements) = recorded(asking).await;
        assert_eq!(done, "done");
        let of = |text: &str, values, transaction| Statement {
            text: text.to_owned(),
            values,
            transaction,
        };
        let alone = of("SELECT $1", vec![7_i64.value()], None);
        let in_two = [1, 2].map(|number| of("SELECT 1", vec![], Some(number)));
        let expected: Vec<_> = [alone].into_iter().chain(in_two).collect();
        assert_eq!(statements, expected);
        // So is what is left to another task, if it is said so.
        let asks = |db: Database| async move { query("SELECT 3").rows(&db).await };
        let leaving = async {
            tokio::spawn(asks(db.clone())).await.unwrap().unwrap();
            let ours = in_current_record(asks(db.clone()));
            tokio::spawn(ours).await.unwrap().unwrap();
        };
        let (_, statements) = recorded(leaving).await;
        assert_eq!(statements, [of("SELECT 3", vec![], None)]);
        // Outside, nothing is kept.
        query("SELECT 2").rows(&db).await.unwrap();
        let (_, statements) = recorded(async {}).await;
        assert_eq!(statements, []);
    }
}
