//! Assets, and the generation that every change of them raises.

use media::{AssetId, Micros, UserId};
use storage::RowError;
use storage::rows::audit_log::{self, AuditFilter, Audited};
use storage::rows::edge_assets::{self, AssetAccess, AssetKind, AssetRules, RegisterError};
use storage::rows::{Entity, Unique};

use crate::fixtures::{NOW, TestDatabase};

on_both_engines! {
    every_change_raises_the_generation_and_no_other_does,
    names_and_prefixes_are_one_of_a_kind,
    what_is_done_is_noted_with_it,
}

fn rules(name: &str) -> AssetRules {
    AssetRules {
        name: name.to_owned(),
        path_prefix: format!("/{name}/"),
        kind: AssetKind::Vod,
        origin: String::new(),
        access: AssetAccess::Public,
        tags: vec!["a".to_owned(), "b:c".to_owned()],
    }
}

async fn every_change_raises_the_generation_and_no_other_does(test: TestDatabase) {
    let db = &test.db;
    assert_eq!(edge_assets::all(db).await.unwrap(), (0, Vec::new()));
    let one = edge_assets::register(db, &rules("one"), None, None, NOW)
        .await
        .unwrap();
    assert_eq!(one.rules, rules("one"));
    let later = NOW + Micros::from_secs(1);
    let change = |rules: &mut AssetRules| {
        rules.access = AssetAccess::Signed;
        rules.tags.clear();
    };
    let changed = edge_assets::update(db, one.id, change, None, later)
        .await
        .unwrap();
    assert_eq!(changed.rules.access, AssetAccess::Signed);
    assert_eq!((changed.created_at, changed.updated_at), (NOW, later));
    let got = edge_assets::get(db, one.id).await.unwrap();
    assert_eq!(got, Some(changed.clone()));
    assert_eq!(edge_assets::all(db).await.unwrap(), (2, vec![changed]));
    assert!(edge_assets::remove(db, one.id, None, NOW).await.unwrap());
    assert!(!edge_assets::remove(db, one.id, None, NOW).await.unwrap());
    assert_eq!(edge_assets::generation(db).await.unwrap(), 3);
    let missing = edge_assets::update(db, AssetId::new(), |_| {}, None, NOW).await;
    assert!(matches!(missing, Err(RowError::NotFound(Entity::Asset))));
    assert_eq!(edge_assets::generation(db).await.unwrap(), 3);
}

async fn names_and_prefixes_are_one_of_a_kind(test: TestDatabase) {
    let db = &test.db;
    let one = edge_assets::register(db, &rules("one"), None, None, NOW)
        .await
        .unwrap();
    let two = edge_assets::register(db, &rules("two"), None, None, NOW)
        .await
        .unwrap();
    let same_prefix = AssetRules {
        name: "three".to_owned(),
        ..rules("one")
    };
    for taken in [rules("one"), same_prefix] {
        let refused = edge_assets::register(db, &taken, None, None, NOW)
            .await
            .unwrap_err();
        assert!(matches!(
            refused,
            RegisterError::Rows(RowError::Taken(Unique::Asset))
        ));
    }
    let change = |rules: &mut AssetRules| rules.name = "one".to_owned();
    let refused = edge_assets::update(db, two.id, change, None, NOW).await;
    assert!(matches!(refused, Err(RowError::Taken(Unique::Asset))));
    let itself = edge_assets::update(db, one.id, |_| {}, None, NOW).await;
    assert_eq!(itself.unwrap().rules, rules("one"));
    let page = edge_assets::list(db, None, 1).await.unwrap();
    assert_eq!(page[0].id, one.id);
    let below = AssetRules {
        path_prefix: "/one/below/".to_owned(),
        ..rules("three")
    };
    let below = edge_assets::register(db, &below, None, None, NOW)
        .await
        .unwrap();
    for (path, expected) in [
        ("/one/a", Some(one.id)),
        ("/one/below/a", Some(below.id)),
        ("/one", None),
        ("/ONE/a", None),
    ] {
        let found = edge_assets::of_path(db, path).await.unwrap();
        assert_eq!(found.map(|asset| asset.id), expected, "{path}");
    }
    assert!(edge_assets::remove(db, below.id, None, NOW).await.unwrap());
    let next = edge_assets::list(db, Some(one.id), 1).await.unwrap();
    assert_eq!(next, [two]);
}

async fn what_is_done_is_noted_with_it(test: TestDatabase) {
    let db = &test.db;
    let actor = UserId::new();
    let audited = |action| Some(Audited { actor, action });
    let one = edge_assets::register(db, &rules("one"), audited("register"), None, NOW)
        .await
        .unwrap();
    let change = |rules: &mut AssetRules| rules.name = "two".to_owned();
    edge_assets::update(db, one.id, change, audited("update"), NOW)
        .await
        .unwrap();
    // What is not done is not noted.
    let taken = edge_assets::register(db, &rules("one"), audited("again"), None, NOW).await;
    assert!(taken.is_err());
    let removed = edge_assets::remove(db, AssetId::new(), audited("again"), NOW).await;
    assert!(!removed.unwrap());
    let removed = edge_assets::remove(db, one.id, audited("remove"), NOW).await;
    assert!(removed.unwrap());
    let noted = audit_log::list(db, AuditFilter::default(), None, 10).await;
    let mut noted = noted.unwrap();
    noted.reverse();
    let actions: Vec<_> = noted.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["register", "update", "remove"]);
    for (entry, name) in noted.iter().zip(["one", "two", "two"]) {
        assert_eq!(
            (entry.actor, entry.subject),
            (Some(actor), one.id.as_uuid())
        );
        assert_eq!(entry.subject_kind, "asset");
        let detail: serde_json::Value = serde_json::from_str(&entry.detail).unwrap();
        assert_eq!(detail["name"], name);
        assert_eq!(detail["path_prefix"], "/one/");
    }
}
