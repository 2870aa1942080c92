//! The API on a database of its own, and people who use it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use bytes::Bytes;
use jsonschema::Validator;
use media::{ManualClock, Micros, Timestamp};
use serde_json::{Value, json};
use social::accounts::{NewUser, create_user};
use social::rest::{Client, openapi_document};
use social::settings::{Introspection, Settings};
use social::streams::{InvalidLadder, MediaPlane, PlaybackBase, Viewing};
use social::{Parts, ServiceError, Services};
use storage::Database;
use storage::events::{Bus, LocalBus};
use storage::objects::MemoryStore;
use storage::rows::IfMissing;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

use crate::caches::TestCaches;
use crate::mailbox::Mailbox;

/// 2027-01-15T08:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const CLIENT: &str = "192.0.2.1";

/// Makes two tests of each `async fn name(app: TestApp)`: on SQLite and on PostgreSQL.
macro_rules! on_both_engines {
    (on one thread: $($name:ident),+ $(,)?) => {
        on_both_engines! { @ (flavor = "current_thread") $($name),+ }
    };
    ($($name:ident),+ $(,)?) => {
        on_both_engines! { @ (flavor = "multi_thread", worker_threads = 2) $($name),+ }
    };
    (@ $runtime:tt $($name:ident),+) => {
        mod sqlite {
            $(
                #[tokio::test $runtime]
                async fn $name() {
                    super::$name($crate::app::TestApp::new().await).await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test $runtime]
                async fn $name() {
                    super::$name($crate::app::TestApp::on_postgres().await).await;
                }
            )+
        }
    };
}

/// Encodes to `small` and `large`, and signs with the viewer's id, or `nobody`.
#[derive(Debug)]
struct TestPlane;

impl MediaPlane for TestPlane {
    fn ladder(&self, text: &str) -> Result<String, InvalidLadder> {
        match text {
            "small" | "large" => Ok(text.to_owned()),
            _ => Err(InvalidLadder("expected small or large".to_owned())),
        }
    }

    fn playback_path(
        &self,
        path: &str,
        viewing: &Viewing,
        is_signed: bool,
        _: Timestamp,
    ) -> Result<String, ServiceError> {
        let viewer = viewing.viewer.map(|id| id.to_string());
        let viewer = viewer.unwrap_or("nobody".to_owned());
        Ok(match is_signed {
            true => format!("{path}?signed-for={viewer}"),
            false => path.to_owned(),
        })
    }
}

/// One node of the API.
pub(crate) struct TestApp {
    pub(crate) database: Database,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) services: Services,
    pub(crate) router: Router,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) objects: Arc<MemoryStore>,
    pub(crate) caches: TestCaches,
    _place: Arc<Place>,
    _running: DropGuard,
}

/// What goes when the test ends.
enum Place {
    File(TempDir),
    Server(peers::postgres::Database),
}

