//! What each subcommand does.

mod database;
mod image_objects;
mod objects;
mod url;
mod video_objects;

use std::error::Error;
use std::io::{IsTerminal, Read};
use std::sync::Arc;

use media::{Clock, SystemClock};
use social::accounts::{self, NewUser, Password};
use storage::rows::stream_keys::StreamKey;
use storage::rows::{Database, IfMissing, users};

use crate::cli::{
    BenchCommand, Cli, Command, ConfigCommand, SchemaCommand, Settings, StreamCommand, UserCommand,
};
use crate::config::{self, Config};
use crate::doctor::doctor;
use crate::publish::publish;
use crate::serve::serve;
use crate::{bench, cdn, demo, stream_rules, vod};

/// The longest password read from standard input, with its line end.
const MAX_PASSWORD_INPUT: u64 = 4_096;
/// Streams listed at a time.
const PAGE: u32 = 500;

/// Runs the command.
pub async fn run(cli: Cli) -> Result<(), Box<dyn Error>> {
    let settings = cli.settings;
    match cli.command {
        // Dispatched before the runtime started.
        Command::Worker | Command::Demux { .. } | Command::Pictures => Ok(()),
        Command::Serve(args) => {
            let config = load(&settings, args.demo)?;
            if demo::is_in(&config.data_dir) {
                config.check_demo_directory()?;
            }
            Box::pin(serve(config, args)).await
        }
        Command::Publish(args) => publish(args).await,
        Command::Doctor => match doctor(&load(&settings, false)?).await {
            true => Ok(()),
            false => Err("this machine has a fault, see above".into()),
        },
        Command::Config(ConfigCommand::Check) => {
            let config = load(&settings, false)?;
            config.access_keys()?;
            config.http.tls()?;
            print!("{}", config.to_toml()?);
            Ok(())
        }
        Command::Db(command) => database::database(command, &settings).await,
        Command::User(command) => user(command, &settings).await,
        Command::Stream(command) => stream(command, &settings).await,
        Command::Vod(command) => {
            let config = load(&settings, false)?;
            vod::command::run(command, &config, &open(&settings).await?).await
        }
        Command::Url(command) => url::run(command, &settings),
        Command::Purge(args) => {
            let config = load(&settings, false)?;
            cdn::command::purge(&open(&settings).await?, &config, args).await
        }
        Command::Prewarm(args) => {
            let config = load(&settings, false)?;
            cdn::command::prewarm(&open(&settings).await?, &config, args).await
        }
        Command::Node(command) => {
            let config = load(&settings, false)?;
            cdn::command::node(&open(&settings).await?, &config, command).await
        }
        Command::Bench(BenchCommand::Transcode(options)) => bench::transcode(options).await,
        Command::Schema(SchemaCommand::Graphql) => {
            print!("{}", social::graphql::sdl());
            Ok(())
        }
    }
}

fn load(settings: &Settings, demo: bool) -> Result<Config, Box<dyn Error>> {
    let defaults = if demo {
        Config::demo()
    } else {
        Config::default()
    };
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut config = config::load(&defaults, settings.config.as_deref(), environment)?;
    if let Some(directory) = &settings.data_dir {
        config.data_dir.clone_from(directory);
    }
    if demo {
        config.check_demo()?;
    }
    Ok(config)
}

async fn open(settings: &Settings) -> Result<Database, Box<dyn Error>> {
    let config = load(settings, false)?;
    config.make_data_dir()?;
    let database = Database::open(&config.database_url(), IfMissing::Create).await?;
    database.migrate().await?;
    Ok(database)
}

async fn user(command: UserCommand, settings: &Settings) -> Result<(), Box<dyn Error>> {
    let UserCommand::Create { name, email, admin } = command;
    let (name, email) = (name.parse()?, email.parse()?);
    let typed = read_password()?;
    let made_up = typed.is_none();
    let text = match typed {
        Some(text) => text,
        // As many random bits as a stream key has.
        None => StreamKey::generate()?.reveal().to_owned(),
    };
    let password: Password = text.parse()?;
    let database = open(settings).await?;
    let user = NewUser {
        name,
        email,
        password,
        is_admin: admin,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let created = accounts::create_user(&database, clock.as_ref(), user).await?;
    database.close().await;
    println!("user {} created", created.name);
    if made_up {
        println!("password {text}");
    }
    Ok(())
}

/// A password piped in; nothing from a terminal or an empty input.
fn read_password() -> Result<Option<String>, Box<dyn Error>> {
    let input = std::io::stdin();
    if input.is_terminal() {
        return Ok(None);
    }
    let mut text = String::new();
    input.take(MAX_PASSWORD_INPUT).read_to_string(&mut text)?;
    let text = text.trim_end_matches(['\r', '\n']);
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

async fn stream(command: StreamCommand, settings: &Settings) -> Result<(), Box<dyn Error>> {
    let database = open(settings).await?;
    match command {
        StreamCommand::Create { name, owner } => {
            let name = name.parse()?;
            let owner = users::find_by_name(&database, &owner)
                .await?
                .ok_or_else(|| format!("there is no user {owner:?}; make one: nova user create"))?;
            let (stream, key) =
                social::streams::create_stream(&database, &SystemClock, owner.id, &name).await?;
            println!("stream {} created", stream.name);
            println!("key {}", key.reveal());
        }
        StreamCommand::List => {
            let mut after = None;
            loop {
                let page = social::streams::list_streams(&database, after.as_ref(), PAGE).await?;
                for listed in &page {
                    let state = if listed.is_live() { "live" } else { "offline" };
                    println!("{}\t{}\t{state}", listed.stream.name, listed.owner_name);
                }
                match page.last() {
                    Some(last) if page.len() as u32 == PAGE => {
                        after = Some(last.stream.name.clone());
                    }
                    _ => break,
                }
            }
        }
        StreamCommand::Set(change) => {
            stream_rules::set(&database, &load(settings, false)?, change).await?;
        }
        StreamCommand::Show { name } => {
            stream_rules::show(&database, &load(settings, false)?, &name).await?;
        }
    }
    database.close().await;
    Ok(())
}
