import type { Part, Post } from "../resources";
import { hashtagPath, outwardLink, profilePath } from "../places";

/** So many characters a post has at most. */
export const TEXT_LIMIT = 5_000;

/** As much of a text as is shown. */
export interface Room {
  readonly characters: number;
  readonly lines: number;
}

/** What a post has in a list, */
export const IN_LIST: Room = { characters: 700, lines: 14 };
/** and what one has that is quoted. */
export const IN_QUOTE: Room = { characters: 300, lines: 8 };

/** Pictures that a post has at most, */
export const PICTURES_AT_MOST = 4;
/** and characters that are said of one. */
export const DESCRIPTION_LIMIT = 1_500;

/** Why a post that has so many pictures, or shows something else, takes no other; `null`: it does. */
export function roomForPicture(pictures: number, showsElse: boolean): string | null {
  if (showsElse) return "A post shows pictures, a video or a stream.";
  return pictures < PICTURES_AT_MOST ? null : `A post has ${PICTURES_AT_MOST} pictures at most.`;
}

/** Whether a post that says no word says nothing. */
export function needsText({ quote, stream, images, video }: Post): boolean {
  return quote === null && stream === null && video === null && images.length === 0;
}

/** Whether nothing is left of a post that said no word: what it showed is gone, or not for the viewer. */
export function showsNothing(post: Post): boolean {
  return post.text === "" && post.share_of === null && needsText(post);
}

/** The post as it is once `likes` is so. */
export function liked(post: Post, likes: boolean): Post {
  const { viewer, counts } = post;
  if (viewer === null || viewer.likes === likes) return post;
  const count = Math.max(0, counts.likes + (likes ? 1 : -1));
  return { ...post, viewer: { ...viewer, likes }, counts: { ...counts, likes: count } };
}

/** The post as it is once `shares` is so. */
export function shared(post: Post, shares: boolean): Post {
  const { viewer, counts } = post;
  if (viewer === null || viewer.shares === shares) return post;
  const count = Math.max(0, counts.shares + (shares ? 1 : -1));
  return { ...post, viewer: { ...viewer, shares }, counts: { ...counts, shares: count } };
}

/** The post with one comment more. */
export function commented(post: Post): Post {
  return { ...post, counts: { ...post.counts, comments: post.counts.comments + 1 } };
}

/** Where a piece of a text leads; `null` for one that is text and no more. */
export function targetOf({ mention, hashtag, link }: Part): string | null {
  if (mention !== null) return profilePath(mention);
  if (hashtag !== null) return hashtagPath(hashtag);
  return link === null ? null : outwardLink(link);
}

/** The beginning of a text that does not fit; `null` for one that does. */
export function shortened(parts: readonly Part[], room: Room): Part[] | null {
  const kept: Part[] = [];
  let characters = 0;
  let lines = 1;
  for (const part of parts) {
    const taken: string[] = [];
    for (const character of part.text) {
      if (character === "\n") lines += 1;
      characters += 1;
      if (characters > room.characters || lines > room.lines) {
        const text = taken.join("").trimEnd();
        return [...kept, { ...part, text: `${text}…` }];
      }
      taken.push(character);
    }
    kept.push(part);
  }
  return null;
}

/** "12 / 5,000". */
export function counterLabel(length: number): string {
  return `${length.toLocaleString("en")} / ${TEXT_LIMIT.toLocaleString("en")}`;
}

/** A count beside a symbol: "", "12", "3.4K". */
export function countLabel(count: number): string {
  if (count <= 0) return "";
  const compact = { notation: "compact", maximumFractionDigits: 1 } as const;
  return new Intl.NumberFormat("en", compact).format(count);
}

/** Of a video, perhaps with the token of who sees it. */
const POSTER = /^(https?:\/\/[\w.:[\]-]+(\/[\w./-]*)?)?\/vod\/(~[\w.-]+\/)?[0-9a-f-]{36}\/poster\.jpg$/;

/** Whether this is a video's poster, here or at the edge, and nothing else that an address can name. */
export function isPoster(address: string): boolean {
  return POSTER.test(address);
}
