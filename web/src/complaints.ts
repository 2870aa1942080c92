/** As much of an input as decides whether what is in it can be sent. */
export interface Filled {
  readonly type: string;
  readonly value: string;
  readonly required: boolean;
  /** Characters; -1 for any. */
  readonly minLength: number;
  /** `limit`: characters at most, where typing goes on beyond them. */
  readonly dataset?: { readonly limit?: string };
  /** What all of it has to match, and what is said if it does not. */
  readonly pattern?: string;
  readonly title?: string;
  /** What an input of type file has. */
  readonly files?: ArrayLike<{ readonly size: number; readonly type: string }> | null;
  readonly checked?: boolean;
}

const MIB = 1024 * 1024;
const PICTURE_LIMIT = 5 * MIB;
const PICTURE_TYPES = ["image/png", "image/jpeg", "image/webp"];

/** What is wrong with an input, as far as the page can tell; `null` for nothing. */
export function complaint(input: Filled): string | null {
  const { type, value, dataset } = input;
  if (type === "checkbox") return input.required && !input.checked ? "Tick this box first." : null;
  if (type === "file") return fileComplaint(input);
  if (value === "") return input.required ? "Fill this in." : null;
  const length = lengthOf(value);
  if (length < input.minLength) return `At least ${input.minLength} characters.`;
  const limit = Number(dataset?.limit ?? Infinity);
  if (length > limit) return `At most ${limit.toLocaleString("en")} characters.`;
  if (input.pattern && !new RegExp(`^(?:${input.pattern})$`, "u").test(value)) return input.title ?? "";
  if (type === "email" && !/^[^@\s]+@[^@\s]+$/.test(value)) return "An address has the form name@example.org.";
  if (type === "url" && !/^https?:\/\/[^\s]+$/.test(value)) return "A link begins with https:// or http://.";
  return null;
}

/** Characters, as the server counts them: code points. */
export function lengthOf(text: string): number {
  return [...text].length;
}

function fileComplaint({ files, required }: Filled): string | null {
  const file = files?.[0];
  if (file === undefined) return required ? "Choose a file." : null;
  return pictureComplaint(file);
}

/** What is wrong with a file that is to be a picture; `null` for nothing. */
export function pictureComplaint(file: { readonly size: number; readonly type: string }): string | null {
  if (!PICTURE_TYPES.includes(file.type)) return "The picture has to be a PNG, JPEG or WebP file.";
  if (file.size > PICTURE_LIMIT) return `The picture has more than ${PICTURE_LIMIT / MIB} MB.`;
  return null;
}
