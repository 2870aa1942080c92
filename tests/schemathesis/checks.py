"""What holds of every answer of /graphql, beside what Schemathesis knows of GraphQL.

A refusal is an error in an answer of 200, so that its own check, for which every error of a
resolver is the server's fault, says nothing here: whose fault it is, the error's code tells.
"""

import atexit
import base64
import itertools
import json
import os
import re
import uuid

import schemathesis
from hypothesis import strategies
from schemathesis.graphql import nodes

# One pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGMw"
    "TpsJAAICATNWh+JUAAAAAElFTkSuQmCC"
)
schemathesis.openapi.media_type("image/png", strategies.just(PNG) | strategies.binary())
# A file comes beside the document, by another kind of request: in the document nothing is one.
schemathesis.graphql.scalar("Upload", strategies.just(nodes.String("file")))

# Whose token the requests have.
ASKING = "root"

CODES = {
    "validation",
    "document-too-large",
    "introspection-refused",
    "unauthenticated",
    "forbidden",
    "not-found",
    "name-taken",
    "email-taken",
    "taken",
    "conflict",
    "edited-meanwhile",
    "idempotency-key-reused",
    "link-not-valid",
    "wrong-password",
    "login-failed",
    "refresh-failed",
    "suspended",
    "chat-banned",
    "chat-timed-out",
    "followers-only",
    "slow-mode",
    "rate-limited",
    "too-many-logins",
    "too-many-prewarms",
    "no-edge",
}


@schemathesis.check
def graphql_errors_are_the_clients(context, response, case):
    if not case.path.endswith("/graphql"):
        return
    assert response.status_code < 500, f"{response.status_code}: a fault of the server"
    if response.status_code != 200:
        kind = response.headers["content-type"][0]
        assert kind == "application/problem+json", f"an error that is {kind}"
        return
    answer = response.json()
    errors = answer.get("errors", [])
    assert "data" in answer or errors, "neither data nor errors"
    for error in errors:
        code = error.get("extensions", {}).get("code")
        assert code in CODES, f"an error with the code {code}: {error['message']}"


class Stock:
    """What is there of a kind, for one face: no generated id is one of it."""

    def __init__(self, items, gone_by=()):
        # Half is for those who take something away; they leave the rest alone.
        count = len(items) // 2 if gone_by else 0
        self.gone_by, self.to_go = gone_by, items[:count]
        self.items = itertools.cycle(items[count:])

    def take(self, label):
        """One that is there; `None`: no more of them may go."""
        if label not in self.gone_by:
            return next(self.items, None)
        return self.to_go.pop() if self.to_go else None


class Face:
    """What one face is asked about: each has its own."""

    def __init__(self, known, delete_post, delete_stream, gone):
        self.posts = Stock(known["posts"], delete_post)
        self.reports = Stock(known["reports"], gone)
        self.streams = Stock(known["streams"], delete_stream)
        self.purges = Stock(known["purges"])
        self.prewarms = Stock(known["prewarms"])
        self.assets = Stock(known["assets"], gone)

    def of_cdn(self, label):
        for name, stock in (("purge", self.purges), ("prewarm", self.prewarms), ("asset", self.assets)):
            if name in label.lower():
                return stock.take(label)
        return None


# Of each kind of things ids, or names and ids; see tests/it/schemathesis.rs.
KINDS = ("posts", "reports", "streams", "purges", "prewarms", "assets")
KNOWN = {kind: [] for kind in KINDS} | json.loads(os.environ.get("KNOWN", "{}"))
REST = Face(
    {kind: items[::2] for kind, items in KNOWN.items()},
    ("DELETE /api/v1/posts/{id}",),
    ("DELETE /api/v1/streams/{name}",),
    ("DELETE /api/v1/cdn/assets/{id}",),
)
GRAPHQL = Face(
    {kind: items[1::2] for kind, items in KNOWN.items()},
    ("Mutation.deletePost",),
    ("Mutation.deleteStream",),
    ("Mutation.resolveReport", "Mutation.removeEdgeAsset"),
)
STRING = r'"(?:[^"\\]|\\.)*"'
# An argument, or a field of an input, that is an id.
ID = rf"(?:{STRING}|-?\d+)"
STREAM = re.compile(r"Query\.(stream\w*|chat\w*)|Mutation\.(\w+Stream|\w*StreamKey|\w*Chat|\w*ChatMessage)")
CACHES = re.compile(r"(Query|Mutation)\.(purge|prewarm|cancelPrewarm|\w*EdgeAsset|edgeAsset)")


def is_id(value):
    try:
        uuid.UUID(value)
    except (AttributeError, TypeError, ValueError):
        return False
    return True


def with_id(document, argument, value):
    return re.sub(rf"\b({argument}): {ID}", rf'\1: "{value}"', document)


def without(document, arguments):
    """The document without some fields of an input, which no generated id is good for."""
    return re.sub(rf"\b(?:{arguments}): (?:{ID}|\[[^\]]*\]|null)(?:, )?", "", document)


