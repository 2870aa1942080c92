//! `nova url`: signs what viewers are given, and makes the keys for it.

use std::error::Error;

use edge::access::{Claims, generate_key, signed_cookie, signed_query, signed_target};
use media::{Clock, SystemClock};

use super::load;
use crate::cli::{Settings, SignUrl, TokenForm, UrlCommand};
use crate::config::Config;

/// What is played of all that is below a path.
const MULTIVARIANT: &str = "index.m3u8";

/// Runs the command.
pub fn run(command: UrlCommand, settings: &Settings) -> Result<(), Box<dyn Error>> {
    match command {
        UrlCommand::Sign(wanted) => {
            println!("{}", sign(wanted, &load(settings, false)?)?);
        }
        UrlCommand::Key { id, algorithm } => {
            let (key, public) = generate_key(&id, algorithm)?;
            println!("{key}");
            if let Some(public) = public {
                println!("# For those who only verify: {public}");
            }
        }
    }
    Ok(())
}

fn sign(wanted: SignUrl, config: &Config) -> Result<String, Box<dyn Error>> {
    let now = SystemClock.now();
    let claims = Claims {
        expires: now + wanted.expires_in.0,
        not_before: wanted.starts_in.map(|span| now + span.0),
        address: wanted.address,
        session: wanted.session,
        ..Claims::new(wanted.path, now)
    };
    let token = config.access_keys()?.sign(&claims)?;
    let path = match claims.path.as_str() {
        folder if folder.ends_with('/') => format!("{folder}{MULTIVARIANT}"),
        resource => resource.to_owned(),
    };
    let base = match (wanted.base, config.edge.public_url.as_str()) {
        (Some(base), _) => base,
        (None, "") => config.playback_url(),
        (None, url) => url.to_owned(),
    };
    let secure = config.access.secure_cookies || base.starts_with("https://");
    let base = base.trim_end_matches('/');
    Ok(match wanted.form {
        TokenForm::Path => format!("{base}{}", signed_target(&path, &token)),
        TokenForm::Query => format!("{base}{}", signed_query(&path, &token)),
        TokenForm::Cookie => signed_cookie(&token, &claims, now, secure),
        TokenForm::Token => token,
    })
}
