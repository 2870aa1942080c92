"""What holds of every answer of /graphql, beside what Schemathesis knows of GraphQL.

A refusal is an error in an answer of 200, so that its own check, for which every error of a
resolver is the server's fault, says nothing here: whose fault it is, the error's code tells.
"""

import atexit
import base64
import itertools
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
    "conflict",
    "edited-meanwhile",
    "idempotency-key-reused",
    "link-not-valid",
    "wrong-password",
    "login-failed",
    "refresh-failed",
    "suspended",
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


class Posts:
    """Posts of who asks, of whom each face has its own: no generated id is one of a post."""

    def __init__(self, ids):
        self.to_delete, known = ids[:5], ids[5:]
        self.known = itertools.cycle(known)

    def take(self, label):
        """The id of one that is there; `None`: no more of them may go."""
        if label not in ("DELETE /api/v1/posts/{id}", "Mutation.deletePost"):
            return next(self.known, None)
        return self.to_delete.pop() if self.to_delete else None


IDS = os.environ.get("POSTS", "").split()
OF_REST, OF_GRAPHQL = Posts(IDS[::2]), Posts(IDS[1::2])
REPORTS = os.environ.get("REPORTS", "").split()
STRING = r'"(?:[^"\\]|\\.)*"'
GRAPHQL_ID = re.compile(rf"\b(id|replyTo|quote): (?:{STRING}|-?\d+)")


def is_id(value):
    try:
        uuid.UUID(value)
    except (AttributeError, TypeError, ValueError):
        return False
    return True


def name_posts(case):
    """Ids of posts become those of posts that are there; what is no id stays as it is."""
    label = case.operation.label
    if label == "Mutation.report" and isinstance(case.body, str):
        # A report is of a post only of whom it is about, and no generated id is one.
        case.body = re.sub(rf"(?:, )?\bpost: {STRING}", "", case.body)
        return
    if label == "Mutation.resolveReport" and isinstance(case.body, str) and REPORTS:
        case.body = GRAPHQL_ID.sub(f'id: "{REPORTS.pop()}"', case.body)
        return
    if label == "Query.post" or re.fullmatch(r"Mutation\.[a-z]+Post", label):
        if isinstance(case.body, str) and (post := OF_GRAPHQL.take(label)):
            case.body = GRAPHQL_ID.sub(rf'\1: "{post}"', case.body)
            case.body = re.sub(r"\brevision: -?\d+", "revision: 0", case.body)
        return
    if "/api/v1/posts" not in label:
        return
    if is_id((case.path_parameters or {}).get("id")) and (post := OF_REST.take(label)):
        case.path_parameters["id"] = post
    if isinstance(case.body, dict):
        for field in ("reply_to", "quote"):
            if is_id(case.body.get(field)):
                case.body[field] = OF_REST.take(label) or case.body[field]


@schemathesis.hook
def before_call(context, case, kwargs):
    """Whoever asks stays who they are: names come from what was answered, too."""
    name_posts(case)
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
