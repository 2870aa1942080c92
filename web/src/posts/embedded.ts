import { View } from "../dom";
import { nameOf, postPath, watchPath } from "../places";
import type { PostStream, Quote } from "../resources";
import { timeElement } from "../time";
import { pictureGrid } from "./pictures";
import { IN_QUOTE, shortened, showsNothing } from "./rules";
import { showText } from "./text";
import { videoBox } from "./video";

/** What a post quotes, inside of it. */
export function quoteBox({ post }: Quote): HTMLElement {
  const view = new View("quote-template");
  const isThere = post !== null && !post.is_deleted;
  view.part("missing", HTMLElement).hidden = isThere;
  view.part("quoted", HTMLElement).hidden = !isThere;
  if (post === null || !isThere) return view.root;
  view.text("author", post.author === null ? "Somebody" : nameOf(post.author));
  view.text("handle", post.author === null ? "" : `@${post.author.name}`);
  const link = view.part("link", HTMLAnchorElement);
  link.href = postPath(post.id);
  link.append(timeElement(post.created_at, true));
  const text = view.part("text", HTMLElement);
  text.hidden = post.parts.length === 0;
  showText(text, shortened(post.parts, IN_QUOTE) ?? post.parts);
  const shown = [
    ...(post.images.length === 0 ? [] : [pictureGrid(post.images)]),
    ...(post.video === null ? [] : [videoBox(post.video, post.id)]),
    ...(post.stream === null ? [] : [streamBox(post.stream)]),
    ...(showsNothing(post) ? [goneBox()] : []),
  ];
  view.part("shown", HTMLElement).replaceChildren(...shown);
  return view.root;
}

/** What stands in the place of all that a post showed. */
export function goneBox(): HTMLElement {
  const sentence = document.createElement("p");
  sentence.className = "quiet";
  sentence.textContent = "What this showed is not there any more.";
  return sentence;
}

/** A stream that a post shows, or that was found. */
export function streamBox({ name, title, is_live, owner }: PostStream): HTMLElement {
  const view = new View("stream-template");
  view.part("link", HTMLAnchorElement).href = watchPath(name);
  view.text("title", title === "" ? name : title);
  view.text("detail", `${name} · @${owner}`);
  view.part("live", HTMLElement).hidden = !is_live;
  return view.root;
}
