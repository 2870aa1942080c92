import { api } from "../browser";
import { put, showTrouble } from "../page";
import { postList } from "./list";

/** The posts with a hashtag. */
export function showHashtag(hashtag: string | null): void {
  if (hashtag === null) {
    showTrouble(null, "There is no hashtag of this name.", () => location.reload());
    return;
  }
  const view = put("hashtag-template", `#${hashtag}`);
  view.text("title", `#${hashtag}`);
  const list = postList({
    label: `Posts with #${hashtag}`,
    empty: "Nobody has used this hashtag yet.",
    load: (after) => api.hashtagPosts(hashtag, after),
  });
  view.part("list", HTMLElement).append(list.root);
}
