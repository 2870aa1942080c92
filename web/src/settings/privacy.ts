import { api } from "../browser";
import { part } from "../dom";
import { Form } from "../form";
import { PagedList } from "../paged";
import { personRow, type PersonAction } from "../person";
import type { Page, User } from "../resources";
import type { Context } from "./context";

export function privacySection(root: HTMLElement, { me }: Context): void {
  const isPrivate = part(root, "privacy-form", HTMLFormElement).elements.namedItem("is_private");
  if (!(isPrivate instanceof HTMLInputElement)) throw new Error("no box for is_private");
  isPrivate.checked = me.is_private;
  new Form(part(root, "privacy-form", HTMLFormElement), {
    submit: async () => {
      const after = await api.updateProfile({ is_private: isPrivate.checked });
      isPrivate.checked = after.is_private;
      return after.is_private ? "Your account is private." : "Everybody can follow you.";
    },
  });

  const list = (place: string, label: string, empty: string, load: Load, actions: PersonAction[]) => {
    const people = new PagedList<User>({
      label,
      empty,
      load,
      row: (user, all) => personRow(user, all, actions),
    });
    part(root, place, HTMLElement).append(people.root);
    void people.reload();
    return people;
  };
  list("requests", "Follow requests", "Nobody asks.", (after) => api.followRequests(after), [
    {
      label: "Accept",
      primary: true,
      run: async ({ name }) => {
        await api.acceptFollow(name);
        void followers.reload();
        return `${name} follows you now.`;
      },
    },
    {
      label: "Refuse",
      run: async ({ name }) => {
        await api.refuseFollow(name);
        return `The request of ${name} is refused.`;
      },
    },
  ]);
  const followers = list(
    "followers",
    "Followers",
    "Nobody follows you yet.",
    (after) => api.followers(me.name, after),
    [
      {
        label: "Remove",
        run: async ({ name }) => {
          await api.removeFollower(name);
          return `${name} does not follow you any more.`;
        },
      },
    ],
  );
  list("blocks", "Blocked", "You block nobody.", (after) => api.blocks(after), [
    {
      label: "Unblock",
      run: async ({ name }) => {
        await api.unblock(name);
        return `You do not block ${name} any more.`;
      },
    },
  ]);
  list("mutes", "Muted", "You mute nobody.", (after) => api.mutes(after), [
    {
      label: "Unmute",
      run: async ({ name }) => {
        await api.unmute(name);
        return `You do not mute ${name} any more.`;
      },
    },
  ]);
}

type Load = (after: string | null) => Promise<Page<User>>;
