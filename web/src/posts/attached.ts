import { api } from "../browser";
import { pictureComplaint } from "../complaints";
import { newId, View } from "../dom";
import type { Form } from "../form";
import { fetchLive } from "../live";
import { Problem } from "../problem";
import type { PostWish } from "../resources";
import { ChosenVideo } from "./chosen-video";
import { DESCRIPTION_LIMIT, PICTURES_AT_MOST, roomForPicture } from "./rules";

/** Pixels of a side of the little pictures that are shown while a post is written. */
const SHOWN_SIDE = 192;

const NO_VIDEO = "This video is not there any more. Choose another one.";

/** What a post that is being written shows: pictures, a video or a stream. */
export class Attached {
  /** Where the fields belong that come later. */
  form: Form | null = null;
  private pictures: Picture[] = [];
  private readonly video: ChosenVideo;
  private readonly list: HTMLUListElement;
  private readonly files: HTMLInputElement;
  private readonly addPictures: HTMLButtonElement;
  private readonly addStream: HTMLButtonElement;
  private readonly streamField: HTMLElement;
  private readonly stream: HTMLInputElement;
  private readonly streams: HTMLDataListElement;

  /** @param changed called when there is something, or nothing any more. */
  constructor(
    view: View,
    private readonly changed: () => void,
  ) {
    this.video = new ChosenVideo(view, () => this.show());
    this.list = view.part("pictures", HTMLUListElement);
    this.files = view.part("files", HTMLInputElement);
    this.addPictures = view.part("add-pictures", HTMLButtonElement);
    this.addStream = view.part("add-stream", HTMLButtonElement);
    this.streamField = view.part("stream-field", HTMLElement);
    this.stream = view.part("stream", HTMLInputElement);
    this.streams = view.part("streams", HTMLDataListElement);
    this.stream.id = newId("stream");
    this.streams.id = `${this.stream.id}-live`;
    this.stream.setAttribute("list", this.streams.id);
    view.part("stream-label", HTMLLabelElement).htmlFor = this.stream.id;
    this.addPictures.addEventListener("click", () => this.files.click());
    this.files.addEventListener("change", () => {
      const files = [...(this.files.files ?? [])];
      // The same file again is a change again.
      this.files.value = "";
      void this.add(files);
    });
    this.addStream.addEventListener("click", () => this.openStream());
    view.part("remove-stream", HTMLButtonElement).addEventListener("click", () => {
      this.closeStream();
      this.addStream.focus();
    });
  }

  /** Whether there is anything, so that no word is needed. */
  get isThere(): boolean {
    return this.pictures.length > 0 || this.video.id !== null || !this.streamField.hidden;
  }

  /** Adds what of these files are pictures, and says what is wrong with the others. */
  async add(files: readonly File[]): Promise<void> {
    let complaint: string | null = null;
    for (const file of files) {
      const wrong = await this.addOne(file);
      if (wrong !== null) complaint = files.length === 1 ? wrong : `${file.name}: ${wrong}`;
    }
    if (complaint === null) this.form?.say("");
    else this.form?.fail(complaint);
  }

  /** Sends what was not sent yet, and gives what the post is to show. */
  async send(told: (status: string) => void): Promise<Pick<PostWish, "images" | "video" | "stream">> {
    if (!this.streamField.hidden) return { stream: this.stream.value.trim() };
    const { id } = this.video;
    if (id !== null) return { video: id };
    if (this.pictures.length === 0) return {};
    const images: string[] = [];
    for (const [at, picture] of this.pictures.entries()) {
      const which = this.pictures.length === 1 ? "the picture" : `picture ${at + 1} of ${this.pictures.length}`;
      told(`Sending ${which}…`);
      images.push(await picture.send());
    }
    return { images };
  }

  /** The server does not take what is shown. Gives what is to be told of it. */
  refused(error: unknown): unknown {
    if (!(error instanceof Problem)) return error;
    const isOf = (name: string) => error.fields.some(({ field }) => field === name);
    // Pictures that it does not know any more are sent again.
    if (isOf("images")) for (const picture of this.pictures) picture.forget();
    if (!isOf("video")) return error;
    this.video.clear();
    return new Problem(error.status, error.code, NO_VIDEO, [], null);
  }

