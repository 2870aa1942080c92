//! A data directory, its database, the accounts and streams in it, and what must never be logged.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use peers::postgres::Database;
use tempfile::TempDir;

use super::{Process, Serve};

/// How long a command that is not `serve` may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
const DATABASE_URL: &str = "NOVA__DATABASE__URL";
/// The account that owns every stream of a site.
const OWNER: &str = "broadcaster";

/// Makes two tests of each `fn name(engine: Engine)`: on SQLite and on PostgreSQL. Those behind
/// `long on PostgreSQL` are long tests there.
macro_rules! on_both_engines {
    ($($name:ident),* $(; long on PostgreSQL: $($long:ident),+)? $(,)?) => {
        mod sqlite {
            $(
                #[test]
                fn $name() {
                    super::$name($crate::harness::Engine::Sqlite);
                }
            )*
            $($(
                #[test]
                fn $long() {
                    super::$long($crate::harness::Engine::Sqlite);
                }
            )+)?
        }

        mod postgres {
            $(
                #[test]
                fn $name() {
                    super::$name($crate::harness::Engine::Postgres);
                }
            )*
        }

        $(
            mod long_postgres {
                $(
                    #[test]
                    fn $long() {
                        super::$long($crate::harness::Engine::Postgres);
                    }
                )+
            }
        )?
    };
}

/// What a site keeps its rows in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Engine {
    /// A file in the data directory.
    Sqlite,
    /// A database of its own on a server.
    Postgres,
}

/// How a command ended.
pub(crate) struct Finished {
    /// With what status.
    pub(crate) status: ExitStatus,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error.
    pub(crate) stderr: String,
}

impl Finished {
    /// Its output, after it went well.
    #[track_caller]
    pub(crate) fn succeeded(self) -> String {
        assert!(
            self.status.success(),
            "{}: {}{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self.stdout
    }

    /// The one sentence that it failed with.
    #[track_caller]
    pub(crate) fn failed_with_one_sentence(self) -> String {
        assert_eq!(
            self.status.code(),
            Some(1),
            "{}{}",
            self.stdout,
            self.stderr
        );
        let mut lines = self.stderr.lines().filter(|line| !line.is_empty());
        let sentence = lines.next().expect("it says why").to_owned();
        assert_eq!(
            lines.next(),
            None,
            "more than one sentence: {}",
            self.stderr
        );
        assert!(sentence.starts_with("nova: "), "{sentence}");
        sentence
    }
}

/// One installation of the server. Clones are the same installation.
#[derive(Clone)]
pub(crate) struct Site(Arc<Inner>);

struct Inner {
    directory: TempDir,
    /// Settings of every command.
    environment: Vec<(String, String)>,
    secrets: Mutex<Vec<String>>,
    /// Set when the account exists.
    owner: OnceLock<()>,
    /// Dropped with the site.
    _database: Option<Database>,
}

impl Site {
    /// An empty data directory.
    pub(crate) fn new() -> Self {
        Self::with_settings(&[])
    }

    /// An empty data directory, and rows in the database that `url` names.
    pub(crate) fn on_database(url: &str) -> Self {
        Self::with_settings(&[(DATABASE_URL, url)])
    }

    /// An empty data directory, and these environment variables for every command.
    pub(crate) fn with_settings(settings: &[(&str, &str)]) -> Self {
        Self::on_with(Engine::Sqlite, settings)
    }

    /// An empty data directory, and an empty database of `engine`.
    pub(crate) fn on(engine: Engine) -> Self {
        Self::on_with(engine, &[])
    }

    /// The same, and these environment variables for every command.
    pub(crate) fn on_with(engine: Engine, settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        let mut environment: Vec<_> = settings.iter().map(owned).collect();
        let database = (engine == Engine::Postgres).then(peers::postgres::database);
        let url = database.as_ref().map(Database::url);
        environment.extend(url.map(|url| (DATABASE_URL.to_owned(), url)));
        Self(Arc::new(Inner {
            directory,
            environment,
            secrets: Mutex::default(),
            owner: OnceLock::new(),
            _database: database,
        }))
    }

    /// The data directory.
    pub(crate) fn data_dir(&self) -> &Path {
        self.0.directory.path()
    }

