import { api } from "../browser";
import { part, View } from "../dom";
import { Form } from "../form";
import { OnceKey } from "../idempotency";
import { PagedList } from "../paged";
import type { ApiToken, Scope } from "../resources";
import { SecretBox } from "../secret";
import { timeElement } from "../time";
import type { Context } from "./context";
import { scopesOf, SCOPE_TEXT } from "./scopes";

/** The server keeps no secret: who asks again is told that the token is made, and no more. */
const LOST = "The token is made, but it was lost on the way here. Revoke it, and make another one.";

export function tokensSection(root: HTMLElement, { me }: Context): void {
  const list = new PagedList<ApiToken>({
    label: "API tokens",
    empty: "You have no tokens.",
    load: (after) => api.apiTokens(after),
    row,
  });
  part(root, "tokens", HTMLElement).append(list.root);
  void list.reload();

  const boxes = scopesOf(me).map((scope) => scopeBox(scope));
  part(root, "scopes", HTMLElement).append(...boxes.map(({ label }) => label));
  const secret = new SecretBox(part(root, "secret-box", HTMLElement));
  const once = new OnceKey();
  new Form(part(root, "token-form", HTMLFormElement), {
    submit: async (form) => {
      const wish = {
        name: form.value("name"),
        scopes: boxes.filter(({ box }) => box.checked).map(({ scope }) => scope),
        expires_in_days: Number(form.value("expires_in_days")) || null,
      };
      const made = await api.createApiToken(wish, once.of(wish));
      once.granted();
      form.clear();
      list.prepend(made.api_token);
      if (made.token === null) return LOST;
      secret.show(made.token);
      return;
    },
  });
}

function scopeBox(scope: Scope): { scope: Scope; box: HTMLInputElement; label: HTMLLabelElement } {
  const box = document.createElement("input");
  box.type = "checkbox";
  box.id = `scope-${scope}`;
  box.value = scope;
  const text = document.createElement("span");
  const code = document.createElement("code");
  code.textContent = scope;
  text.append(SCOPE_TEXT[scope], " ", code);
  const label = document.createElement("label");
  label.className = "check";
  label.htmlFor = box.id;
  label.append(box, text);
  return { scope, box, label };
}

function row(token: ApiToken, list: PagedList<ApiToken>): HTMLElement {
  const view = new View("thing-template");
  view.text("title", token.name);
  const detail = view.part("detail", HTMLElement);
  detail.append(token.scopes.join(", ") || "no scopes", " · ");
  if (token.expires_at === null) detail.append("does not end");
  else detail.append("until ", timeElement(token.expires_at, false));
  detail.append(" · ");
  if (token.last_used_at === null) detail.append("never used");
  else detail.append("last used ", timeElement(token.last_used_at, false));
  const revoke = view.part("act", HTMLButtonElement);
  revoke.textContent = "Revoke";
  revoke.setAttribute("aria-label", `Revoke: ${token.name}`);
  revoke.addEventListener("click", () => {
    void list.act(revoke, async () => {
      await api.revokeApiToken(token.id);
      list.remove(view.root);
      return `The token ${token.name} is revoked.`;
    });
  });
  return view.root;
}
