//! What mails say. The first line of a template is the subject, then comes an empty one.

use minijinja::{Environment, UndefinedBehavior, context};

use super::{Mail, PostError};

/// A mail's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Template {
    Verify,
    KnownAddress,
    Reset,
    ConfirmEmail,
    PasswordChanged,
    EmailChangeAsked,
    AccountDeleted,
}

impl Template {
    #[cfg(test)]
    const ALL: [Self; 7] = [
        Self::Verify,
        Self::KnownAddress,
        Self::Reset,
        Self::ConfirmEmail,
        Self::PasswordChanged,
        Self::EmailChangeAsked,
        Self::AccountDeleted,
    ];

    fn text(self) -> &'static str {
        match self {
            Self::Verify => include_str!("templates/verify.txt"),
            Self::KnownAddress => include_str!("templates/known_address.txt"),
            Self::Reset => include_str!("templates/reset.txt"),
            Self::ConfirmEmail => include_str!("templates/confirm_email.txt"),
            Self::PasswordChanged => include_str!("templates/password_changed.txt"),
            Self::EmailChangeAsked => include_str!("templates/email_change_asked.txt"),
            Self::AccountDeleted => include_str!("templates/account_deleted.txt"),
        }
    }
}

/// What a template can say.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    /// The installation, as links name it.
    pub(super) site: &'a str,
    /// The account's name.
    pub(super) name: &'a str,
    /// Where to go; empty: nowhere.
    pub(super) link: &'a str,
}

/// The mail that says it.
pub(super) fn write(template: Template, to: &str, facts: &Facts<'_>) -> Result<Mail, PostError> {
    let mut environment = Environment::new();
    // A mistake in a template is not sent.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let fault = |error: minijinja::Error| PostError(error.to_string());
    let text = environment
        .render_str(
            template.text(),
            context! { site => facts.site, name => facts.name, link => facts.link },
        )
        .map_err(fault)?;
    let (subject, text) = text.split_once('\n').unwrap_or((&text, ""));
    Ok(Mail {
        to: to.to_owned(),
        subject: subject.trim().to_owned(),
        text: format!("{}\n", text.trim()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_a_mail() {
        for template in Template::ALL {
            let facts = Facts {
                site: "https://nova.example.org",
                name: "ada",
                link: "https://nova.example.org/verify#token=abc",
            };
            let mail = write(template, "ada@example.org", &facts).unwrap();
            assert!(!mail.subject.is_empty() && mail.subject.len() < 78);
            assert!(
                mail.text.contains("https://nova.example.org"),
                "{template:?}"
            );
            // RFC 5322 2.1.1.
            assert!(
                mail.text.lines().all(|line| line.len() <= 78),
                "{template:?}"
            );
            assert!(!mail.text.contains("{{"));
        }
    }
}
