//! What is asked, about an account that is there and about one that is not.

use benches::account_server::{PASSWORD, address_of};
use serde_json::json;

/// Accounts that are there, and as many that are not.
const ACCOUNTS: usize = 8;

/// One of the operations that anybody may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Login,
    Reset,
    Registration,
}

/// One request.
pub(crate) struct Question {
    pub(crate) path: &'static str,
    pub(crate) body: String,
    /// Of what is asked for: the one thing that the answers may differ in.
    pub(crate) address: String,
}

impl Operation {
    pub(crate) const ALL: [Self; 3] = [Self::Login, Self::Reset, Self::Registration];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Login => "login with a wrong password",
            Self::Reset => "request for another password",
            Self::Registration => "registration",
        }
    }

    /// The `n`th request of the run. Both kinds are equally long.
    pub(crate) fn question(self, is_known: bool, n: usize) -> Question {
        let name = name(is_known, n % ACCOUNTS);
        let address = address_of(&name);
        let (path, body) = match self {
            Self::Login => (
                "/api/v1/session",
                json!({ "login": name, "password": "wrong horse" }),
            ),
            Self::Reset => ("/api/v1/password-resets", json!({ "email": address })),
            Self::Registration => (
                "/api/v1/registrations",
                json!({ "name": format!("new-{n:06}"), "email": address, "password": PASSWORD }),
            ),
        };
        Question {
            path,
            body: body.to_string(),
            address,
        }
    }
}

/// The names of those that are there.
pub(crate) fn accounts() -> Vec<String> {
    (0..ACCOUNTS).map(|n| name(true, n)).collect()
}

fn name(is_known: bool, n: usize) -> String {
    match is_known {
        true => format!("known-{n}"),
        false => format!("other-{n}"),
    }
}
