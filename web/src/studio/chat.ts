import { api } from "../browser";
import { ChatPanel } from "../chat/panel";
import { part } from "../dom";
import { Form } from "../form";
import { PagedList } from "../paged";
import { personRow } from "../person";
import { goToLogin } from "../places";
import { explain, LoginNeeded } from "../problem";
import type { ChatRoom, ChatSanction } from "../resources";
import { timeElement } from "../time";
import { slowModeLabel, slowModes } from "./rules";
import type { StreamContext } from "./stream";

export function chatSection(root: HTMLElement, { me, stream }: StreamContext): void {
  const { name } = stream;
  const sanctions = new PagedList<ChatSanction>({
    label: "Timeouts and bans",
    empty: "Everybody may talk.",
    load: (after) => api.chatSanctions(name, after),
    row: (sanction, list) => sanctionRow(name, sanction, list),
  });
  part(root, "sanctions", HTMLElement).append(sanctions.root);
  void sanctions.reload();

  const panel = new ChatPanel({ stream: name, sanctioned: () => void sanctions.reload() });
  panel.stand({ owner: me.name, follows: null });
  part(root, "chat", HTMLElement).replaceWith(panel.root);

  const fieldset = part(root, "chat-fields", HTMLFieldSetElement);
  const slow = part(root, "slow-mode", HTMLSelectElement);
  const followersOnly = part(root, "followers-only", HTMLInputElement);
  const form = new Form(part(root, "chat-form", HTMLFormElement), {
    submit: async () => {
      const change = { slow_mode_seconds: Number(slow.value), followers_only: followersOnly.checked };
      fill(await api.changeChat(name, change));
      return "Saved.";
    },
  });
  const fill = (room: ChatRoom) => {
    slow.replaceChildren(...slowModes(room.slow_mode_seconds).map(option));
    slow.value = String(room.slow_mode_seconds);
    followersOnly.checked = room.followers_only;
    fieldset.disabled = false;
  };
  api.chatRoom(name).then(fill, (error: unknown) => {
    if (error instanceof LoginNeeded) goToLogin();
    form.fail(explain(error));
  });
}

function option(seconds: number): HTMLOptionElement {
  return new Option(slowModeLabel(seconds), String(seconds));
}

function sanctionRow(name: string, sanction: ChatSanction, list: PagedList<ChatSanction>): HTMLElement {
  const { user, until } = sanction;
  const row = personRow(user, list, [
    {
      label: until === null ? "Lift the ban" : "Lift the timeout",
      run: async () => {
        await api.liftInChat(name, user.name);
        return `${user.name} may talk again.`;
      },
    },
  ]);
  const detail = part(row, "detail", HTMLElement);
  if (until === null) detail.append(" · banned since ", timeElement(sanction.since, true));
  else detail.append(" · timed out until ", timeElement(until, true));
  return row;
}
