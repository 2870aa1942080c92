//! Closed sets of words, as columns have them.

/// A word that is not in its closed set.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{given:?} is not valid: expected {expected}")]
pub struct InvalidWord {
    pub(super) given: String,
    pub(super) expected: &'static str,
}

/// A closed set of words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $expected:literal:
     $($(#[$of:meta])* $variant:ident = $word:literal),+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name { $($(#[$of])* $variant),+ }

        impl $name {
            /// The word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::rows::words::InvalidWord;
            fn from_str(text: &str) -> Result<Self, $crate::rows::words::InvalidWord> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::rows::words::InvalidWord {
                        given: text.chars().take(40).collect(),
                        expected: $expected,
                    }),
                }
            }
        }
    };
}

pub(super) use words;