  clear(): void {
    this.pictures = [];
    this.list.replaceChildren();
    this.video.clear();
    this.closeStream();
  }

  private async addOne(file: File): Promise<string | null> {
    const wrong = this.room() ?? pictureComplaint(file);
    if (wrong !== null) return wrong;
    let bitmap;
    try {
      bitmap = await createImageBitmap(file);
    } catch {
      return "This file is no picture that can be read.";
    }
    // Meanwhile there may be others, or something else.
    const full = this.room();
    if (full !== null) {
      bitmap.close();
      return full;
    }
    const picture = new Picture(file, bitmap, () => this.remove(picture));
    bitmap.close();
    this.pictures.push(picture);
    this.list.append(picture.root);
    this.form?.adopt(picture.root);
    this.show();
    return null;
  }

  /** Why there is no room for another picture; `null`: there is. */
  private room(): string | null {
    return roomForPicture(this.pictures.length, this.showsElse);
  }

  /** Whether there is a video or a stream, or one is being chosen. */
  private get showsElse(): boolean {
    return this.video.isOpen || !this.streamField.hidden;
  }

  private remove(picture: Picture): void {
    const at = this.pictures.indexOf(picture);
    this.pictures.splice(at, 1);
    picture.root.remove();
    this.show();
    (this.pictures[Math.min(at, this.pictures.length - 1)] ?? { focus: () => this.addPictures.focus() }).focus();
  }

  private openStream(): void {
    this.streamField.hidden = false;
    this.stream.required = true;
    this.show();
    this.stream.focus();
    void this.suggest();
  }

  private closeStream(): void {
    this.streamField.hidden = true;
    this.stream.required = false;
    this.stream.value = "";
    this.show();
  }

  /** Offers those that are live; any other can be named. */
  private async suggest(): Promise<void> {
    try {
      const { streams } = await fetchLive(api);
      this.streams.replaceChildren(...streams.map(({ name }) => new Option(name, name)));
    } catch (error) {
      console.info("live streams:", error);
    }
  }

  private show(): void {
    const { showsElse, pictures } = this;
    const isFree = !showsElse && pictures.length === 0;
    this.list.hidden = pictures.length === 0;
    this.addPictures.disabled = showsElse || pictures.length >= PICTURES_AT_MOST;
    this.addStream.disabled = !isFree;
    this.video.isOffered = isFree;
    for (const [at, picture] of this.pictures.entries()) picture.number(at + 1, this.pictures.length);
    this.changed();
  }
}

/** A picture that is to be on a post. */
class Picture {
  private readonly view = new View("attached-template");
  private readonly description = this.view.part("description", HTMLTextAreaElement);
  /** What was sent of it. */
  private sent: { readonly id: string; readonly description: string } | null = null;

  constructor(
    private readonly file: File,
    bitmap: ImageBitmap,
    removed: () => void,
  ) {
    const { description, view } = this;
    description.id = newId("description");
    description.name = description.id;
    description.dataset["limit"] = String(DESCRIPTION_LIMIT);
    view.part("label", HTMLLabelElement).htmlFor = description.id;
    view.part("remove", HTMLButtonElement).addEventListener("click", removed);
    draw(view.part("shown", HTMLCanvasElement), bitmap);
  }

  get root(): HTMLElement {
    return this.view.root;
  }

  focus(): void {
    this.description.focus();
  }

  number(at: number, of: number): void {
    const which = of === 1 ? "the picture" : `picture ${at}`;
    this.view.text("label", `What is on ${which}?`);
    this.view.part("remove", HTMLButtonElement).setAttribute("aria-label", `Remove ${which}`);
  }

  /** Sends it, unless it was sent as it is now; its id. */
  async send(): Promise<string> {
    const description = this.description.value.trim();
    if (this.sent?.description !== description) {
      const { id } = await api.uploadImage(this.file, description);
      this.sent = { id, description };
    }
    return this.sent.id;
  }

  forget(): void {
    this.sent = null;
  }
}

/** Draws a picture small: nothing of the file is loaded by the page. */
function draw(canvas: HTMLCanvasElement, bitmap: ImageBitmap): void {
  const scale = Math.min(1, SHOWN_SIDE / Math.max(bitmap.width, bitmap.height));
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
}
