import { api } from "../browser";
import { quiet } from "../dom";
import { sinceLabel } from "../labels";
import { fetchLive } from "../live";
import { put } from "../page";
import { hashtagPath, watchPath } from "../places";
import { Tabs } from "../tabs";
import { postList } from "./list";
import { countLabel } from "./rules";

/** What everybody writes, and what is going on. */
export function showDiscover(): void {
  const view = put("discover-template", "Discover");
  void fill(view.part("hashtags", HTMLElement), "No hashtags yet.", async () => {
    const { items } = await api.trendingHashtags();
    return items.map(({ hashtag, posts }) => {
      const detail = `${countLabel(posts)} ${posts === 1 ? "post" : "posts"}`;
      return row(hashtagPath(hashtag), `#${hashtag}`, detail);
    });
  });
  void fill(view.part("live", HTMLElement), "Nobody is live right now.", async () => {
    const { streams } = await fetchLive(api);
    return streams.map(({ name, startedAt }) => {
      return row(watchPath(name), name, sinceLabel(startedAt, new Date()));
    });
  });
  new Tabs(view.root, view.part("place", HTMLElement), {
    newest: () =>
      postList({
        label: "Newest posts",
        empty: "Nobody has posted yet.",
        load: (after) => api.discover(after),
      }).root,
    trending: () =>
      postList({
        label: "Trending posts",
        empty: "Nothing is trending yet.",
        load: (after) => api.trendingPosts(after),
      }).root,
  });
}

/** Fills a list beside the posts. It is no reason to bother anybody if that does not work. */
async function fill(
  place: HTMLElement,
  empty: string,
  load: () => Promise<HTMLElement[]>,
): Promise<void> {
  try {
    const rows = await load();
    const list = document.createElement("ul");
    list.className = "trends";
    list.append(...rows);
    place.append(rows.length === 0 ? quiet(empty) : list);
  } catch (error) {
    console.info("discover:", error);
    place.append(quiet("This could not be read."));
  }
}

function row(href: string, text: string, detail: string): HTMLElement {
  const link = document.createElement("a");
  link.href = href;
  const name = document.createElement("span");
  name.className = "trend-name";
  name.textContent = text;
  const more = document.createElement("span");
  more.className = "quiet";
  more.textContent = detail;
  link.append(name, more);
  const item = document.createElement("li");
  item.append(link);
  return item;
}
