import { api } from "../browser";
import { put } from "../page";
import { PagedList } from "../paged";
import { personRow } from "../person";
import type { PostStream, User } from "../resources";
import { Tabs } from "../tabs";
import { streamBox } from "./embedded";
import { postList } from "./list";

/** What was found for what the address asks. */
export function showSearch(): void {
  const query = (new URLSearchParams(location.search).get("q") ?? "").trim();
  const view = put("search-template", query === "" ? "Search" : `${query} · Search`);
  const input = view.part("query", HTMLInputElement);
  input.value = query;
  view.part("found", HTMLElement).hidden = query === "";
  view.part("hint", HTMLElement).hidden = query !== "";
  if (query === "") {
    input.focus();
    return;
  }
  new Tabs(view.root, view.part("place", HTMLElement), {
    posts: () =>
      postList({
        label: "Posts that were found",
        empty: "No post has that in it.",
        load: (after) => api.searchPosts(query, after),
      }).root,
    people: () => people(query),
    streams: () => streams(query),
  });
}

function people(query: string): HTMLElement {
  const list = new PagedList<User>({
    label: "People who were found",
    empty: "Nobody is called so.",
    load: (after) => api.searchUsers(query, after),
    row: (user, all) => personRow(user, all, []),
  });
  void list.reload();
  return list.root;
}

function streams(query: string): HTMLElement {
  const list = new PagedList<PostStream>({
    label: "Streams that were found",
    empty: "No stream is called so.",
    load: (after) => api.searchStreams(query, after),
    row: (stream) => {
      const item = document.createElement("li");
      item.className = "stream-item";
      item.append(streamBox(stream));
      return item;
    },
  });
  void list.reload();
  return list.root;
}
