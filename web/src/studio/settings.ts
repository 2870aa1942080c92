import { ask } from "../ask";
import { part } from "../dom";
import { Form } from "../form";
import { studio } from "./api";
import { StreamFields } from "./fields";
import type { StreamContext } from "./stream";

export function settingsSection(root: HTMLElement, context: StreamContext): void {
  const { name } = context.stream;
  const element = part(root, "settings-form", HTMLFormElement);
  const fields = new StreamFields(element);
  new Form(element, {
    submit: async (form) => {
      const deletion = fields.deletesRecordings ? { delete_recordings: true } : {};
      const stream = await studio.updateStream(name, { ...fields.read(form), ...deletion });
      context.changed(stream);
      fields.show(stream);
      return "Saved.";
    },
  });
  fields.show(context.stream);

  part(root, "delete", HTMLButtonElement).addEventListener("click", () => {
    ask({
      title: `Delete ${name}?`,
      text:
        "What is live ends, its keys open nothing any more, and its chat and what it recorded go. " +
        "Nobody can bring it back.",
      button: "Delete the stream",
      isDanger: true,
      field: { name: "name", label: "Its name", hint: `Type ${name}.`, limit: 64, exactly: name },
      run: async () => {
        await studio.deleteStream(name);
        return () => location.assign("/studio");
      },
    });
  });
}
