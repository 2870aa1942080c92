import { part } from "../dom";
import { Form } from "../form";
import { explain } from "../problem";
import type { Page } from "../resources";
import { sizeLabel } from "../size";
import { timeElement } from "../time";
import { admin } from "./api";
import type { Usage, UsageBy } from "./resources";
import { shareLabel, stretchOf } from "./rules";

const HOUR = 3_600;

export function usageSection(root: HTMLElement): void {
  const more = part(root, "usage-more", HTMLButtonElement);
  let asked: { by: UsageBy; from: number; to: number; stretch: number } | null = null;
  const read = async (after: string | null) => {
    const current = asked;
    if (current === null) return;
    const { by, from, to, stretch } = current;
    const found = await admin.usage(by, from, to, stretch, after);
    // Something else was asked for meanwhile.
    if (current !== asked) return;
    show(root, found, after !== null);
    more.hidden = found.next === null;
    more.onclick = () => void read(found.next).catch((error: unknown) => form.fail(explain(error)));
  };
  const form = new Form(part(root, "usage-form", HTMLFormElement), {
    submit: async () => {
      const hours = Number(form.value("hours"));
      const to = Math.floor(Date.now() / 1_000) + 1;
      asked = { by: form.value("by") as UsageBy, from: to - hours * HOUR, to, stretch: stretchOf(hours) };
      await read(null);
    },
  });
  for (const name of ["by", "hours"]) {
    form.control(name)?.addEventListener("change", () => form.resend());
  }
  form.resend();
}

function show(root: HTMLElement, { items }: Page<Usage>, goesOn: boolean): void {
  const rows = items.map((usage) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.append(subjectOf(usage));
    const { requests, hits, errors, bytes, origin_bytes, most_viewers, minutes_watched } = usage;
    const texts = [
      requests.toLocaleString("en"),
      shareLabel(hits, requests),
      errors.toLocaleString("en"),
      sizeLabel(bytes),
      sizeLabel(origin_bytes),
      most_viewers.toLocaleString("en"),
      minutes_watched.toLocaleString("en"),
    ];
    const cells = texts.map((text) => {
      const cell = document.createElement("td");
      cell.textContent = text;
      return cell;
    });
    row.append(head, ...cells);
    return row;
  });
  const body = part(root, "usage-rows", HTMLElement);
  if (goesOn) body.append(...rows);
  else body.replaceChildren(...rows);
  const isEmpty = body.childElementCount === 0;
  part(root, "usage-empty", HTMLElement).hidden = !isEmpty;
  part(root, "usage-table", HTMLElement).hidden = isEmpty;
}

function subjectOf({ start, subject, name, owner, id }: Usage): string | Node {
  if (start !== null) return timeElement(start, true);
  if (subject === null) return owner ?? "nobody, or somebody who is gone";
  const whose = owner === null ? "" : ` of ${owner}`;
  return subject === "other" ? "All else" : `${subject} ${name ?? id ?? ""}${whose}`;
}
