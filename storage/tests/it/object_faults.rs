//! S3 services that fail: what is asked again, what is not, and what nobody takes for an
//! object.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use peers::port::ReservedPort;
use storage::objects::faulty::Fault;
use storage::objects::{
    Credentials, ErrorKind, FaultyStore, Layer, MemoryStore, ObjectError, ObjectStore, Operation,
    S3Config, S3Store, Timeout, UploadId, UploadedPart,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::object_layers::{SOON, hasty, impatient};
use crate::object_store_suite::collected;
use crate::processes::{Lines, test_process};

enum Reply {
    /// These bytes, and then the end of the connection.
    Bytes(String),
    /// These bytes, and then nothing.
    Stall(String),
}

/// A service that answers each request, by its number from 0, as it is told.
struct Scripted {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Scripted {
    async fn start(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (all, script) = (seen.clone(), Arc::new(script));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (all, script) = (all.clone(), script.clone());
                connections.spawn(async move {
                    let Some(head) = read_request(&mut stream).await else {
                        return;
                    };
                    let number = {
                        let mut all = all.lock().unwrap();
                        all.push(head);
                        all.len() - 1
                    };
                    // A client may have gone.
                    match script(number) {
                        Reply::Bytes(bytes) => {
                            let _ = stream.write_all(bytes.as_bytes()).await;
                        }
                        Reply::Stall(bytes) => {
                            let _ = stream.write_all(bytes.as_bytes()).await;
                            std::future::pending::<()>().await;
                        }
                    }
                });
            }
        });
        Self {
            address,
            seen,
            _tasks: tasks,
        }
    }

    async fn store(&self) -> Arc<dyn ObjectStore> {
        store_at(self.address).await
    }

    fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

async fn store_at(address: SocketAddr) -> Arc<dyn ObjectStore> {
    let config = S3Config {
        url: "s3://bucket".to_owned(),
        endpoint: Some(format!("http://{address}")),
        region: None,
        path_style: true,
        credentials: Credentials::Key {
            id: "id".to_owned(),
            secret: "secret".to_owned(),
        },
    };
    Arc::new(S3Store::connect(&config).await.unwrap())
}

/// Reads a request with its body, and gives its head; nothing when there is none.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let (mut read, mut buffer) = (Vec::new(), vec![0; 65_536]);
    let end = loop {
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        let length = stream.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        read.extend_from_slice(&buffer[..length]);
    };
    let head = String::from_utf8(read[..end].to_vec()).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    let length: usize = length.map_or(0, |value| value.trim().parse().unwrap());
    while read.len() < end + length {
        let more = stream.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        read.extend_from_slice(&buffer[..more]);
    }
    Some(head)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}

fn refusal(status: &str, code: &str) -> Reply {
    let body = format!("<Error><Code>{code}</Code><Message>words</Message></Error>");
    Reply::Bytes(answer(status, "", &body))
}

#[tokio::test]
async fn a_busy_service_is_asked_again() {
    let service = Scripted::start(|number| match number {
        0 => refusal("503 Slow Down", "SlowDown"),
        1 => refusal("500 Internal Server Error", "InternalError"),
        _ => Reply::Bytes(answer("200 OK", "etag: \"x\"\r\n", "")),
    })
    .await;
    let store = hasty().around(service.store().await);
    store.put("a", Bytes::from_static(b"data")).await.unwrap();
    assert_eq!(service.requests(), 3);
}

