import { ask } from "../ask";
import { api } from "../browser";
import { part, plainLink, View } from "../dom";
import { PagedList } from "../paged";
import { postPath, profilePath, videoPath, watchPath } from "../places";
import { altOf, isOurs } from "../posts/pictures";
import type { ReportReason } from "../resources";
import { timeElement } from "../time";
import { admin } from "./api";
import { askToSuspend } from "./people";
import type { Report, ReportedPost, ReportState } from "./resources";

const REASONS: Readonly<Record<ReportReason, string>> = {
  spam: "Spam",
  abuse: "Abuse or harassment",
  impersonation: "Pretends to be somebody else",
  illegal: "Against the law",
  other: "Something else",
};

export function reportsSection(root: HTMLElement): void {
  const state = part(root, "report-state", HTMLSelectElement);
  const chosen = () => state.value as ReportState;
  const list = new PagedList<Report>({
    label: "Reports",
    empty: "There are none.",
    load: (after) => admin.reports(chosen(), after),
    row,
  });
  part(root, "reports", HTMLElement).append(list.root);
  state.addEventListener("change", () => void list.reload());
  void list.reload();
}

function row(report: Report, list: PagedList<Report>): HTMLElement {
  const view = new View("report-row-template");
  const { user, post } = report;
  view.text("reason", Object.hasOwn(REASONS, report.reason) ? REASONS[report.reason] : report.reason);
  const about = view.part("about", HTMLElement);
  about.append(...(user === "" ? ["somebody who is gone"] : [profileLink(user)]));
  view
    .part("detail", HTMLElement)
    .append(
      ...(report.reporter === null ? [] : ["by ", profileLink(report.reporter), " · "]),
      timeElement(report.created_at, true),
    );
  showText(view, "comment", report.comment);
  showPost(view, post);
  const outcome = view.part("outcome", HTMLElement);
  outcome.hidden = report.resolved_at === null;
  if (report.resolved_at !== null) {
    outcome.append("What came of it, ", timeElement(report.resolved_at, true), ": ");
    const said = document.createElement("bdi");
    said.textContent = report.resolution ?? "";
    outcome.append(said);
  }
  addActions(view, report, list);
  return view.root;
}

function addActions(view: View, report: Report, list: PagedList<Report>): void {
  const { user, post } = report;
  const say = (text: string) => view.text("said", text);
  const act = (name: string, label: string, isShown: boolean, run: () => void) => {
    const button = view.part(name, HTMLButtonElement);
    button.hidden = !isShown;
    button.setAttribute("aria-label", `${label}: ${user}`);
    button.addEventListener("click", run);
    return button;
  };
  act("resolve", "Say what came of it", report.resolved_at === null, () => {
    ask({
      title: "What came of it?",
      text: "Moderators read it here and in the audit log. The report is closed then.",
      button: "Close the report",
      field: { name: "resolution", label: "In words", limit: 2_000 },
      run: async (said) => {
        await admin.resolveReport(report.id, said);
        return () => list.remove(view.root);
      },
    });
  });
  const deletion = act("delete-post", "Delete the post", post !== null && !post.is_deleted, () => {
    ask({
      title: `Delete the post by ${user}?`,
      text: "Nobody can bring it back, and it is noted who did it.",
      button: "Delete the post",
      isDanger: true,
      run: async () => {
        await api.deletePost(post?.id ?? "");
        return () => {
          deletion.hidden = true;
          view.part("resolve", HTMLButtonElement).focus();
          say("The post is deleted.");
        };
      },
    });
  });
  act("suspend", "Suspend", user !== "", () => {
    askToSuspend(user, () => say(`${user} is suspended.`));
  });
}

function profileLink(name: string): HTMLAnchorElement {
  return plainLink(profilePath(name), name);
}

function showText(view: View, name: string, text: string): void {
  const place = view.part(name, HTMLElement);
  place.textContent = text;
  place.hidden = text === "";
}

function showPost(view: View, post: ReportedPost | null): void {
  view.part("post", HTMLElement).hidden = post === null;
  if (post === null) return;
  showText(view, "post-text", post.text);
  const link = view.part("post-link", HTMLAnchorElement);
  link.href = postPath(post.id);
  link.textContent = post.is_deleted ? "A post that is deleted" : "The post";
  const shown: HTMLElement[] = post.images.filter(isOurs).map((image) => {
    const picture = document.createElement("img");
    picture.src = image.preview_url;
    picture.alt = altOf(image);
    picture.loading = "lazy";
    return picture;
  });
  if (post.stream !== null) shown.push(plainLink(watchPath(post.stream.name), `The stream ${post.stream.name}`));
  if (post.video !== null) shown.push(plainLink(videoPath(post.id), `The video ${post.video.title}`));
  view.part("post-shown", HTMLElement).replaceChildren(...shown);
}
