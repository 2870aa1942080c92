import { part, plainLink, View } from "../dom";
import { Form } from "../form";
import { PagedList } from "../paged";
import { profilePath } from "../places";
import { timeElement } from "../time";
import { admin } from "./api";
import type { AuditEntry } from "./resources";
import { actionLabel, details } from "./rules";

export function auditSection(root: HTMLElement): void {
  let [actor, subject] = ["", ""];
  const list = new PagedList<AuditEntry>({
    label: "Audit log",
    empty: "Nothing is noted.",
    load: (after) => admin.auditLog(actor, subject, after),
    row,
  });
  part(root, "entries", HTMLElement).append(list.root);
  new Form(part(root, "filter-form", HTMLFormElement), {
    submit: async (form) => {
      actor = form.value("actor").trim();
      subject = form.value("subject").trim();
      await list.reload();
    },
  });
  void list.reload();
}

function row(entry: AuditEntry): HTMLElement {
  const view = new View("audit-template");
  const who = view.part("who", HTMLElement);
  if (entry.actor === null) who.textContent = "The server, or somebody who is gone";
  else who.append(plainLink(profilePath(entry.actor), entry.actor));
  view.text("action", actionLabel(entry.action));
  view.part("when", HTMLElement).append(timeElement(entry.created_at, true));
  view.text("subject", `${entry.subject_kind} ${entry.subject_id}`);
  view.text("detail", details(entry.detail));
  return view.root;
}
