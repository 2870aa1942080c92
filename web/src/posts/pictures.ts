import { View } from "../dom";
import type { Image } from "../resources";

const UNDESCRIBED = "Picture without a description";

/** Whether it is a picture of this server's, and nothing else that an address can name. */
export function isOurs({ url, preview_url }: Image): boolean {
  return [url, preview_url].every((path) => /^\/images\/[\w.-]+\/[\w.-]+$/.test(path));
}

/** The pictures of a post, each of which opens. */
export function pictureGrid(given: readonly Image[]): HTMLElement {
  const images = given.filter(isOurs);
  const grid = document.createElement("ul");
  grid.className = "pictures";
  grid.dataset["count"] = String(images.length);
  grid.append(...images.map((image, at) => pictureItem(images, image, at)));
  return grid;
}

function pictureItem(images: readonly Image[], image: Image, at: number): HTMLElement {
  const picture = document.createElement("img");
  picture.loading = "lazy";
  picture.decoding = "async";
  picture.width = image.width;
  picture.height = image.height;
  picture.alt = altOf(image);
  picture.src = image.preview_url;
  const link = document.createElement("a");
  link.href = image.url;
  link.append(picture);
  link.addEventListener("click", (event) => {
    // Whoever wants a tab of its own gets it.
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    openPictures(images, at);
  });
  const item = document.createElement("li");
  item.append(link);
  return item;
}

/** What is said of a picture to those who do not see it. */
export function altOf({ description }: Image): string {
  return description === "" ? UNDESCRIBED : description;
}

/** Shows pictures over the page, as large as it is, one after the other. */
function openPictures(images: readonly Image[], first: number): void {
  const view = new View("picture-template");
  const dialog = view.root as HTMLDialogElement;
  const picture = view.part("picture", HTMLImageElement);
  const before = view.part("before", HTMLButtonElement);
  const next = view.part("next", HTMLButtonElement);
  let at = first;
  const show = (which: number) => {
    const image = images[which];
    if (image === undefined) return;
    at = which;
    picture.width = image.width;
    picture.height = image.height;
    picture.alt = altOf(image);
    picture.src = image.url;
    view.text("description", image.description);
    view.text("place", images.length > 1 ? `${at + 1} of ${images.length}` : "");
    view.part("file", HTMLAnchorElement).href = image.url;
    before.hidden = next.hidden = images.length < 2;
    before.disabled = at === 0;
    next.disabled = at === images.length - 1;
  };
  before.addEventListener("click", () => show(at - 1));
  next.addEventListener("click", () => show(at + 1));
  view.part("close", HTMLButtonElement).addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", ({ key }) => {
    if (key === "ArrowLeft") show(at - 1);
    if (key === "ArrowRight") show(at + 1);
  });
  // What is around it closes it.
  dialog.addEventListener("click", ({ target }) => {
    if (target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => dialog.remove());
  show(first);
  document.body.append(dialog);
  dialog.showModal();
}
