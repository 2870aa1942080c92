//! What a piece of work asks the engine, for who shows the plans of it or asks the same by another
//! client. Nothing is kept unless somebody wants it: values are what people wrote.

use std::cell::RefCell;

use super::Value;

tokio::task_local! {
    static RECORD: RefCell<Record>;
}

#[derive(Default)]
struct Record {
    transactions: u32,
    statements: Vec<Statement>,
}

/// A statement that was asked.
#[derive(Clone, PartialEq, Debug)]
pub struct Statement {
    /// Its text.
    pub text: String,
    /// What was bound to its placeholders, in their order.
    pub values: Vec<Value>,
    /// The transaction that it was asked in, from 1 on; `None`: it was alone.
    pub transaction: Option<u32>,
}

/// Does `work`, and gives what it asked on the way, in this order.
pub async fn recorded<T>(work: impl Future<Output = T>) -> (T, Vec<Statement>) {
    let recording = async {
        let done = work.await;
        let statements = RECORD.with(|record| std::mem::take(&mut record.borrow_mut().statements));
        (done, statements)
    };
    RECORD.scope(RefCell::default(), recording).await
}

/// A transaction began.
pub(in crate::rows) fn note_begin() {
    // Outside of `recorded` there is no record.
    let _ = RECORD.try_with(|record| record.borrow_mut().transactions += 1);
}

/// A statement is asked.
pub(super) fn note(text: &str, values: &[Value], is_in_transaction: bool) {
    let _ = RECORD.try_with(|record| {
        let record = &mut *record.borrow_mut();
        record.statements.push(Statement {
            text: text.to_owned(),
            values: values.to_vec(),
            transaction: is_in_transaction.then_some(record.transactions),
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
        // Outside, nothing is kept.
        query("SELECT 2").rows(&db).await.unwrap();
        let (_, statements) = recorded(async {}).await;
        assert_eq!(statements, []);
    }
}
