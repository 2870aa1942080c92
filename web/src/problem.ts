/** What is wrong with one field of a request. */
export interface FieldError {
  /** As the request spells it, parts joined by dots: `links.0.url`. */
  readonly field: string;
  /** A sentence for a person. */
  readonly message: string;
}

/** Why a request was not answered as asked: RFC 9457, as the API writes it. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    /** What a program tells problems apart by: `name-taken`. */
    readonly code: string,
    /** A sentence for a person. */
    detail: string,
    readonly fields: readonly FieldError[],
    /** Seconds after which another try is worth it; `null` when the server does not say. */
    readonly retryAfter: number | null,
  ) {
    super(detail);
    this.name = "Problem";
  }
}

/** No answer came: no network, no server, or too late. */
export class Unreachable extends Error {
  constructor(cause: unknown) {
    super("The server does not answer. Check your connection, then try again.", { cause });
    this.name = "Unreachable";
  }
}

/** What was asked for needs somebody who is logged in, and nobody is, or no longer. */
export class LoginNeeded extends Error {
  constructor() {
    super("You are not logged in any more.");
    this.name = "LoginNeeded";
  }
}

/** Reads the problem that `response` is. One without a problem document is one all the same. */
export async function readProblem(response: Response, now: number): Promise<Problem> {
  const body: unknown = await response.json().catch(() => null);
  const document = isRecord(body) ? body : {};
  return new Problem(
    response.status,
    codeOf(document),
    text(document["detail"]) ?? `The server answered with an error (${response.status}).`,
    fieldsOf(document["errors"]),
    retryAfterOf(response.headers.get("Retry-After"), now),
  );
}

function codeOf(document: Record<string, unknown>): string {
  const code = text(document["code"]) ?? text(document["type"])?.split("/").pop() ?? "";
  return code.replaceAll("_", "-");
}

function fieldsOf(errors: unknown): FieldError[] {
  if (!Array.isArray(errors)) return [];
  return errors.flatMap((error: unknown) => {
    if (!isRecord(error)) return [];
    const field = text(error["field"]);
    const message = text(error["message"]);
    if (field === null || message === null) return [];
    // `links[0].url` and `/links/0/url` say the same.
    const parts = field.split(/[.[\]/]+/).filter((part) => part !== "");
    return [{ field: parts.join("."), message: sentence(message) }];
  });
}

/** The API says of a field what was expected, to be put behind its name; here it stands alone. */
function sentence(text: string): string {
  const whole = /[.!?]$/.test(text) ? text : `${text}.`;
  return whole.charAt(0).toUpperCase() + whole.slice(1);
}

/** RFC 9110 10.2.3: seconds, or a date. */
function retryAfterOf(header: string | null, now: number): number | null {
  if (header === null) return null;
  if (/^\d+$/.test(header)) return Number(header);
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - now) / 1000));
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** What a person is told about `error`. */
export function explain(error: unknown): string {
  if (error instanceof Problem) {
    const { retryAfter, status } = error;
    if (retryAfter === null) return error.message;
    return `${status === 429 ? "That was too often." : "The server is busy."} ${waitLabel(retryAfter)}`;
  }
  if (error instanceof Unreachable || error instanceof LoginNeeded) return error.message;
  console.error(error);
  return "Something went wrong on this page. Reload it, then try again.";
}

/** "Try again in 40 seconds." */
export function waitLabel(seconds: number): string {
  if (seconds <= 1) return "Try again in a moment.";
  if (seconds < 90) return `Try again in ${seconds} seconds.`;
  if (seconds < 90 * 60) return `Try again in ${Math.ceil(seconds / 60)} minutes.`;
  return `Try again in ${Math.ceil(seconds / 3600)} hours.`;
}
