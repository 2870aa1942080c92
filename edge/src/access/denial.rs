//! Why a request is not let in.

/// What is wrong with a request for what is protected. Says nothing of the token but that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Denial {
    /// There is no token.
    #[error("This needs a signed URL or cookie.")]
    Missing,
    /// It is not of the form of a token, or there are several in one URL.
    #[error("The token is not well-formed.")]
    Malformed,
    /// Its key is none of the ring's.
    #[error("The token is signed with a key that is not known here.")]
    UnknownKey,
    /// The signature is not that of the key.
    #[error("The token's signature is wrong.")]
    BadSignature,
    /// Its time has not come.
    #[error("The token is not valid yet.")]
    NotYetValid,
    /// Its time is over.
    #[error("The token has expired; ask for a new URL or cookie.")]
    Expired,
    /// It is for another path.
    #[error("The token is for another path.")]
    WrongPath,
    /// It is for another client address, or the client's is not known.
    #[error("The token is for another client address.")]
    WrongAddress,
    /// Its session was ended.
    #[error("The token's session was ended.")]
    Revoked,
}

impl Denial {
    /// The token in `Cache-Status`, in the problem document and in metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "token-missing",
            Self::Malformed => "token-malformed",
            Self::UnknownKey => "token-unknown-key",
            Self::BadSignature => "token-bad-signature",
            Self::NotYetValid => "token-not-yet-valid",
            Self::Expired => "token-expired",
            Self::WrongPath => "token-wrong-path",
            Self::WrongAddress => "token-wrong-address",
            Self::Revoked => "token-revoked",
        }
    }

    /// RFC 9457. The type is `about:blank`, so the title is the status's phrase (4.2.1).
    pub(super) fn problem(self) -> String {
        let code = self.reason();
        format!(
            "{{\"type\":\"about:blank\",\"title\":\"Forbidden\",\"status\":403,\
             \"detail\":\"{self}\",\"code\":\"{code}\"}}\n"
        )
    }
}
