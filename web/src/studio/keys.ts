import { ask } from "../ask";
import { part, View } from "../dom";
import { Form } from "../form";
import { OnceKey } from "../idempotency";
import { showObs } from "../obs";
import { PagedList } from "../paged";
import { SecretBox } from "../secret";
import { timeElement } from "../time";
import { studio } from "./api";
import type { CreatedStreamKey, StreamKey } from "./resources";
import type { StreamContext } from "./stream";

/** The server keeps no secret: who asks again is told that the key is made, and no more. */
const LOST = "The key is made, but it was lost on the way here. Revoke it, and make another one.";
/** How long a key that was replaced is good still. */
const GRACE_SECONDS = 24 * 60 * 60;

export function keysSection(root: HTMLElement, { stream }: StreamContext): void {
  const { name } = stream;
  showObs(root);
  const box = new SecretBox(part(root, "secret-box", HTMLElement));
  part(root, "hide-secret", HTMLButtonElement).addEventListener("click", () => {
    box.hide();
    list.root.focus();
  });
  const list: PagedList<StreamKey> = new PagedList<StreamKey>({
    label: "Keys",
    empty: "This stream has no key: nobody can publish to it.",
    load: () => studio.keys(name),
    row: (key) => row(key),
  });
  part(root, "keys", HTMLElement).append(list.root);
  void list.reload();

  const shown = ({ key }: CreatedStreamKey): string | undefined => {
    if (key === null) return LOST;
    box.show(key);
    return;
  };

  const once = new OnceKey();
  const another = new Form(part(root, "key-form", HTMLFormElement), {
    submit: async (form) => {
      const called = form.value("name").trim();
      const made = await studio.createKey(name, called, once.of(called));
      once.granted();
      form.clear();
      list.prepend(made.stream_key);
      return shown(made);
    },
  });

  const rotate = (key: StreamKey, graceSeconds: number) => {
    const once = new OnceKey();
    ask({
      title: `Replace ${keyName(key)}?`,
      text:
        graceSeconds === 0
          ? "The old key stops at once, and what is published with it ends. The new key is shown once."
          : "The new key is shown once. The old one works for another day, so that you can change over.",
      button: "Replace the key",
      isDanger: graceSeconds === 0,
      run: async () => {
        const made = await studio.rotateKey(name, key.id, graceSeconds, once.of(graceSeconds));
        return () => {
          const lost = shown(made);
          if (lost !== undefined) another.say(lost);
          void list.reload();
        };
      },
    });
  };

  const revoke = (key: StreamKey, removed: () => void) => {
    ask({
      title: `Revoke ${keyName(key)}?`,
      text: "It opens nothing any more, and what is published with it ends at once.",
      button: "Revoke the key",
      isDanger: true,
      run: async () => {
        await studio.revokeKey(name, key.id);
        return removed;
      },
    });
  };

  const row = (key: StreamKey): HTMLElement => {
    const view = new View("key-template");
    view.text("title", key.name === "" ? "A key without a name" : key.name);
    const detail = view.part("detail", HTMLElement);
    detail.append("made ", timeElement(key.created_at, false), " · ");
    if (key.last_used_at === null) detail.append("never used");
    else detail.append("last used ", timeElement(key.last_used_at, true));
    if (key.expires_at !== null) detail.append(" · replaced, good until ", timeElement(key.expires_at, true));
    const button = (part: string, label: string, act: () => void) => {
      const found = view.part(part, HTMLButtonElement);
      found.setAttribute("aria-label", `${label}: ${keyName(key)}`);
      found.addEventListener("click", act);
      return found;
    };
    const isReplaced = key.expires_at !== null;
    button("replace", "Replace…", () => rotate(key, GRACE_SECONDS)).hidden = isReplaced;
    button("replace-now", "Replace at once…", () => rotate(key, 0)).hidden = isReplaced;
    button("revoke", "Revoke…", () => revoke(key, () => list.remove(view.root)));
    return view.root;
  };
}

function keyName({ name, created_at }: StreamKey): string {
  return name === "" ? `the key of ${timeElement(created_at, true).textContent}` : name;
}
