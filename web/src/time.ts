const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** A `time` element for an RFC 3339 time, with the time of day if `precise`. */
export function timeElement(text: string, precise: boolean): HTMLTimeElement {
  const made = document.createElement("time");
  made.dateTime = text;
  const at = Date.parse(text);
  made.textContent = Number.isNaN(at) ? text : (precise ? MOMENT : DAY).format(at);
  return made;
}
