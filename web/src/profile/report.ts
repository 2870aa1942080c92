import { api } from "../browser";
import { View } from "../dom";
import { Form } from "../form";
import { OnceKey } from "../idempotency";
import type { ReportReason } from "../resources";

/** What is reported: somebody, or what they wrote. */
export interface Reported {
  readonly user: string;
  readonly post?: string;
}

/** Asks what to report; calls `sent` when it is. */
export function openReport(what: Reported, sent: () => void): void {
  const view = new View("report-template");
  const dialog = view.root as HTMLDialogElement;
  view.text("title", what.post === undefined ? `Report ${what.user}` : `Report the post by ${what.user}`);
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  view.part("cancel", HTMLButtonElement).addEventListener("click", () => dialog.close());
  const once = new OnceKey();
  new Form(view.part("form", HTMLFormElement), {
    submit: async (form) => {
      const reason = form.value("reason") as ReportReason;
      const comment = form.value("comment");
      await api.report(what, reason, comment, once.of({ reason, comment }));
      dialog.close();
      sent();
    },
  });
  dialog.showModal();
}
