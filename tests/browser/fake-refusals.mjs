// What the API refuses with, for `fake-api.mjs`.

export class Refusal extends Error {
  constructor(status, code, detail, { errors, headers } = {}) {
    super(detail);
    Object.assign(this, { status, code, errors, headers });
  }
}

export const invalid = (field, message) =>
  new Refusal(400, "validation", "Some fields are not right.", { errors: [{ field, message }] });
export const notFound = () => new Refusal(404, "not-found", "No such user.");

/** What an API that is asked too often answers. */
export function tooOften(seconds) {
  const headers = { "Retry-After": String(seconds) };
  return new Refusal(429, "rate-limited", `Too many requests: try again in ${seconds} s.`, { headers });
}
