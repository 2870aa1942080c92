//! Subjects and the patterns that select them: the grammar of NATS, narrowed to what
//! every NATS tool, log and shell takes without quoting.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest subject or pattern, in bytes.
pub const MAX_SUBJECT_BYTES: usize = 255;

/// The most tokens in a subject or a pattern.
pub const MAX_SUBJECT_TOKENS: usize = 16;

/// What an event is about: 1 to [`MAX_SUBJECT_TOKENS`] tokens joined by `.`, such as
/// `live.demo.started`, [`MAX_SUBJECT_BYTES`] bytes at most.
///
/// A token is one or more of `A-Z a-z 0-9 _ -`; case counts. The first does not begin
/// with `_`: those subjects are NATS's own (`_INBOX`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(Arc<str>);

/// Subjects that a subscription wants: a [`Subject`] in which a token may be `*`, exactly
/// one token of any kind, and the last may be `>`, one or more.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectPattern(Arc<str>);

/// Why a text is not a subject or not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("subject {text:?} is not valid: {fault}")]
pub struct SubjectError {
    /// The beginning of the text.
    pub text: String,
    /// What is wrong with it: the first fault from the left.
    pub fault: SubjectFault,
}

/// What is wrong with a subject or a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubjectFault {
    /// It has too many bytes.
    #[error("it has more than {MAX_SUBJECT_BYTES} bytes")]
    TooLong,
    /// It has too many tokens.
    #[error("it has more than {MAX_SUBJECT_TOKENS} tokens")]
    TooManyTokens,
    /// A token is empty, or all of it.
    #[error("a token is empty")]
    EmptyToken,
    /// A character cannot be in a token; also a wildcard that is not a whole token, or
    /// not in a pattern.
    #[error("a token cannot have the character {0:?}")]
    InvalidCharacter(char),
    /// It is one of NATS's own.
    #[error("the first token cannot begin with '_'")]
    Reserved,
    /// `>` is not the last token.
    #[error("'>' is not its last token")]
    RestNotLast,
}

impl Subject {
    /// Checks `text`.
    pub fn new(text: &str) -> Result<Self, SubjectError> {
        check(text, Wildcards::Refused)?;
        Ok(Self(text.into()))
    }

