//! The suite on every store, and what only S3 has.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use hyper_util::rt::TokioIo;
use peers::port::ReservedPort;
use peers::s3::{Answers, KEY_ID, Refusal, S3Server, SECRET};
use storage::objects::{
    self, Credentials, Durability, ErrorKind, FaultyStore, FileStore, Layer, MemoryStore, Metrics,
    ObjectError, ObjectStore, ObjectsConfig, PresignedRequest, PutOptions, Retry, S3Config,
    S3Store, Sha256, Timeout, UploadedPart,
};
use tokio::net::TcpStream;

use crate::object_store_suite::object_store_suite;

const BUCKET: &str = "bucket";

fn s3_server() -> S3Server {
    S3Server::start(&[BUCKET])
}

fn s3_config(server: &S3Server, url: &str) -> S3Config {
    S3Config {
        url: url.to_owned(),
        endpoint: Some(server.endpoint()),
        region: None,
        path_style: true,
        credentials: credentials(SECRET),
    }
}

fn objects_config(server: &S3Server, url: &str) -> ObjectsConfig {
    ObjectsConfig {
        url: url.to_owned(),
        s3_endpoint: Some(server.endpoint()),
        s3_path_style: true,
        s3_credentials: credentials(SECRET),
        ..ObjectsConfig::default()
    }
}

fn credentials(secret: &str) -> Credentials {
    Credentials::Key {
        id: KEY_ID.to_owned(),
        secret: secret.to_owned(),
    }
}

#[tokio::test]
async fn files_are_an_object_store() {
    for durability in [Durability::Process, Durability::Content, Durability::Name] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made/when/opened");
        let store = FileStore::open_with(&path, durability).unwrap();
        object_store_suite(Arc::new(store)).await;
    }
}

#[tokio::test]
async fn memory_is_an_object_store() {
    object_store_suite(Arc::new(MemoryStore::default())).await;
}

#[tokio::test]
async fn s3_is_an_object_store() {
    let server = s3_server();
    let store = S3Store::connect(&s3_config(&server, "s3://bucket")).await;
    object_store_suite(Arc::new(store.unwrap())).await;
}

#[tokio::test]
async fn what_is_opened_is_an_object_store() {
    let server = s3_server();
    let config = objects_config(&server, "s3://bucket/a/prefix");
    object_store_suite(objects::open(&config).await.unwrap()).await;

    let directory = tempfile::tempdir().unwrap();
    let config = ObjectsConfig {
        url: format!("file:{}", directory.path().display()),
        ..ObjectsConfig::default()
    };
    object_store_suite(objects::open(&config).await.unwrap()).await;
}

#[tokio::test]
async fn a_store_with_every_layer_is_an_object_store() {
    let store = FaultyStore::new(Arc::new(MemoryStore::default()));
    let store = Timeout::default().around(store);
    let store = Retry::default().around(store);
    object_store_suite(Metrics { store: "memory" }.around(store)).await;
}

/// See CONTRIBUTING.md.
#[tokio::test]
#[ignore = "needs an S3 service: set NOVA_TEST_S3_URL and AWS credentials"]
async fn a_real_s3_service_is_an_object_store() {
    let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let url = given("NOVA_TEST_S3_URL").expect("NOVA_TEST_S3_URL: s3://BUCKET/PREFIX");
    let config = ObjectsConfig {
        // What is there stays as it is.
        url: format!("{}/{}", url.trim_end_matches('/'), uuid::Uuid::now_v7()),
        s3_endpoint: given("NOVA_TEST_S3_ENDPOINT"),
        s3_region: given("NOVA_TEST_S3_REGION"),
        s3_path_style: given("NOVA_TEST_S3_PATH_STYLE").is_some_and(|value| value == "true"),
        ..ObjectsConfig::default()
    };
    object_store_suite(objects::open(&config).await.unwrap()).await;
}

#[tokio::test]
async fn an_upload_to_s3_is_completed_with_the_checksum_of_each_part() {
    let server = s3_server();
    let store = S3Store::connect(&s3_config(&server, "s3://bucket")).await;
    let store = store.unwrap();
    let upload = store.create_upload("a", None).await.unwrap();
    let body = Bytes::from_static(b"hello");
    let part = store.upload_part("a", &upload, 1, body).await.unwrap();
    assert_eq!(part.crc32.as_deref(), Some("NhCmhg=="));
    // After a restart too.
    let listed = store.list_parts("a", &upload).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&part));
    let with = |crc32: Option<&str>| UploadedPart {
        crc32: crc32.map(str::to_owned),
        ..part.clone()
    };
    let complete = async |part| store.complete_upload("a", &upload, &[part]).await;
    let error = complete(with(None)).await.unwrap_err();
    assert!(
        matches!(&error, ObjectError::Refused { code, .. } if code == "InvalidRequest"),
        "{error}"
    );
    let error = complete(with(Some("AAAAAA=="))).await.unwrap_err();
    assert!(matches!(error, ObjectError::InvalidParts { .. }), "{error}");
    complete(part.clone()).await.unwrap();
    assert_eq!(store.get("a").await.unwrap(), "hello");
}

