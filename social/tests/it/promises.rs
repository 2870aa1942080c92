//! What clients rely on, as a schema of GraphQL or a document of OpenAPI says it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Something that a client may rely on, or that it is asked for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Promise {
    /// What the changelog calls it: `Type.field`, `Type.field(argument)`, `operation`,
    /// `operation(parameter)`, `operation(200)`, `Schema.property`.
    pub(crate) name: String,
    /// What it says.
    pub(crate) text: String,
    /// What it is demanded by, if the client has to send it.
    demanded_by: Option<String>,
}

pub(crate) type Promises = BTreeSet<Promise>;

fn promise(name: impl Into<String>, text: impl Into<String>) -> Promise {
    Promise {
        name: name.into(),
        text: text.into(),
        demanded_by: None,
    }
}

fn demand(name: impl Into<String>, by: &str) -> Promise {
    let name = name.into();
    Promise {
        text: format!("{name} is required"),
        name,
        demanded_by: Some(by.to_owned()),
    }
}

/// What was promised and is not kept; what is demanded by something that was there, and was not
/// before.
pub(crate) fn broken(before: &Promises, now: &Promises) -> Vec<Promise> {
    let kept = before
        .difference(now)
        .filter(|one| one.demanded_by.is_none());
    let was_there = |demand: &&Promise| {
        let by = demand.demanded_by.as_deref();
        by.is_some_and(|by| {
            let mut names = before.iter().filter_map(|one| one.name.strip_prefix(by));
            names.any(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    let demanded = now.difference(before).filter(was_there);
    kept.chain(demanded).cloned().collect()
}

/// A field of a type, of an input or of an enumeration of an SDL, or a member of a union.
#[derive(Debug)]
pub(crate) struct Field {
    /// `type`, `input`, `enum` or `union`.
    pub(crate) block: String,
    /// The name of that.
    pub(crate) of: String,
    /// Its own.
    pub(crate) name: String,
    /// As they are written, with their types.
    pub(crate) arguments: Vec<String>,
    /// Its type, and maybe a default.
    pub(crate) kind: String,
}

impl Field {
    fn read(head: &str, line: &str) -> Self {
        let mut head = head.split_whitespace().map(str::to_owned);
        let end = line.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (name, rest) = line.split_at(end.unwrap_or(line.len()));
        let (arguments, rest) = match rest.strip_prefix('(') {
            Some(rest) => arguments(rest),
            None => (Vec::new(), rest),
        };
        Self {
            block: head.next().unwrap_or_default(),
            of: head.next().unwrap_or_default(),
            name: name.to_owned(),
            arguments,
            kind: rest.trim_start_matches(':').trim().to_owned(),
        }
    }

    /// The members of a union, which stand in one line.
    fn members(line: &str) -> Vec<Self> {
        let union = line.strip_prefix("union ");
        let Some((of, members)) = union.and_then(|union| union.split_once(" = ")) else {
            return Vec::new();
        };
        let members = members.split('|').map(|name| Self {
            block: "union".to_owned(),
            of: of.to_owned(),
            name: name.trim().to_owned(),
            arguments: Vec::new(),
            kind: String::new(),
        });
        members.collect()
    }

    /// `Type.field`.
    pub(crate) fn path(&self) -> String {
        format!("{}.{}", self.of, self.name)
    }
}

/// The arguments up to the parenthesis that ends them, and what is behind it.
fn arguments(text: &str) -> (Vec<String>, &str) {
    let (mut found, mut begin, mut depth, mut is_quoted) = (Vec::new(), 0, 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            ',' | ')' if depth == 0 => {
                found.push(text[begin..at].trim().to_owned());
                begin = at + 1;
                if c == ')' {
                    break;
                }
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    (found, &text[begin..])
}

/// All fields of an SDL.
pub(crate) fn fields(sdl: &str) -> Vec<Field> {
    let (mut head, mut is_described, mut fields) = (String::new(), false, Vec::new());
    for line in sdl.lines() {
        let text = line.trim();
        let marks = text.matches("\"\"\"").count();
        if marks > 0 || is_described {
            is_described ^= marks % 2 == 1;
            continue;
        }
        match text.strip_suffix('{') {
            Some(of) if !line.starts_with(['\t', ' ']) => of.trim().clone_into(&mut head),
            _ if text == "}" => head.clear(),
            _ if line.starts_with("union ") => fields.extend(Field::members(line)),
            _ if !head.is_empty() && !text.is_empty() => fields.push(Field::read(&head, text)),
            _ => {}
        }
    }
    fields
}

pub(crate) fn of_sdl(sdl: &str) -> Promises {
    let mut promises = Promises::new();
    for field in fields(sdl) {
        let path = field.path();
        if field.block == "input" && field.kind.ends_with('!') {
            promises.insert(demand(&path, &field.of));
        }
        for argument in &field.arguments {
            let (typed, default) = match argument.split_once(" = ") {
                Some((typed, default)) => (typed, Some(default)),
                None => (argument.as_str(), None),
            };
            let name = typed.split(':').next().unwrap_or_default();
            let name = format!("{path}({name})");
            match default {
                Some(default) => {
                    let text = format!("{name} is {default} by default");
                    promises.insert(promise(&name, text));
                }
                // One with a default may be left out.
                None if typed.ends_with('!') => {
                    promises.insert(demand(&name, &path));
                }
                None => {}
            }
            promises.insert(promise(name, format!("{path}({typed})")));
        }
        let text = format!("{path}: {}", field.kind);
        promises.insert(promise(path, text));
    }
    promises
}

pub(crate) fn of_openapi(document: &Value) -> Promises {
    let mut promises = Promises::new();
    let (mut sent, mut answered) = (BTreeSet::new(), BTreeSet::new());
    for (path, item) in object(&document["paths"]) {
        for (method, operation) in object(item) {
            let id = operation["operationId"].as_str().unwrap_or_default();
            let text = format!("{id} is {} {path}", method.to_uppercase());
            promises.insert(promise(id, text));
            promises.extend(of_operation(id, operation));
            refer(document, &operation["parameters"], &mut sent);
            refer(document, &operation["requestBody"], &mut sent);
            refer(document, &operation["responses"], &mut answered);
        }
    }
    for (name, schema) in object(&document["components"]["schemas"]) {
        for (property, of) in object(&schema["properties"]) {
            let mut of = of.clone();
            of.as_object_mut().map(|of| of.remove("description"));
            let property = format!("{name}.{property}");
            let text = format!("{property}: {of}");
            promises.insert(promise(property, text));
        }
        let reference = format!("#/components/schemas/{name}");
        let is_sent = sent.contains(&reference);
        for property in texts(&schema["required"]) {
            let property = format!("{name}.{property}");
            if is_sent {
                promises.insert(demand(&property, name));
            }
            if !is_sent || answered.contains(&reference) {
                let text = format!("{property} is always there");
                promises.insert(promise(property, text));
            }
        }
        for word in texts(&schema["enum"]) {
            let text = format!("{name} can be {word}");
            promises.insert(promise(format!("{name}.{word}"), text));
        }
    }
    promises
}

fn of_operation(id: &str, operation: &Value) -> Promises {
    let mut promises = Promises::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default();
        let text = format!("{id} takes {name}: {}", parameter["schema"]);
        let name = format!("{id}({name})");
        if parameter["required"] == true {
            promises.insert(demand(&name, id));
        }
        promises.insert(promise(name, text));
    }
    let body = &operation["requestBody"];
    if !body.is_null() {
        let name = format!("{id}(body)");
        if body["required"] == true {
            promises.insert(demand(&name, id));
        }
        promises.insert(promise(name, format!("{id} takes {}", body["content"])));
    }
    for one in operation["security"].as_array().into_iter().flatten() {
        let text = format!("{id} is open to {one}");
        promises.insert(promise(format!("{id}(security)"), text));
    }
    // What is not done is told by a problem, whose code is what counts.
    let done = object(&operation["responses"]).filter(|(status, _)| status.starts_with(['2', '3']));
    for (status, answer) in done {
        let text = format!("{id} answers {status} {}", answer["content"]);
        promises.insert(promise(format!("{id}({status})"), text));
    }
    promises
}

/// All that a value of the document refers to, directly and by what that refers to.
fn refer(document: &Value, value: &Value, found: &mut BTreeSet<String>) {
    if let Some(reference) = value["$ref"].as_str()
        && found.insert(reference.to_owned())
        && let Some(of) = document.pointer(reference.trim_start_matches('#'))
    {
        refer(document, of, found);
    }
    for (_, value) in object(value) {
        refer(document, value, found);
    }
    for value in value.as_array().into_iter().flatten() {
        refer(document, value, found);
    }
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}