    /// Registers what must not stand in any log of this site.
    pub(crate) fn keep_secret(&self, secret: &str) {
        assert!(secret.len() >= 8, "too short to be looked for: {secret}");
        let mut secrets = self
            .0
            .secrets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        secrets.push(secret.to_owned());
    }

    /// The first of `lines` that tells a secret.
    pub(crate) fn leak(&self, lines: &[String]) -> Option<String> {
        let secrets = self
            .0
            .secrets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let tells = |line: &&String| secrets.iter().any(|secret| line.contains(secret));
        lines.iter().find(tells).cloned()
    }

    /// `nova` with the data directory and nothing of this machine's settings.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nova"));
        command.env_remove("RUST_LOG");
        for (name, _) in std::env::vars_os() {
            let shown = name.to_string_lossy();
            if shown.starts_with("NOVA_") || shown.starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command.envs(self.0.environment.iter().cloned());
        // A `nova.toml` of the checkout must not be found.
        command.current_dir(self.data_dir());
        command.arg("--data-dir").arg(self.data_dir());
        command
    }

    /// Runs `nova` with `arguments`.
    pub(crate) fn nova(&self, arguments: &[&str]) -> Finished {
        self.nova_with(&[], arguments)
    }

    /// Runs `nova` with `arguments` and these environment variables.
    pub(crate) fn nova_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Finished {
        let mut command = self.command();
        command.args(arguments).envs(environment.iter().copied());
        self.finish(&mut command, "")
    }

    /// Runs `command` to its end, with `input` on its standard input.
    pub(crate) fn finish(&self, command: &mut Command, input: &str) -> Finished {
        let mut process = Process::start(&format!("{command:?}"), command);
        process.say(input);
        let status = process.wait_exit(COMMAND_LIMIT);
        let (stdout, stderr) = process.output();
        Finished {
            status,
            stdout: stdout.join("\n"),
            stderr: stderr.join("\n"),
        }
    }

    /// Makes a stream called `name` and tells its key.
    pub(crate) fn create_stream(&self, name: &str) -> String {
        self.create_stream_by(|| self.command(), name)
    }

    /// The same, by another command than [`Site::command`].
    pub(super) fn create_stream_by(&self, nova: impl Fn() -> Command, name: &str) -> String {
        self.0.owner.get_or_init(|| self.create_owner(nova()));
        self.made_stream(nova(), name, OWNER)
    }

    /// The same, for somebody who has an account.
    pub(crate) fn create_stream_of(&self, owner: &str, name: &str) -> String {
        self.made_stream(self.command(), name, owner)
    }

    fn made_stream(&self, mut create: Command, name: &str, owner: &str) -> String {
        create.args(["stream", "create", name, "--owner", owner]);
        let printed = self.finish(&mut create, "").succeeded();
        let key = printed
            .split_whitespace()
            .find(|word| word.len() >= 32 && word.bytes().all(|b| b.is_ascii_alphanumeric()))
            .unwrap_or_else(|| panic!("no key in {printed:?}"))
            .to_owned();
        self.keep_secret(&key);
        key
    }

    fn create_owner(&self, command: Command) {
        self.create_user_by(command, OWNER, "correct-horse-battery-staple", &[]);
    }

    /// Makes an account.
    pub(crate) fn create_user(&self, name: &str, password: &str) {
        self.create_user_by(self.command(), name, password, &[]);
    }

    /// Makes an account of somebody who may do everything.
    pub(crate) fn create_administrator(&self, name: &str, password: &str) {
        self.create_user_by(self.command(), name, password, &["--admin"]);
    }

    fn create_user_by(&self, mut command: Command, name: &str, password: &str, options: &[&str]) {
        self.keep_secret(password);
        let email = format!("{name}@example.org");
        command.args(["user", "create", name, "--email", &email]);
        command.args(options);
        self.finish(&mut command, &format!("{password}\n"))
            .succeeded();
    }

    /// A server of this site, to be started.
    pub(crate) fn serve(&self) -> Serve {
        Serve::new(self.clone())
    }
}

/// `plain` as `wrapper` runs it.
pub(super) fn wrapped(mut wrapper: Command, plain: &Command) -> Command {
    wrapper.arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => wrapper.env(name, value),
            None => wrapper.env_remove(name),
        };
    }
    if let Some(folder) = plain.get_current_dir() {
        wrapper.current_dir(folder);
    }
    wrapper
}
