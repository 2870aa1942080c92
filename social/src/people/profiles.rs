//! Profiles.

use storage::rows::profile_links::{self, LINKS_AT_MOST, ProfileLink};
use storage::rows::users::{self, ProfileChange};
use url::Url;

use super::Person;
use crate::caller::Caller;
use crate::error::Fields;
use crate::model::{Link, Me, UpdateProfileInput};
use crate::operation::Operation;
use crate::posts::text::check_direction;
use crate::{ServiceError, Services};

/// The longest name that is shown, in characters.
const MAX_DISPLAY_NAME: usize = 50;
/// The longest text about oneself, in characters.
const MAX_BIO: usize = 500;
/// The longest label of a link, in characters.
const MAX_LABEL: usize = 50;
/// The longest address of a link, in bytes.
const MAX_URL: usize = 2_000;

impl Services {
    /// Somebody, by name.
    pub async fn get_user(&self, caller: &Caller, name: &str) -> Result<Person, ServiceError> {
        self.begin(caller, Operation::GetUser)?;
        self.find_visible(caller, name).await
    }

    /// Changes what the caller shows of themselves.
    pub async fn update_profile(
        &self,
        caller: &Caller,
        input: UpdateProfileInput,
    ) -> Result<Me, ServiceError> {
        let actor = self.begin_known(caller, Operation::UpdateProfile)?;
        let links = check(&input)?;
        let change = ProfileChange {
            display_name: input.display_name.as_deref().map(str::trim),
            bio: input.bio.as_deref().map(str::trim),
            is_private: input.is_private,
        };
        let mut transaction = self.db.write().await?;
        let row = users::update_profile(&self.db, &mut transaction, actor.user, change, self.now())
            .await?;
        if let Some(links) = links {
            profile_links::replace(&mut transaction, actor.user, &links).await?;
        }
        transaction.commit().await?;
        self.describe_me(&row).await
    }
}

fn check(input: &UpdateProfileInput) -> Result<Option<Vec<ProfileLink>>, ServiceError> {
    let mut fields = Fields::default();
    let name = input.display_name.as_deref().unwrap_or_default();
    fields.read("display_name", line(name, MAX_DISPLAY_NAME));
    fields.read(
        "bio",
        text(input.bio.as_deref().unwrap_or_default(), MAX_BIO),
    );
    let links = input.links.as_deref().unwrap_or_default();
    if links.len() > LINKS_AT_MOST {
        let many = format!("expected at most {LINKS_AT_MOST} links");
        fields.read("links", Err::<(), _>(many));
    }
    for (index, link) in links.iter().enumerate().take(LINKS_AT_MOST) {
        fields.read(
            &format!("links[{index}].label"),
            line(&link.label, MAX_LABEL),
        );
        fields.read(&format!("links[{index}].url"), address(&link.url));
    }
    match fields.is_empty() {
        true => Ok(input
            .links
            .as_ref()
            .map(|_| links.iter().map(stored).collect())),
        false => Err(fields.into_error()),
    }
}

fn stored(link: &Link) -> ProfileLink {
    ProfileLink {
        label: link.label.trim().to_owned(),
        url: link.url.trim().to_owned(),
    }
}

/// A line of text that can be shown anywhere.
fn line(text: &str, most: usize) -> Result<(), String> {
    let is_line = text.trim().chars().count() <= most && !text.chars().any(char::is_control);
    if !is_line {
        return Err(format!("expected a line of at most {most} characters"));
    }
    check_direction(text).map_err(|error| error.to_string())
}

/// Some lines of text.
fn text(text: &str, most: usize) -> Result<(), String> {
    let is_odd = |c: char| c.is_control() && c != '\n' && c != '\r' && c != '\t';
    let is_text = text.trim().chars().count() <= most && !text.chars().any(is_odd);
    if !is_text {
        return Err(format!("expected a text of at most {most} characters"));
    }
    check_direction(text).map_err(|error| error.to_string())
}

/// Where a link may go: it is shown to others, who follow it.
fn address(text: &str) -> Result<(), String> {
    let text = text.trim();
    // The parser overlooks some characters, and takes others for what they are not.
    let is_plain = !text.contains(|c: char| c.is_control() || c.is_whitespace());
    let parsed = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    });
    match parsed {
        Some(_) if is_plain && text.len() <= MAX_URL => {
            check_direction(text).map_err(|error| error.to_string())
        }
        _ => Err(format!(
            "expected http:// or https://HOST/..., at most {MAX_URL} bytes"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_go_to_the_web() {
        for good in [
            "https://example.org",
            "http://example.org/a?b#c",
            " https://x.y ",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "example.org",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://",
            "https://me:secret@example.org",
            "https://example.org/\0",
            "https://example.org/\u{202e}gro.live",
            "https://exam\nple.org/",
            &format!("https://example.org/{}", "x".repeat(MAX_URL)),
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lines_are_lines() {
        assert!(line("Ada Löwe", 50).is_ok());
        assert!(line("a\nb", 50).is_err());
        assert!(line("a\u{7f}", 50).is_err());
        assert!(line(&"é".repeat(51), 50).is_err());
        assert!(text("a\nb", 500).is_ok());
        assert!(text("a\u{0}b", 500).is_err());
    }

    #[test]
    fn nothing_turns_the_direction_of_what_stands_beside_it() {
        for turns in ['\u{61c}', '\u{200e}', '\u{202e}', '\u{2066}', '\u{2069}'] {
            let odd = format!("Ada{turns}");
            let told = format!("U+{:04X}", u32::from(turns));
            for refused in [line(&odd, 50), text(&odd, 500)] {
                assert!(refused.unwrap_err().contains(&told), "{told}");
            }
        }
        // Words of any direction have one of their own, and joiners are letters to some scripts.
        for good in ["\u{5d0}\u{5d3}\u{5d4} Ada", "\u{645}\u{6cc}\u{200c}\u{62e}"] {
            line(good, 50).unwrap();
            text(good, 500).unwrap();
        }
    }
}
