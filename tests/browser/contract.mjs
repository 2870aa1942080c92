// What the API promises of its answers (`openapi.json`), for `fake-api.mjs`: as much of JSON Schema as is
// used there, and stricter, for nothing is answered that is not promised.
import { readFileSync } from "node:fs";

const { paths, components } = JSON.parse(
  readFileSync(new URL("../../social/schema/openapi.json", import.meta.url), "utf8"),
);

const FORMATS = {
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/,
};

/** Operations, each with what its path is like; names in full stand before those in braces. */
const OPERATIONS = Object.entries(paths)
  .sort(([one], [other]) => one.split("{").length - other.split("{").length)
  .flatMap(([path, operations]) => {
    const pattern = new RegExp(`^${path.replace(/\{[^}]+\}/g, "[^/]+")}$`);
    return Object.entries(operations).map(([method, { responses }]) => {
      return { method: method.toUpperCase(), pattern, responses };
    });
  });

/** What is wrong with an answer: nothing, if all is well. `json`: its body, if it has one that is JSON. */
export function misfits({ method, path, status, type, json }) {
  const where = `${method} ${path}: ${status}`;
  const operation = OPERATIONS.find((one) => one.method === method && one.pattern.test(path));
  if (operation === undefined) return [`${where}: there is no such operation`];
  const response = resolved(operation.responses[status]);
  if (response === undefined) return [`${where}: it is not answered so`];
  const { content = {} } = response;
  if (type === undefined) return Object.keys(content).length === 0 ? [] : [`${where}: it has no body`];
  if (content[type] === undefined) return [`${where}: it is no ${type}`];
  if (json === undefined) return [];
  return faults(content[type].schema, json, "").map((fault) => `${where}${fault}`);
}

function resolved(thing) {
  const { $ref } = thing ?? {};
  if ($ref === undefined) return thing;
  const [kind, name] = $ref.split("/").slice(-2);
  return components[kind][name];
}

/** What is wrong with `value`, and where. */
function faults(given, value, at) {
  const schema = resolved(given);
  const fault = (what) => [`${at}: ${JSON.stringify(value)?.slice(0, 80)} ${what}`];
  if (schema.oneOf !== undefined) {
    const tried = schema.oneOf.filter((one) => one.type !== "null" || value === null);
    const found = tried.map((one) => faults(one, value, at));
    return found.find((none) => none.length === 0) ?? found.at(-1);
  }
  const { types, properties, required, items } = flattened(schema);
  if (!types.some((type) => isOf(type, value))) return fault(`is no ${types.join(" or ")}`);
  if (value === null) return [];
  if (Array.isArray(value)) return value.flatMap((item, index) => faults(items, item, `${at}[${index}]`));
  if (typeof value === "object") {
    const missing = required.filter((name) => value[name] === undefined);
    return [
      ...missing.flatMap((name) => fault(`has no ${name}`)),
      ...Object.entries(value).flatMap(([name, item]) => {
        const one = properties[name] ?? schema.additionalProperties;
        if (item === undefined) return [];
        return typeof one === "object" ? faults(one, item, `${at}.${name}`) : fault(`has a ${name}`);
      }),
    ];
  }
  const isRight =
    (schema.enum?.includes(value) ?? true) &&
    (FORMATS[schema.format]?.test(value) ?? true) &&
    !(value < schema.minimum) &&
    !(value > schema.maximum);
  return isRight ? [] : fault(`is no ${schema.format ?? "value of it"}`);
}

const flattenedSchemas = new Map();

/** A schema with all that it is made of. */
function flattened(schema) {
  if (!flattenedSchemas.has(schema)) flattenedSchemas.set(schema, flatten(schema));
  return flattenedSchemas.get(schema);
}

function flatten(schema) {
  const parts = [schema, ...(schema.allOf ?? []).map(resolved)];
  return {
    types: [parts.map(({ type }) => type).find((type) => type !== undefined)].flat(),
    properties: Object.assign({}, ...parts.map(({ properties }) => properties)),
    required: parts.flatMap(({ required }) => required ?? []),
    items: schema.items,
  };
}

function isOf(type, value) {
  switch (type) {
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}
