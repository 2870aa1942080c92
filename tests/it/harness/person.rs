//! Somebody who asks the same by REST and by GraphQL.

use serde_json::{Map, Value, json};

use super::{Http, Nova};

/// How somebody asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Face {
    Rest,
    Graphql,
}

/// What is asked by REST: method, path below `/api/v1/`, and body.
pub(crate) struct Rest<'a>(pub(crate) &'a str, pub(crate) &'a str, pub(crate) Value);

/// The same by GraphQL.
pub(crate) struct Graphql<'a> {
    document: &'a str,
    variables: Value,
    /// Where the answer stands in the data.
    place: &'a str,
}

impl<'a> Graphql<'a> {
    pub(crate) fn new(document: &'a str, place: &'a str) -> Self {
        Self::with(document, json!({}), place)
    }

    /// With variables, named as REST names what is in them.
    pub(crate) fn with(document: &'a str, variables: Value, place: &'a str) -> Self {
        Self {
            document,
            variables: camel_case(variables),
            place,
        }
    }
}

/// Somebody who asks.
pub(crate) struct Person {
    pub(crate) http: Http,
    pub(crate) face: Face,
    /// Of whoever is logged in.
    pub(crate) token: String,
}

impl Person {
    pub(crate) fn stranger(nova: &Nova, face: Face) -> Self {
        Self {
            http: nova.http(),
            face,
            token: String::new(),
        }
    }

    pub(crate) fn logged_in(nova: &Nova, face: Face, name: &str, password: &str) -> Self {
        let document = format!(
            "mutation {{ login(input: {{ login: {name:?}, password: {password:?} }}) {{
                 accessToken }} }}"
        );
        let body = json!({ "login": name, "password": password });
        let session = Self::stranger(nova, face).do_it(
            Rest("POST", "session", body),
            Graphql::new(&document, "login"),
        );
        let token = session["access_token"].as_str().unwrap().to_owned();
        Self {
            http: nova.http().bearing(&token),
            face,
            token,
        }
    }

    pub(crate) fn follow(&self, name: &str) -> Result<(), String> {
        let document = format!("mutation {{ follow(name: {name:?}) }}");
        let path = format!("users/{name}/follow");
        let asked = self.ask(
            Rest("PUT", &path, Value::Null),
            Graphql::new(&document, "follow"),
        );
        asked.map(drop)
    }

    #[track_caller]
    pub(crate) fn do_it(&self, rest: Rest<'_>, graphql: Graphql<'_>) -> Value {
        self.ask(rest, graphql).unwrap()
    }

    /// The answer, as REST names what is in it, or the code of the problem.
    pub(crate) fn ask(&self, rest: Rest<'_>, graphql: Graphql<'_>) -> Result<Value, String> {
        match self.face {
            Face::Rest => self.by_rest(rest),
            Face::Graphql => self.by_graphql(graphql),
        }
    }

    fn by_rest(&self, Rest(method, path, body): Rest<'_>) -> Result<Value, String> {
        let path = format!("/api/v1/{path}");
        let text = body.to_string();
        let answer = match (method, &body) {
            ("GET", _) => self.http.get(&path),
            ("POST", _) => self.http.post_json(&path, &text),
            ("PATCH", _) => self.http.patch_json(&path, &text),
            ("PUT", Value::Null) => self.http.put(&path),
            ("PUT", _) => self.http.put_json(&path, &text),
            (_, Value::Null) => self.http.delete(&path),
            _ => self.http.delete_json(&path, &text),
        };
        let answer = answer?;
        let value = match answer.body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&answer.body).unwrap(),
        };
        match answer.status {
            200..=299 => Ok(value),
            _ => Err(value["code"].as_str().unwrap().to_owned()),
        }
    }

    fn by_graphql(&self, asked: Graphql<'_>) -> Result<Value, String> {
        let question = json!({ "query": asked.document, "variables": asked.variables });
        let answer = self.http.post_json("/graphql", &question.to_string())?;
        let mut answer: Value = serde_json::from_slice(&answer.body).unwrap();
        // A token that is not good any more is refused before there is a document.
        for code in [&answer["errors"][0]["extensions"]["code"], &answer["code"]] {
            if let Some(code) = code.as_str() {
                return Err(code.to_owned());
            }
        }
        let mut found = answer["data"].take();
        for step in asked.place.split('/') {
            found = found[step].take();
        }
        Ok(snake_case(found))
    }
}

fn renamed(value: Value, rename: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter();
            let renamed: Map<_, _> = fields
                .map(|(name, value)| (rename(&name), self::renamed(value, rename)))
                .collect();
            renamed.into()
        }
        Value::Array(items) => {
            let items = items.into_iter();
            items.map(|item| renamed(item, rename)).collect()
        }
        other => other,
    }
}

fn snake_case(value: Value) -> Value {
    renamed(value, &|name| {
        let mut snake = String::new();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        }
        snake
    })
}

fn camel_case(value: Value) -> Value {
    renamed(value, &|name| {
        let mut words = name.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |name, word| {
            let (head, tail) = word.split_at(word.len().min(1));
            name + &head.to_ascii_uppercase() + tail
        })
    })
}