#[tokio::test]
async fn prefixes_of_a_bucket_do_not_see_each_other() {
    let server = s3_server();
    let open = async |url: &str| S3Store::connect(&s3_config(&server, url)).await.unwrap();
    let (one, other) = (
        open("s3://bucket/one").await,
        open("s3://bucket/one-more/").await,
    );
    let whole = open("s3://bucket").await;
    one.put("a", Bytes::from_static(b"1")).await.unwrap();
    other.put("a", Bytes::from_static(b"2")).await.unwrap();
    assert_eq!(one.list("", None).await.unwrap().keys, ["a"]);
    assert_eq!(one.get("a").await.unwrap(), "1");
    let keys = whole.list("", None).await.unwrap().keys;
    assert_eq!(keys, ["one-more/a", "one/a"]);
    let upload = other.create_upload("u", None).await.unwrap();
    assert!(one.list_uploads(None).await.unwrap().uploads.is_empty());
    let found = other.list_uploads(None).await.unwrap().uploads;
    assert_eq!((&*found[0].key, &found[0].id), ("u", &upload));
    whole.delete_prefix("one/").await.unwrap();
    assert!(one.list("", None).await.unwrap().keys.is_empty());
    assert_eq!(other.get("a").await.unwrap(), "2");
}

#[tokio::test]
async fn a_start_with_a_wrong_s3_says_what_to_do() {
    let server = s3_server();
    let good = objects_config(&server, "s3://bucket");
    let nobody = ReservedPort::any();
    let closed = format!("http://{}", nobody.address());
    let wrong_bucket = ObjectsConfig {
        url: "s3://another".to_owned(),
        ..good.clone()
    };
    let wrong_secret = ObjectsConfig {
        s3_credentials: credentials("guessed"),
        ..good.clone()
    };
    let wrong_key = ObjectsConfig {
        s3_credentials: Credentials::Key {
            id: "guessed".to_owned(),
            secret: "guessed".to_owned(),
        },
        ..good.clone()
    };
    let nobody_there = ObjectsConfig {
        s3_endpoint: Some(closed.clone()),
        ..good.clone()
    };
    let not_a_url = ObjectsConfig {
        s3_endpoint: Some("127.0.0.1:9000".to_owned()),
        ..good.clone()
    };
    let endpoint = good.s3_endpoint.clone().unwrap();
    for (config, said) in [
        (
            wrong_bucket,
            &[
                "\"another\" does not exist",
                &*endpoint,
                "correct objects.url",
            ][..],
        ),
        (
            wrong_secret,
            &["SignatureDoesNotMatch", "check the access key"],
        ),
        (wrong_key, &["NotSignedUp", "check the access key"]),
        (
            nobody_there,
            &["cannot reach", &*closed, "objects.s3_endpoint"],
        ),
        (not_a_url, &["127.0.0.1:9000", "expected http://HOST:PORT"]),
    ] {
        let error = objects::open(&config).await.unwrap_err();
        let sentence = error.to_string();
        for words in said {
            assert!(sentence.contains(words), "{sentence}");
        }
        assert!(!sentence.contains("guessed"), "{sentence}");
        assert!(!sentence.contains('\n'), "{sentence}");
    }
}