impl Place {
    fn url(&self) -> String {
        match self {
            Self::File(directory) => {
                format!("sqlite:{}", directory.path().join("nova.db").display())
            }
            Self::Server(database) => database.url(),
        }
    }
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// The same where it is no text.
    pub(crate) bytes: Bytes,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    /// The body of an answer that says it was done.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        match self.body.as_str() {
            "" => Value::Null,
            _ => self.json(),
        }
    }

    /// Checks that it is a problem with this status and code, and gives its detail.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        let kind = &self.headers[header::CONTENT_TYPE];
        assert_eq!(kind, "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["type"], format!("/problems/{code}"));
        assert_eq!(problem["status"], status);
        assert_eq!(problem["title"], self.status.canonical_reason().unwrap());
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// Settings whose limits are in nobody's way.
pub(crate) fn generous() -> Settings {
    let mut settings = Settings {
        public_url: "https://nova.example.org".to_owned(),
        password_wait: Duration::from_secs(120),
        introspection: Introspection::Users,
        ..Settings::default()
    };
    let limits = &mut settings.limits;
    for limit in [
        &mut limits.logins_per_minute_per_account,
        &mut limits.logins_per_minute_per_address,
        &mut limits.registrations_per_hour_per_address,
        &mut limits.resets_per_hour_per_address,
        &mut limits.mails_per_hour_per_recipient,
        &mut limits.requests_per_minute,
        &mut limits.writes_per_minute,
        &mut limits.posts_per_hour,
        &mut limits.edits_per_hour,
        &mut limits.chat_messages_per_minute,
        &mut limits.viewers_per_minute,
    ] {
        *limit = 100_000;
    }
    // So few that a test can send them all.
    limits.pictures_per_hour = 20;
    settings
}

impl TestApp {
    pub(crate) async fn new() -> Self {
        Self::with(generous()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        Self::with_playback_base(settings, PlaybackBase::same_origin()).await
    }

    pub(crate) async fn with_playback_base(settings: Settings, base: PlaybackBase) -> Self {
        let place = Place::File(tempfile::tempdir().unwrap());
        Self::in_place(Arc::new(place), settings, base).await
    }

    pub(crate) async fn on_postgres() -> Self {
        let database = tokio::task::spawn_blocking(peers::postgres::database);
        let place = Place::Server(database.await.unwrap());
        Self::in_place(Arc::new(place), generous(), PlaybackBase::same_origin()).await
    }

    async fn in_place(place: Arc<Place>, settings: Settings, base: PlaybackBase) -> Self {
        let database = Database::open(&place.url(), IfMissing::Create)
            .await
            .unwrap();
        database.migrate().await.unwrap();
        let clock = Arc::new(ManualClock::new(NOW));
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::new());
        let objects = Arc::new(MemoryStore::default());
        Self::node(place, database, clock, bus, objects, settings, base).await
    }

    async fn node(
        place: Arc<Place>,
        database: Database,
        clock: Arc<ManualClock>,
        bus: Arc<dyn Bus>,
        objects: Arc<MemoryStore>,
        settings: Settings,
        playback_base: PlaybackBase,
    ) -> Self {
        let mailbox = Arc::new(Mailbox::default());
        let caches = TestCaches::new(database.clone(), clock.clone());
        let parts = Parts {
            database: database.clone(),
            clock: clock.clone(),
            bus: bus.clone(),
            objects: objects.clone(),
            post: mailbox.clone(),
            settings,
            playback_base,
            media: Arc::new(TestPlane),
            caches: Some(Arc::new(caches.clone())),
        };
        let (services, upkeep) = Services::start(parts).await.unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(upkeep.run(shutdown.clone()));
        tokio::spawn(services.clone().send_mails(shutdown.clone()));
        tokio::spawn(services.clone().drop_avatars(shutdown.clone()));
        tokio::spawn(services.clone().remove_posts(shutdown.clone()));
        tokio::spawn(services.clone().sweep_images(shutdown.clone()));
        tokio::spawn(services.clone().remove_streams(shutdown.clone()));
        tokio::spawn(services.clone().announce_broadcasts(shutdown.clone()));
        Self {
            database,
            clock,
            mailbox,
            router: social::router(services.clone()),
            services,
            bus,
            objects,
            caches,
            _place: place,
            _running: shutdown.drop_guard(),
        }
    }

    /// The same, ended and started again with these settings.
    pub(crate) async fn restarted(self, settings: Settings) -> Self {
        drop(self._running);
        Self::node(
            self._place,
            self.database,
            self.clock,
            self.bus,
            self.objects,
            settings,
            PlaybackBase::same_origin(),
        )
        .await
    }

    /// A second node on the same database and the same events.
    pub(crate) async fn second_node(&self) -> Self {
        self.node_on(self.bus.clone()).await
    }

    /// A node on the same database, with these events.
    pub(crate) async fn node_on(&self, bus: Arc<dyn Bus>) -> Self {
        self.node_with(bus, generous()).await
    }

    /// The same, with these settings.
    pub(crate) async fn node_with(&self, bus: Arc<dyn Bus>, settings: Settings) -> Self {
        let database = Database::open(&self._place.url(), IfMissing::Fail)
            .await
            .unwrap();
        Self::node(
            self._place.clone(),
            database,
            self.clock.clone(),
            bus,
            self.objects.clone(),
            settings,
            PlaybackBase::same_origin(),
        )
        .await
    }

    pub(crate) fn later(&self, span: Micros) {
        self.clock.advance(span);
    }

    /// An account, made by whoever administers the installation.
    pub(crate) async fn user(&self, name: &str) {
        self.account(name, false).await;
    }

    /// The same of somebody who administers it.
    pub(crate) async fn administrator(&self, name: &str) {
        self.account(name, true).await;
    }

    async fn account(&self, name: &str, is_admin: bool) {
        let user = NewUser {
            name: name.parse().unwrap(),
            email: format!("{name}@example.org").parse().unwrap(),
            password: PASSWORD.parse().unwrap(),
            is_admin,
        };
        create_user(&self.database, &*self.clock, user)
            .await
            .unwrap();
    }

    /// Whoever asks without having logged in.
    pub(crate) fn anybody(&self) -> Person<'_> {
        Person {
            app: self,
            address: CLIENT.parse().unwrap(),
            access_token: String::new(),
            refresh_token: String::new(),
        }
    }

    /// Somebody who has an account and has logged in.
    pub(crate) async fn person(&self, name: &str) -> Person<'_> {
        self.user(name).await;
        self.logged_in(name).await
    }

    /// Another login of somebody who has an account.
    pub(crate) async fn logged_in(&self, name: &str) -> Person<'_> {
        let body = json!({ "login": name, "password": PASSWORD });
        let answer = self.anybody().post("/api/v1/session", &body).await.ok(200);
        self.anybody().with_tokens(&answer)
    }

    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        if request.extensions().get::<Client>().is_none() {
            request.extensions_mut().insert(Client {
                address: CLIENT.parse().unwrap(),
                is_tls: false,
            });
        }
        let method = request.method().as_str().to_ascii_lowercase();
        let path = request.uri().path().to_owned();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        assert_documented(&method, &path, head.status, &body);
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
            bytes: body,
        }
    }

    pub(crate) async fn request(&self, method: &str, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

/// Whatever a test is about: no operation answers with a status that its document has not, or
/// with a body of another form.
fn assert_documented(method: &str, path: &str, status: StatusCode, body: &[u8]) {
    let paths = openapi_document()["paths"].as_object().unwrap();
    let of_path = paths.iter().find(|(template, _)| {
        let (template, path) = (template.split('/'), path.split('/'));
        template.clone().count() == path.clone().count()
            && template
                .zip(path)
                .all(|(one, other)| one == other || one.starts_with('{'))
    });
    let operation = of_path.and_then(|(_, item)| item.get(method));
    let Some(operation) = operation else { return };
    let response = operation["responses"].get(status.as_str());
    let mut response =
        response.unwrap_or_else(|| panic!("{method} {path}: {status} is not documented"));
    if let Some(reference) = response["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        response = openapi_document().pointer(pointer).unwrap();
    }
    let content = response["content"].as_object();
    let Some((kind, content)) = content.and_then(|content| content.iter().next()) else {
        assert!(body.is_empty(), "{method} {path}: {status} has a body");
        return;
    };
    if !kind.ends_with("json") {
        return;
    }
    let validator = validator(&content["schema"]);
    let body: Value = serde_json::from_slice(body).unwrap();
    if let Err(error) = validator.validate(&body) {
        panic!("{method} {path}: {status} is not as documented: {error}\n{body}");
    }
}

/// What sees whether a value is of the schema. Made once for each: it has all components.
fn validator(schema: &Value) -> Arc<Validator> {
    static MADE: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        let whole = json!({
            "allOf": [schema],
            "components": openapi_document()["components"],
        });
        Arc::new(jsonschema::draft202012::new(&whole).unwrap())
    };
    made.entry(schema.to_string()).or_insert_with(make).clone()
}

