import { part } from "../dom";
import { Form } from "../form";
import { timeElement } from "../time";
import { studio } from "./api";
import { columns } from "./graph";
import type { Analytics } from "./resources";
import { spanLabel } from "./rules";
import { type Point, roundTop } from "./series";
import type { StreamContext } from "./stream";

const MINUTE_MS = 60_000;

export function analyticsSection(root: HTMLElement, { stream }: StreamContext): void {
  const form = new Form(part(root, "range-form", HTMLFormElement), {
    submit: async () => {
      const to = new Date();
      const from = new Date(to.getTime() - Number(form.value("hours")) * 60 * MINUTE_MS);
      show(root, await studio.analytics(stream.name, from, to));
    },
  });
  part(root, "hours", HTMLSelectElement).addEventListener("change", () => form.resend());
  form.resend();
}

function show(root: HTMLElement, told: Analytics): void {
  const { peak, minutes } = told;
  const points: Point[] = minutes.map(({ at, viewers }) => ({ at: Date.parse(at), value: viewers }));
  const scale = {
    from: Date.parse(told.from),
    to: Date.parse(told.to),
    top: roundTop(Math.max(5, peak?.viewers ?? 0)),
  };
  const label =
    peak === null
      ? "Viewers by minute: it was not live"
      : `Viewers by minute: ${peak.viewers} at most, over ${minutes.length} minutes`;
  part(root, "minutes", HTMLElement).replaceChildren(columns(label, points, scale, MINUTE_MS));
  part(root, "minutes-top", HTMLElement).textContent = String(scale.top);
  part(root, "minutes-from", HTMLElement).replaceChildren(timeElement(told.from, true));
  part(root, "minutes-to", HTMLElement).replaceChildren(timeElement(told.to, true));
  const facts: Readonly<Record<string, readonly (string | Node)[]>> = {
    peak: peak === null ? ["–"] : [`${peak.viewers}, at `, timeElement(peak.at, true)],
    "watch-time": [spanLabel(told.watch_seconds)],
    broadcasts: [String(told.broadcasts)],
    "live-time": [spanLabel(told.live_seconds)],
  };
  for (const [name, content] of Object.entries(facts)) {
    part(root, name, HTMLElement).replaceChildren(...content);
  }
  showTable(root, minutes);
  part(root, "figures", HTMLElement).hidden = false;
}

/** The same as a table, for whoever reads figures rather than columns. */
function showTable(root: HTMLElement, minutes: Analytics["minutes"]): void {
  const rows = minutes.map(({ at, viewers }) => {
    const row = document.createElement("tr");
    const minute = document.createElement("th");
    minute.scope = "row";
    minute.append(timeElement(at, true));
    const count = document.createElement("td");
    count.textContent = String(viewers);
    row.append(minute, count);
    return row;
  });
  part(root, "minutes-rows", HTMLElement).replaceChildren(...rows);
  part(root, "minutes-table", HTMLElement).hidden = rows.length === 0;
}
