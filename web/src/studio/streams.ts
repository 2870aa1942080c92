import { part, View } from "../dom";
import { Form } from "../form";
import { OnceKey } from "../idempotency";
import { showObs } from "../obs";
import { put } from "../page";
import { PagedList } from "../paged";
import { studioPath } from "../places";
import type { Me, StreamVisibility } from "../resources";
import { SecretBox } from "../secret";
import { studio } from "./api";
import { StreamFields } from "./fields";
import type { StudioStream } from "./resources";

/** The server keeps no secret: who asks again is told that the stream is made, and no more. */
const LOST = "The stream is made, but its key was lost on the way here. Open it, and make another key.";

const FOR_WHOM: Readonly<Record<StreamVisibility, string>> = {
  public: "for everybody",
  followers: "for followers",
  private: "only for you",
};

/** Somebody's streams, and the place to make another one. */
export function showStreams(me: Me): void {
  const view = put("streams-template", "Studio");
  const list = new PagedList<StudioStream>({
    label: "Your streams",
    empty: "You have no stream yet. Make one below.",
    load: (after) => studio.streams(me.name, after),
    row,
  });
  view.part("streams", HTMLElement).append(list.root);
  void list.reload();

  showObs(view.root);
  const obs = view.part("obs", HTMLElement);
  obs.hidden = true;
  const box = new SecretBox(view.part("secret-box", HTMLElement));
  const onward = view.part("onward", HTMLAnchorElement);
  const hide = () => {
    box.hide();
    obs.hidden = true;
  };
  view.part("hide-secret", HTMLButtonElement).addEventListener("click", () => {
    hide();
    list.root.focus();
  });

  const element = view.part("create-form", HTMLFormElement);
  const fields = new StreamFields(element);
  // As the server has it, where nothing is said.
  if (me.is_private) part(element, "visibility", HTMLSelectElement).value = "followers";
  const once = new OnceKey();
  new Form(element, {
    submit: async (form) => {
      hide();
      const wish = { name: form.value("name"), ...fields.read(form) };
      const made = await studio.createStream(wish, once.of(wish));
      once.granted();
      form.clear();
      fields.cleared();
      list.prepend(made.stream);
      if (made.key === null) return LOST;
      obs.hidden = false;
      onward.href = studioPath(made.stream.name);
      onward.textContent = `Go on to ${made.stream.name}`;
      onward.hidden = false;
      box.show(made.key);
      return;
    },
    fieldOf: { taken: "name" },
  });
}

function row(stream: StudioStream): HTMLElement {
  const view = new View("stream-row-template");
  const link = view.part("link", HTMLAnchorElement);
  link.href = studioPath(stream.name);
  link.textContent = stream.title;
  const isStopped = stream.settings?.is_stopped === true;
  view.text("detail", [stream.name, FOR_WHOM[stream.visibility], ...(isStopped ? ["stopped"] : [])].join(" · "));
  view.part("live", HTMLElement).hidden = !stream.is_live;
  return view.root;
}