#[tokio::test]
async fn an_s3_that_goes_and_comes_back_has_what_it_had() {
    let mut server = s3_server();
    let store = S3Store::connect(&s3_config(&server, "s3://bucket")).await;
    let store: Arc<dyn ObjectStore> = Arc::new(store.unwrap());
    let data = Bytes::from_static(b"data");
    store.put("a", data.clone()).await.unwrap();
    server.go_away();
    let error = store.health().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    server.come_back();
    assert_eq!(store.get("a").await.unwrap(), data);

    for (answers, kind) in [
        (Refusal::SlowDown, ErrorKind::Unavailable),
        (Refusal::AccessDenied, ErrorKind::Configuration),
    ] {
        server.answer(Answers::WritesRefused(answers));
        let error = store.put("b", data.clone()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(store.get("a").await.unwrap(), data);
        server.answer(Answers::Refused(answers));
        assert_eq!(store.get("a").await.unwrap_err().kind(), kind);
    }

    server.answer(Answers::Never);
    let impatient = Timeout {
        body: Duration::from_millis(100),
        ..Timeout::default()
    };
    let error = impatient.around(store.clone()).get("a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    server.answer(Answers::Well);
    assert_eq!(store.get("a").await.unwrap(), data);
    assert!(store.get("b").await.is_err());
    let seen = server.requests();
    assert!(seen.contains(&"PUT /bucket/a".to_owned()), "{seen:?}");
}

/// Sends a presigned request as a browser would.
async fn send(server: &S3Server, request: &PresignedRequest, body: Bytes) -> (u16, String, Bytes) {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let connected = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = connected.await.unwrap();
    let running = tokio::spawn(connection);
    let uri: hyper::Uri = request.url.parse().unwrap();
    let mut builder = hyper::Request::builder()
        .method(request.method)
        .uri(uri.path_and_query().unwrap().as_str())
        .header("host", uri.authority().unwrap().as_str());
    if request.method == "PUT" {
        builder = builder.header("content-length", body.len());
    }
    for (name, value) in request.headers.iter().filter(|(name, _)| name != "host") {
        builder = builder.header(name, value);
    }
    let sent = builder.body(s3s::Body::from(body)).unwrap();
    let response = sender.send_request(sent).await.unwrap();
    let status = response.status().as_u16();
    let content_type = response.headers().get("content-type");
    let content_type = content_type
        .map_or("", |value| value.to_str().unwrap())
        .to_owned();
    let pieces: Vec<Bytes> = s3s::Body::from(response.into_body())
        .try_collect()
        .await
        .unwrap();
    running.abort();
    (status, content_type, pieces.concat().into())
}

#[tokio::test]
async fn presigned_requests_carry_their_permission() {
    let server = s3_server();
    let store = S3Store::connect(&s3_config(&server, "s3://bucket/p"))
        .await
        .unwrap();
    let minute = Duration::from_secs(60);
    let body = Bytes::from_static(b"from a browser");
    let options = PutOptions {
        content_type: Some("video/mp4"),
        sha256: Some(Sha256::of(&body)),
    };
    let put = store.presign_put("up/x", minute, options).await.unwrap();
    assert_eq!(put.method, "PUT");
    assert!(!format!("{put:?}").contains("Signature"), "{put:?}");
    let (status, _, answer) = send(&server, &put, body.clone()).await;
    assert_eq!(status, 200, "{answer:?}");
    assert_eq!(store.get("up/x").await.unwrap(), body);

    let get = store.presign_get("up/x", minute).await.unwrap();
    let (status, content_type, got) = send(&server, &get, Bytes::new()).await;
    assert_eq!((status, &*content_type, got), (200, "video/mp4", body));

    // For this object only.
    let mut other = get.clone();
    other.url = other.url.replace("up/x", "up/y");
    let (status, _, _) = send(&server, &other, Bytes::new()).await;
    assert_eq!(status, 403);
    for never in [Duration::ZERO, Duration::from_secs(7 * 86_400 + 1)] {
        let error = store.presign_get("up/x", never).await.unwrap_err();
        assert!(matches!(error, ObjectError::InvalidExpiry(_)), "{error}");
    }
}

#[tokio::test]
async fn a_bucket_stands_in_the_path_or_in_the_host_name() {
    for (path_style, expected) in [
        (true, "https://s3.example.org/bucket/a?"),
        (false, "https://bucket.s3.example.org/a?"),
    ] {
        let config = S3Config {
            url: format!("s3://{BUCKET}"),
            endpoint: Some("https://s3.example.org".to_owned()),
            region: Some("eu-central-1".to_owned()),
            path_style,
            credentials: credentials("secret"),
        };
        let store = S3Store::connect(&config).await.unwrap();
        let request = store
            .presign_get("a", Duration::from_secs(1))
            .await
            .unwrap();
        assert!(request.url.starts_with(expected), "{}", request.url);
        assert!(request.url.contains("eu-central-1"), "{}", request.url);
        assert!(!request.url.contains("secret"), "{}", request.url);
        assert!(!format!("{store:?}").contains("secret"));
    }
}

#[tokio::test]
async fn stores_without_an_http_server_presign_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let files = FileStore::open(directory.path()).unwrap();
    let memory = MemoryStore::default();
    for store in [&files as &dyn ObjectStore, &memory] {
        let second = Duration::from_secs(1);
        let error = store.presign_get("a", second).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let put = store.presign_put("a", second, PutOptions::default()).await;
        assert_eq!(put.unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

#[tokio::test]
async fn a_full_memory_refuses_and_recovers() {
    let store = MemoryStore::with_limit(10);
    let body = |length: usize| Bytes::from(vec![7; length]);
    store.put("a", body(6)).await.unwrap();
    let error = store.put("b", body(5)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    let stream = objects::one_chunk(body(5));
    let error = store.put_stream("b", stream, PutOptions::default()).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Full);
    let upload = store.create_upload("b", None).await.unwrap();
    let error = store.upload_part("b", &upload, 1, body(5)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Full);
    // What is replaced does not count, and what is deleted is free again.
    store.put("a", body(10)).await.unwrap();
    store.delete("a").await.unwrap();
    let part = store.upload_part("b", &upload, 1, body(10)).await.unwrap();
    assert!(store.put("c", body(1)).await.is_err());
    let parts: [UploadedPart; 1] = [part];
    store.complete_upload("b", &upload, &parts).await.unwrap();
    assert!(store.put("c", body(1)).await.is_err());
    store.delete("b").await.unwrap();
    store.put("c", body(10)).await.unwrap();
}