    /// The subject as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SubjectPattern {
    /// Checks `text`.
    pub fn new(text: &str) -> Result<Self, SubjectError> {
        check(text, Wildcards::Allowed)?;
        Ok(Self(text.into()))
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it selects `subject`.
    pub fn matches(&self, subject: &Subject) -> bool {
        let mut tokens = subject.0.split('.');
        for wanted in self.0.split('.') {
            match tokens.next() {
                Some(_) if wanted == ">" => return true,
                Some(token) if wanted == "*" || wanted == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }
}

impl From<Subject> for SubjectPattern {
    fn from(subject: Subject) -> Self {
        Self(subject.0)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wildcards {
    Allowed,
    Refused,
}

fn check(text: &str, wildcards: Wildcards) -> Result<(), SubjectError> {
    let fault = |fault| {
        const SHOWN: usize = 100;
        Err(SubjectError {
            text: text.chars().take(SHOWN).collect(),
            fault,
        })
    };
    if text.len() > MAX_SUBJECT_BYTES {
        return fault(SubjectFault::TooLong);
    }
    let mut rest_seen = false;
    for (index, token) in text.split('.').enumerate() {
        if index == MAX_SUBJECT_TOKENS {
            return fault(SubjectFault::TooManyTokens);
        }
        if rest_seen {
            return fault(SubjectFault::RestNotLast);
        }
        match token {
            "" => return fault(SubjectFault::EmptyToken),
            "*" if wildcards == Wildcards::Allowed => continue,
            ">" if wildcards == Wildcards::Allowed => {
                rest_seen = true;
                continue;
            }
            _ if index == 0 && token.starts_with('_') => return fault(SubjectFault::Reserved),
            _ => {}
        }
        let invalid = |c: &char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-');
        if let Some(character) = token.chars().find(invalid) {
            return fault(SubjectFault::InvalidCharacter(character));
        }
    }
    Ok(())
}

macro_rules! text_traits {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = SubjectError;
            fn from_str(text: &str) -> Result<Self, SubjectError> {
                Self::new(text)
            }
        }
    };
}

text_traits!(Subject);
text_traits!(SubjectPattern);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn subjects_are_tokens() {
        let longest = "x".repeat(MAX_SUBJECT_BYTES);
        let most = ["x"; MAX_SUBJECT_TOKENS].join(".");
        for good in ["a", "live.demo.started", "A-b_c.0", "a._b", &longest, &most] {
            assert_eq!(Subject::new(good).unwrap().as_str(), good);
            assert_eq!(SubjectPattern::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn every_fault_has_its_name() {
        let too_long = "x".repeat(MAX_SUBJECT_BYTES + 1);
        let too_many = ["x"; MAX_SUBJECT_TOKENS + 1].join(".");
        for (bad, fault) in [
            ("", SubjectFault::EmptyToken),
            (".", SubjectFault::EmptyToken),
            (".a", SubjectFault::EmptyToken),
            ("a.", SubjectFault::EmptyToken),
            ("a..b", SubjectFault::EmptyToken),
            ("a b", SubjectFault::InvalidCharacter(' ')),
            ("a\r\nPUB b", SubjectFault::InvalidCharacter('\r')),
            ("a.é", SubjectFault::InvalidCharacter('é')),
            ("$SYS.x", SubjectFault::InvalidCharacter('$')),
            ("a*.b", SubjectFault::InvalidCharacter('*')),
            ("a.>b", SubjectFault::InvalidCharacter('>')),
            ("_INBOX.x", SubjectFault::Reserved),
            (&too_long, SubjectFault::TooLong),
            (&too_many, SubjectFault::TooManyTokens),
        ] {
            assert_eq!(Subject::new(bad).unwrap_err().fault, fault, "{bad}");
            assert_eq!(SubjectPattern::new(bad).unwrap_err().fault, fault, "{bad}");
        }
        for (wildcard, character) in [("*", '*'), ("a.*", '*'), ("a.>", '>')] {
            let fault = SubjectFault::InvalidCharacter(character);
            assert_eq!(Subject::new(wildcard).unwrap_err().fault, fault);
            SubjectPattern::new(wildcard).unwrap();
        }
        let fault = SubjectPattern::new("a.>.b").unwrap_err().fault;
        assert_eq!(fault, SubjectFault::RestNotLast);
        assert_eq!(
            Subject::new("a b").unwrap_err().to_string(),
            "subject \"a b\" is not valid: a token cannot have the character ' '"
        );
    }

    #[test]
    fn patterns_select() {
        for (pattern, selected, others) in [
            ("a.b", &["a.b"][..], &["a", "a.b.c", "a.B", "ab"][..]),
            ("a.*", &["a.b", "a.c"], &["a", "a.b.c", "b.a"]),
            ("*.b", &["a.b", "b.b"], &["b", "a.b.b"]),
            ("*", &["a"], &["a.b"]),
            ("a.>", &["a.b", "a.b.c"], &["a", "b.a"]),
            (">", &["a", "a.b.c"], &[]),
            ("*.>", &["a.b", "a.b.c"], &["a"]),
            ("a.*.c", &["a.b.c"], &["a.c", "a.b.d", "a.b.c.d"]),
        ] {
            let pattern = SubjectPattern::new(pattern).unwrap();
            for (subjects, expected) in [(selected, true), (others, false)] {
                for subject in subjects {
                    let matches = pattern.matches(&Subject::new(subject).unwrap());
                    assert_eq!(matches, expected, "{pattern} {subject}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_as_it_is_or_refused(text in "\\PC{0,40}|[ab.*>_-]{0,12}") {
            let subject = Subject::new(&text);
            let pattern = SubjectPattern::new(&text);
            if let Ok(subject) = &subject {
                prop_assert_eq!(subject.as_str(), &text);
                prop_assert!(pattern.as_ref().unwrap().matches(subject));
            }
            if let Ok(pattern) = &pattern {
                prop_assert_eq!(subject.is_ok(), !pattern.as_str().contains(['*', '>']));
            }
        }
    }
}