/// Somebody at some address, who may have logged in.
#[derive(Clone)]
pub(crate) struct Person<'a> {
    pub(crate) app: &'a TestApp,
    address: IpAddr,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

impl<'a> Person<'a> {
    pub(crate) fn at(self, address: &str) -> Self {
        Self {
            address: address.parse().unwrap(),
            ..self
        }
    }

    /// The same at another node.
    pub(crate) fn at_node<'b>(&self, app: &'b TestApp) -> Person<'b> {
        Person {
            app,
            address: self.address,
            access_token: self.access_token.clone(),
            refresh_token: self.refresh_token.clone(),
        }
    }

    /// The same with the tokens of a login's or a refresh's answer.
    #[track_caller]
    pub(crate) fn with_tokens(self, answer: &Value) -> Self {
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        Self {
            access_token: text("access_token").expect("an access token"),
            refresh_token: text("refresh_token").unwrap_or(self.refresh_token),
            ..self
        }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .extension(Client {
                address: self.address,
                is_tls: false,
            });
        match self.access_token.as_str() {
            "" => request,
            token => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
        }
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let request = self.request(method, path);
        let request = match body {
            None => request.body(Body::empty()),
            Some(body) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string())),
        };
        self.app.send(request.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, Some(body)).await
    }

    pub(crate) async fn delete_with(&self, path: &str, body: &Value) -> Answer {
        self.send("DELETE", path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None).await
    }

    /// Asks until it is refused: the event that ends it is on its way.
    pub(crate) async fn until_refused(&self) {
        let asked = async {
            while self.get("/api/v1/me").await.status == 200 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), asked)
            .await
            .expect("refused within half a minute");
    }

    /// Goes on with the session.
    pub(crate) async fn refresh(&self) -> Answer {
        let body = json!({ "refresh_token": self.refresh_token });
        self.app
            .anybody()
            .post("/api/v1/session/refresh", &body)
            .await
    }

    /// One document, and all of its answer.
    pub(crate) async fn graphql(&self, document: &str) -> Value {
        let answer = self.post("/graphql", &json!({ "query": document })).await;
        answer.ok(200)
    }

    /// One document, which is answered without an error.
    pub(crate) async fn data(&self, document: &str) -> Value {
        let answer = self.graphql(document).await;
        assert_eq!(answer["errors"], Value::Null, "{answer}");
        answer["data"].clone()
    }

    /// The code of the one error that the document is answered with.
    pub(crate) async fn graphql_code(&self, document: &str) -> String {
        let answer = self.graphql(document).await;
        let code = &answer["errors"][0]["extensions"]["code"];
        code.as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned()
    }
}
