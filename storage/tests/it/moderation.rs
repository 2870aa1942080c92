//! Reports and the audit log.

use media::{AuditEntryId, ReportId, UserId};
use storage::RowError;
use storage::rows::audit_log::{self, AuditFilter, NewAuditEntry};
use storage::rows::reports::{self, NewReport, ReportState};
use storage::rows::{Entity, expiry};

use crate::fixtures::TestDatabase;
use crate::users::{at, write};

on_both_engines! {
    a_report_is_open_until_it_is_resolved_once,
    reports_are_listed_by_state,
    the_audit_log_is_read_by_actor_and_subject,
    the_audit_log_goes_when_it_is_old,
}

async fn report(test: &TestDatabase, by: UserId, about: UserId) -> ReportId {
    let mut transaction = write(test).await;
    let new = NewReport {
        reporter: by,
        subject: about,
        post: None,
        reason: "spam",
        comment: "Again and again.",
    };
    let made = reports::create(&mut transaction, new, at(0)).await;
    transaction.commit().await.unwrap();
    made.unwrap().id
}

async fn resolve(test: &TestDatabase, id: ReportId) -> bool {
    let mut transaction = write(test).await;
    let resolved = reports::resolve(&mut transaction, id, "warned", at(5)).await;
    transaction.commit().await.unwrap();
    resolved.unwrap().is_some()
}

async fn a_report_is_open_until_it_is_resolved_once(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let id = report(&test, ada, bob).await;
    let row = reports::by_id(&test.db, id).await.unwrap().unwrap();
    assert_eq!((row.reporter, row.subject), (Some(ada), bob));
    assert_eq!(
        (row.reason.as_str(), row.comment.as_str()),
        ("spam", "Again and again.")
    );
    assert_eq!((row.resolved_at, row.resolution), (None, None));
    assert!(resolve(&test, id).await);
    assert!(!resolve(&test, id).await);
    assert!(!resolve(&test, ReportId::new()).await);
    let row = reports::by_id(&test.db, id).await.unwrap().unwrap();
    assert_eq!(
        (row.resolved_at, row.resolution.as_deref()),
        (Some(at(5)), Some("warned"))
    );
    let mut transaction = write(&test).await;
    let new = NewReport {
        reporter: ada,
        subject: UserId::new(),
        post: None,
        reason: "spam",
        comment: "",
    };
    let nobody = reports::create(&mut transaction, new, at(0)).await;
    assert!(matches!(nobody, Err(RowError::NotFound(Entity::User))));
}

async fn reports_are_listed_by_state(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let mut all = Vec::new();
    for n in 0..6 {
        let (by, about) = if n == 5 { (bob, ada) } else { (ada, bob) };
        all.push(report(&test, by, about).await);
    }
    for n in [1, 3, 4] {
        assert!(resolve(&test, all[n]).await);
    }
    let page = async |state, after| {
        let page = reports::list(&test.db, state, after, 2).await;
        let page: Vec<_> = page.unwrap().into_iter().map(|row| row.id).collect();
        page
    };
    assert_eq!(page(ReportState::Open, None).await, [all[0], all[2]]);
    assert_eq!(page(ReportState::Open, Some(all[2])).await, [all[5]]);
    assert_eq!(page(ReportState::Resolved, None).await, [all[4], all[3]]);
    assert_eq!(page(ReportState::Resolved, Some(all[3])).await, [all[1]]);
    let mine = reports::by_reporter(&test.db, ada, Some(all[4]), 2).await;
    let mine: Vec<_> = mine.unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(mine, [all[3], all[2]]);
}

async fn note(
    test: &TestDatabase,
    actor: Option<UserId>,
    subject: UserId,
    now: i64,
) -> AuditEntryId {
    let mut transaction = write(test).await;
    let detail = serde_json::json!({ "reason": "spam" });
    let new = NewAuditEntry {
        actor,
        action: "suspend",
        subject_kind: "user",
        subject: subject.as_uuid(),
        detail: &detail,
    };
    let id = audit_log::append(&mut transaction, new, at(now)).await;
    transaction.commit().await.unwrap();
    id.unwrap()
}

async fn the_audit_log_is_read_by_actor_and_subject(test: TestDatabase) {
    // It refers to nobody: who it names may be gone.
    let [ada, bob, eve] = [(); 3].map(|()| UserId::new());
    let mut all = Vec::new();
    for (actor, subject) in [
        (Some(ada), eve),
        (Some(bob), eve),
        (None, eve),
        (Some(ada), bob),
        (Some(ada), eve),
    ] {
        all.push(note(&test, actor, subject, 0).await);
    }
    let page = async |actor: Option<UserId>, subject: Option<UserId>, after| {
        let filter = AuditFilter {
            actor,
            subject: subject.map(UserId::as_uuid),
        };
        let page = audit_log::list(&test.db, filter, after, 3).await.unwrap();
        for entry in &page {
            assert_eq!(entry.detail, r#"{"reason":"spam"}"#);
            assert_eq!(
                (entry.action.as_str(), entry.subject_kind.as_str()),
                ("suspend", "user")
            );
        }
        let page: Vec<_> = page.into_iter().map(|entry| entry.id).collect();
        page
    };
    assert_eq!(page(None, None, None).await, [all[4], all[3], all[2]]);
    assert_eq!(page(None, None, Some(all[2])).await, [all[1], all[0]]);
    assert_eq!(page(Some(ada), None, None).await, [all[4], all[3], all[0]]);
    assert_eq!(
        page(None, Some(eve), Some(all[4])).await,
        [all[2], all[1], all[0]]
    );
    assert_eq!(page(Some(ada), Some(eve), None).await, [all[4], all[0]]);
    assert_eq!(page(Some(eve), None, None).await, []);
}

async fn the_audit_log_goes_when_it_is_old(test: TestDatabase) {
    for n in 0..3 {
        note(&test, None, UserId::new(), n).await;
    }
    let old = at(1) + expiry::AUDIT_LOG_KEPT;
    assert_eq!(expiry::delete_expired(&test.db, old, 1).await.unwrap(), 1);
    assert_eq!(expiry::delete_expired(&test.db, old, 10).await.unwrap(), 1);
    assert_eq!(expiry::delete_expired(&test.db, old, 10).await.unwrap(), 0);
    let left = audit_log::list(&test.db, AuditFilter::default(), None, 10).await;
    assert_eq!(left.unwrap().len(), 1);
}
