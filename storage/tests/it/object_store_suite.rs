//! What every implementation of `ObjectStore` must do. Runs on an empty store.

use bytes::Bytes;
use storage::objects::{ObjectError, ObjectHead, ObjectStore, PAGE_KEYS};

pub(crate) async fn object_store_suite(store: &dyn ObjectStore) {
    puts_and_gets(store).await;
    absent_objects_are_not_found(store).await;
    refuses_bad_keys(store).await;
    lists_in_byte_order(store).await;
    lists_in_pages(store).await;
    deletes(store).await;
    concurrent_puts_of_one_key_leave_one_of_them(store).await;
}

async fn puts_and_gets(store: &dyn ObjectStore) {
    for data in [&b""[..], b"one", b"another, longer than the one before"] {
        let data = Bytes::from_static(data);
        store.put("live/demo/1.m4s", data.clone()).await.unwrap();
        assert_eq!(store.get("live/demo/1.m4s").await.unwrap(), data);
        let size = data.len() as u64;
        let head = store.head("live/demo/1.m4s").await.unwrap();
        assert_eq!(head, ObjectHead { size });
    }
    store.delete_prefix("live/").await.unwrap();
}

async fn absent_objects_are_not_found(store: &dyn ObjectStore) {
    store.put("a/b", Bytes::from_static(b"x")).await.unwrap();
    for absent in ["nothing", "a", "a/c", "a/b/c"] {
        let missing = |error| matches!(error, ObjectError::NotFound(key) if key == absent);
        assert!(missing(store.get(absent).await.unwrap_err()), "{absent}");
        assert!(missing(store.head(absent).await.unwrap_err()), "{absent}");
        store.delete(absent).await.unwrap();
    }
    store.delete_prefix("nothing/").await.unwrap();
    assert_eq!(store.get("a/b").await.unwrap(), "x");
    store.delete_prefix("a/").await.unwrap();
}

async fn refuses_bad_keys(store: &dyn ObjectStore) {
    for bad in ["", "/etc/passwd", "../x", "a/../../x", "a//b", ".hidden"] {
        let refused = |error| matches!(error, ObjectError::InvalidKey(_));
        let put = store.put(bad, Bytes::new()).await;
        assert!(refused(put.unwrap_err()), "{bad}");
        assert!(refused(store.get(bad).await.unwrap_err()), "{bad}");
        assert!(refused(store.head(bad).await.unwrap_err()), "{bad}");
        assert!(refused(store.delete(bad).await.unwrap_err()), "{bad}");
    }
    for bad in ["", "a", "/", "../"] {
        let refused = |error| matches!(error, ObjectError::InvalidPrefix(_));
        let deleted = store.delete_prefix(bad).await;
        assert!(refused(deleted.unwrap_err()), "{bad}");
    }
}

async fn lists_in_byte_order(store: &dyn ObjectStore) {
    let keys = ["a", "b-c/1", "b.c", "b/1", "b/10", "b/2/x", "b/2/y", "c"];
    for key in keys {
        store.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    let all = store.list("", None).await.unwrap();
    assert_eq!(all.keys, keys);
    assert_eq!(all.next, None);
    let folder = store.list("b/", None).await.unwrap();
    assert_eq!(folder.keys, ["b/1", "b/10", "b/2/x", "b/2/y"]);
    let rest = store.list("b/", Some("b/10")).await.unwrap();
    assert_eq!(rest.keys, ["b/2/x", "b/2/y"]);
    let rest = store.list("", Some("b/2/x")).await.unwrap();
    assert_eq!(rest.keys, ["b/2/y", "c"]);
    // A cursor need not be there any more.
    let rest = store.list("", Some("b/15")).await.unwrap();
    assert_eq!(rest.keys, ["b/2/x", "b/2/y", "c"]);
    assert!(store.list("none/", None).await.unwrap().keys.is_empty());
    for key in keys {
        store.delete(key).await.unwrap();
    }
    assert!(store.list("", None).await.unwrap().keys.is_empty());
}

async fn lists_in_pages(store: &dyn ObjectStore) {
    let keys: Vec<_> = (0..=PAGE_KEYS).map(|n| format!("page/{n:05}")).collect();
    for key in &keys {
        store.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    let first = store.list("page/", None).await.unwrap();
    assert_eq!(first.keys, keys[..PAGE_KEYS]);
    let last = store.list("page/", first.next.as_deref()).await.unwrap();
    assert_eq!(last.keys, keys[PAGE_KEYS..]);
    assert_eq!(last.next, None);
    store.delete(&keys[PAGE_KEYS]).await.unwrap();
    let full = store.list("page/", None).await.unwrap();
    assert_eq!((full.keys.len(), full.next), (PAGE_KEYS, None));
    store.delete_prefix("page/").await.unwrap();
}

async fn deletes(store: &dyn ObjectStore) {
    for key in ["d/1", "d/2/x", "dd/1"] {
        store.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    store.delete_prefix("d/").await.unwrap();
    assert_eq!(store.list("", None).await.unwrap().keys, ["dd/1"]);
    store.delete("dd/1").await.unwrap();
    let gone = store.get("dd/1").await.unwrap_err();
    assert!(matches!(gone, ObjectError::NotFound(_)));
}

async fn concurrent_puts_of_one_key_leave_one_of_them(store: &dyn ObjectStore) {
    let bodies: Vec<_> = (1..=8_u8)
        .map(|n| Bytes::from(vec![n; 100_000 * usize::from(n)]))
        .collect();
    let [a, b, c, d] = [0, 2, 4, 6].map(|n| {
        let (one, other) = (bodies[n].clone(), bodies[n + 1].clone());
        async move {
            store.put("race/x", one).await.unwrap();
            let seen = store.get("race/x").await.unwrap();
            store.put("race/x", other).await.unwrap();
            seen
        }
    });
    let seen = tokio::join!(a, b, c, d);
    let last = store.get("race/x").await.unwrap();
    for seen in [seen.0, seen.1, seen.2, seen.3, last] {
        assert!(bodies.contains(&seen), "{} bytes, torn", seen.len());
    }
    store.delete_prefix("race/").await.unwrap();
}