#[tokio::test]
async fn what_the_code_says_counts_and_not_the_status() {
    for (status, code) in [
        ("200 OK", "InternalError"),
        ("200 OK", "SlowDown"),
        ("400 Bad Request", "RequestTimeout"),
        ("403 Forbidden", "ServiceUnavailable"),
    ] {
        let service = Scripted::start(move |_| refusal(status, code)).await;
        let store = hasty().around(service.store().await);
        let upload = UploadId("upload".to_owned());
        let part = UploadedPart {
            number: 1,
            size: 1,
            etag: "x".to_owned(),
            crc32: None,
        };
        let completed = store.complete_upload("a", &upload, &[part]).await;
        let error = completed.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{code}: {error}");
        assert_eq!(service.requests(), 3, "{code}");
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_named() {
    let service = Scripted::start(|_| refusal("403 Forbidden", "RequestTimeTooSkewed")).await;
    let error = service.store().await.health().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    let sentence = error.to_string();
    assert!(sentence.contains("clock"), "{sentence}");
    assert!(!sentence.contains("access key"), "{sentence}");
}

#[tokio::test]
async fn a_service_that_stays_busy_is_given_up() {
    let service = Scripted::start(|_| refusal("503 Slow Down", "SlowDown")).await;
    let store = hasty().around(service.store().await);
    let error = store.put("a", Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(service.requests(), 3);
    // Health is what it is now.
    let error = store.health().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(service.requests(), 4);
}

#[tokio::test]
async fn nothing_below_retry_asks_again() {
    let service = Scripted::start(|_| refusal("503 Slow Down", "SlowDown")).await;
    let store = service.store().await;
    store.put("a", Bytes::new()).await.unwrap_err();
    assert_eq!(service.requests(), 1);
}

#[tokio::test]
async fn what_will_not_change_is_not_asked_again() {
    for (status, code, kind) in [
        ("403 Forbidden", "AccessDenied", ErrorKind::Configuration),
        (
            "403 Forbidden",
            "InvalidAccessKeyId",
            ErrorKind::Configuration,
        ),
        ("400 Bad Request", "ExpiredToken", ErrorKind::Configuration),
        ("404 Not Found", "NoSuchBucket", ErrorKind::Configuration),
        (
            "301 Moved Permanently",
            "PermanentRedirect",
            ErrorKind::Configuration,
        ),
        ("404 Not Found", "NoSuchKey", ErrorKind::NotFound),
        ("400 Bad Request", "InvalidArgument", ErrorKind::Failed),
        ("501 Not Implemented", "NotImplemented", ErrorKind::Failed),
        (
            "507 Insufficient Storage",
            "XMinioStorageFull",
            ErrorKind::Full,
        ),
    ] {
        let service = Scripted::start(move |_| refusal(status, code)).await;
        let store = hasty().around(service.store().await);
        let error = store.get("a").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{code}: {error}");
        assert!(!error.is_transient());
        assert_eq!(service.requests(), 1, "{code}");
    }
}

#[tokio::test]
async fn a_head_without_a_body_is_understood() {
    for (status, kind) in [
        ("404 Not Found", ErrorKind::NotFound),
        ("403 Forbidden", ErrorKind::Configuration),
        ("503 Slow Down", ErrorKind::Unavailable),
    ] {
        let service = Scripted::start(move |_| Reply::Bytes(answer(status, "", ""))).await;
        let error = service.store().await.head("a").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_and_named() {
    let nobody = ReservedPort::any();
    let address = nobody.address();
    let inner = FaultyStore::new(store_at(address).await);
    let store = hasty().around(inner.clone());
    let error = store.get("a").await.unwrap_err();
    assert!(
        matches!(&error, ObjectError::Unreachable { endpoint, .. }
            if endpoint.contains(&address.to_string())),
        "{error}"
    );
    assert_eq!(inner.calls(Operation::Get), 3);
}

#[tokio::test]
async fn a_service_that_hangs_is_given_up() {
    for begun in ["", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nda"] {
        let service = Scripted::start(move |_| Reply::Stall(begun.to_owned())).await;
        let store = impatient().around(service.store().await);
        let error = store.get("a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    }
}

#[tokio::test]
async fn what_was_given_up_is_tried_again() {
    let inner = FaultyStore::new(Arc::new(MemoryStore::default()));
    inner.put("a", Bytes::from_static(b"data")).await.unwrap();
    // Memory answers at once or, while it hangs, never: no limit is met by chance.
    let store = hasty().around(impatient().around(inner.clone()));
    inner.fail(Fault::Hang);
    let heals = async {
        while inner.calls(Operation::Get) == 0 {
            tokio::task::yield_now().await;
        }
        inner.recover();
    };
    let (got, ()) = tokio::join!(store.get("a"), heals);
    assert_eq!(got.unwrap(), "data");
    assert_eq!(inner.calls(Operation::Get), 2);
}

#[tokio::test]
async fn a_stream_that_stalls_ends_with_an_error() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    let service = Scripted::start(move |_| Reply::Stall(head.to_owned())).await;
    let patient_but_for_pieces = Timeout {
        chunk: SOON,
        ..Timeout::default()
    };
    let store = patient_but_for_pieces.around(service.store().await);
    let body = store.get_stream("a").await.unwrap();
    assert_eq!(body.size, 10);
    let error = collected(body.chunks).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
}

/// `hello`, of which half comes.
fn cut_short() -> Reply {
    let whole = answer("200 OK", "", "hello");
    Reply::Bytes(whole[..whole.len() - 2].to_owned())
}

/// `jello`, with the CRC-32 of `hello`.
fn altered() -> Reply {
    let checksum = "x-amz-checksum-crc32: NhCmhg==\r\n";
    Reply::Bytes(answer("200 OK", checksum, "jello"))
}

#[tokio::test]
async fn a_damaged_body_is_never_an_object() {
    for damaged in [cut_short as fn() -> Reply, altered] {
        let service = Scripted::start(move |_| damaged()).await;
        let store = service.store().await;
        let error = store.get("a").await.unwrap_err();
        assert!(matches!(error, ObjectError::Damaged { .. }), "{error}");
        let body = store.get_stream("a").await.unwrap();
        let error = collected(body.chunks).await.unwrap_err();
        assert!(matches!(error, ObjectError::Damaged { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_damaged_body_is_asked_for_again() {
    let service = Scripted::start(|number| match number {
        0 => cut_short(),
        1 => altered(),
        _ => Reply::Bytes(answer(
            "200 OK",
            "x-amz-checksum-crc32: NhCmhg==\r\n",
            "hello",
        )),
    })
    .await;
    let store = hasty().around(service.store().await);
    assert_eq!(store.get("a").await.unwrap(), "hello");
    assert_eq!(service.requests(), 3);
}

#[tokio::test]
async fn a_range_that_was_not_asked_for_is_refused() {
    for (headers, body) in [
        ("", "0123456789"),
        ("content-range: bytes 0-4/10\r\n", "01234"),
        ("content-range: bytes 2-4/10\r\n", "01234"),
        ("content-range: bytes 2-99/10\r\n", "01234"),
    ] {
        let whole = answer("206 Partial Content", headers, body);
        let service = Scripted::start(move |_| Reply::Bytes(whole.clone())).await;
        let error = service
            .store()
            .await
            .get_range("a", 2..5)
            .await
            .unwrap_err();
        assert!(matches!(error, ObjectError::Damaged { .. }), "{error}");
    }
}

#[tokio::test]
async fn objects_that_would_not_go_are_named() {
    let listed = "<ListBucketResult><IsTruncated>false</IsTruncated>\
        <Contents><Key>d/1</Key></Contents><Contents><Key>d/2</Key></Contents></ListBucketResult>";
    let failed = "<DeleteResult><Error><Key>d/2</Key><Code>AccessDenied</Code></Error>\
        </DeleteResult>";
    let service = Scripted::start(move |number| {
        Reply::Bytes(answer(
            "200 OK",
            "",
            if number == 0 { listed } else { failed },
        ))
    })
    .await;
    let error = service.store().await.delete_prefix("d/").await.unwrap_err();
    let ObjectError::NotDeleted { failures } = error else {
        panic!("{error}");
    };
    assert_eq!(failures.len(), 1);
    assert_eq!(
        (&*failures[0].key, &*failures[0].reason),
        ("d/2", "AccessDenied")
    );
}

#[tokio::test]
async fn a_body_goes_with_a_checksum() {
    let service = Scripted::start(|_| Reply::Bytes(answer("200 OK", "", ""))).await;
    let store = service.store().await;
    store.put("a", Bytes::from_static(b"hello")).await.unwrap();
    let seen = service.seen.lock().unwrap()[0].to_lowercase();
    assert!(seen.contains("x-amz-checksum-crc32"), "{seen}");
}

#[tokio::test]
async fn a_start_without_credentials_says_what_to_do() {
    let mut child = test_process("object_faults::child_opens_s3_without_credentials", "", "");
    // Nobody's AWS account is found, whoever runs the tests.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        child.env_remove(name);
    }
    child.env("HOME", "/nonexistent");
    child.env("AWS_EC2_METADATA_DISABLED", "true");
    let mut child = child.spawn().unwrap();
    Lines::of(&mut child).wait_for("refused").await;
}

#[tokio::test]
#[ignore = "a process of a_start_without_credentials_says_what_to_do"]
async fn child_opens_s3_without_credentials() {
    let config = S3Config {
        url: "s3://bucket".to_owned(),
        endpoint: Some("http://127.0.0.1:9".to_owned()),
        region: None,
        path_style: true,
        credentials: Credentials::Chain,
    };
    let error = S3Store::connect(&config).await.unwrap_err();
    assert!(matches!(error, ObjectError::NoCredentials(_)), "{error}");
    let sentence = error.to_string();
    assert!(sentence.contains("AWS_ACCESS_KEY_ID"), "{sentence}");
    println!("\nrefused");
}