# What generated texts are too seldom; the number is never the same.
GOOD_INPUTS = {
    "Mutation.createPost": '{{text: "Post {0} #rust"}}',
    "Mutation.createStream": '{{name: "made-{0}"}}',
    "Mutation.rotateStreamKey": "{{graceSeconds: {0}}}",
    "Mutation.purge": '{{kind: STREAM, subject: "stream-{0}"}}',
    "Mutation.purgeByPattern": '{{kind: PREFIX, pattern: "/live/stream-{0}/"}}',
    "Mutation.prewarm": '{{urls: ["/live/stream-{0}/index.m3u8"]}}',
    "Mutation.registerEdgeAsset": (
        '{{name: "Made", pathPrefix: "/made/{0}/", kind: OTHER, access: PUBLIC}}'
    ),
}
# The same of bodies.
GOOD_BODIES = {
    "POST /api/v1/cdn/purges": lambda number: {"kind": "stream", "subject": f"stream-{number}"},
    "POST /api/v1/cdn/prewarms": lambda number: {"urls": [f"/live/stream-{number}/index.m3u8"]},
}
NUMBERS = itertools.count(1)
TOKEN = re.compile(rf"{STRING}|[{{}}]")


def with_good_input(label, document):
    """The document with an input that is right, every other time."""
    start, number = document.find("input: {"), next(NUMBERS)
    if label not in GOOD_INPUTS or start < 0 or number % 2 == 0:
        return document
    depth = 0
    for token in TOKEN.finditer(document, start):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if depth == 0 and token[0] == "}":
            good = "input: " + GOOD_INPUTS[label].format(number)
            return without(document[:start] + good + document[token.end() :], "idempotencyKey")
    return document


def with_good_body(label, case):
    """A body that is right, every other time that one was meant to be."""
    if label not in GOOD_BODIES or case.meta is None or case.meta.generation.mode.is_negative:
        return
    number = next(NUMBERS)
    if number % 2:
        case.body = GOOD_BODIES[label](number)
        (case.headers or {}).pop("Idempotency-Key", None)


def name_in_document(label, document):
    """A document of GraphQL, about what is there."""
    if label == "Mutation.report":
        # A report is of a post only of whom it is about.
        return without(document, "post")
    if label == "Mutation.resolveReport":
        report = GRAPHQL.reports.take(label)
        return with_id(with_id(document, "id", report), "resolution", "Done") if report else document
    if label == "Query.post" or re.fullmatch(r"Mutation\.[a-z]+Post", label):
        document = without(document, "stream|images|video")
        if post := GRAPHQL.posts.take(label):
            document = with_id(document, "id|replyTo|quote", post)
            document = re.sub(r"\brevision: -?\d+", "revision: 0", document)
        return document
    if label == "Mutation.createStream":
        return re.sub(rf"\b(ladder): {ID}", r"\1: null", document)
    if STREAM.fullmatch(label):
        stream = GRAPHQL.streams.take(label)
        if stream is None:
            return document
        document = re.sub(rf"\b(ladder): {ID}", r"\1: null", document)
        document = with_id(document, "stream", stream["name"])
        if label.startswith("Query.stream") or re.fullmatch(r"Mutation\.[a-z]+Stream", label):
            document = with_id(document, "name", stream["name"])
        document = without(document, "replyTo")
        document = without(document, "from|to")
        return with_id(document, "id|viewer", stream["message" if "Chat" in label else "key"])
    if CACHES.fullmatch(label) and (item := GRAPHQL.of_cdn(label)):
        return with_id(document, "id", item)
    return document


def name_in_request(label, case):
    """A request of REST, about what is there."""
    path = case.path_parameters or {}
    body = case.body if isinstance(case.body, dict) else {}
    if "/api/v1/posts" in label:
        if is_id(path.get("id")) and (post := REST.posts.take(label)):
            path["id"] = post
        for field in ("reply_to", "quote"):
            if is_id(body.get(field)):
                body[field] = REST.posts.take(label) or body[field]
    elif "/api/v1/streams/{name}" in label:
        # A name that is none stays as it is.
        is_name = re.fullmatch(r"[A-Za-z0-9_-]+", str(path.get("name")))
        if is_name and (stream := REST.streams.take(label)):
            path["name"] = stream["name"]
            if is_id(path.get("id")):
                path["id"] = stream["key" if "/keys/" in label else "message"]
    elif "/api/v1/cdn/" in label:
        if is_id(path.get("id")) and (item := REST.of_cdn(label)):
            path["id"] = item


@schemathesis.hook
def before_call(context, case, kwargs):
    """Whoever asks stays who they are: names come from what was answered, too."""
    if not case.path.endswith("/graphql"):
        name_in_request(case.operation.label, case)
        with_good_body(case.operation.label, case)
    elif isinstance(case.body, str):
        label = case.operation.label
        case.body = with_good_input(label, name_in_document(label, case.body))
    if case.operation.label == "PUT /api/v1/users/{name}/role":
        if str(case.path_parameters.get("name")).lower() == ASKING:
            case.path_parameters["name"] = "ada"
    elif case.operation.label == "Mutation.setRole" and isinstance(case.body, str):
        case.body = re.sub(f'"{ASKING}"', '"ada"', case.body, flags=re.IGNORECASE)


# Which operations were asked for, and which were done at least once. tests/it/schemathesis.rs
# looks at them: a server that refuses everything would keep all promises.
asked, done = set(), set()


@schemathesis.hook
def after_call(context, case, response):
    label = case.operation.label
    asked.add(label)
    if case.path.endswith("/graphql"):
        answer = response.json() if response.status_code == 200 else {}
        if not answer.get("errors") and answer.get("data") is not None:
            done.add(label)
    elif response.status_code < 400:
        done.add(label)


@atexit.register
def tell():
    file = os.environ.get("OPERATIONS_FILE")
    if file is None:
        return
    with open(file, "a", encoding="utf-8") as lines:
        for label in sorted(asked):
            lines.write(f"{'done' if label in done else 'asked'} {label}\n")
