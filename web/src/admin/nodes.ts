import { part, View } from "../dom";
import { PagedList } from "../paged";
import { goToLogin } from "../places";
import { explain, LoginNeeded } from "../problem";
import { timeElement } from "../time";
import { admin } from "./api";
import type { EdgeDeployment, EdgeMetrics, EdgeNode } from "./resources";
import { binaryLabel } from "./rules";

const LOOK_EVERY_MS = 10_000;

export function nodesSection(root: HTMLElement): void {
  const list = new PagedList<EdgeNode>({
    label: "Edge locations",
    empty: "No edge is registered: this installation is one process, or its edges have no database.",
    load: (after) => admin.nodes(after),
    row,
  });
  part(root, "nodes", HTMLElement).append(list.root);
  void list.reload();
  part(root, "nodes-again", HTMLButtonElement).addEventListener("click", () => void list.reload());

  const problem = part(root, "nodes-problem", HTMLElement);
  const look = async () => {
    try {
      const [metrics, deployment] = await Promise.all([admin.metrics(), admin.deployment()]);
      showMetrics(root, metrics);
      showDeployment(root, deployment);
      problem.textContent = "";
    } catch (error) {
      if (error instanceof LoginNeeded) goToLogin();
      problem.textContent = explain(error);
    }
  };
  void look();
  window.setInterval(() => {
    if (!document.hidden && !root.hidden) void look();
  }, LOOK_EVERY_MS);
}

function showMetrics(root: HTMLElement, metrics: EdgeMetrics): void {
  const facts: Readonly<Record<string, string>> = {
    "metric-nodes": metrics.unwell === 0 ? `${metrics.nodes}` : `${metrics.nodes}, ${metrics.unwell} unwell`,
    "metric-rate": `${metrics.requests_per_second.toLocaleString("en")} a second`,
    "metric-connections": metrics.connections.toLocaleString("en"),
    "metric-memory": binaryLabel(metrics.memory_bytes),
  };
  for (const [name, text] of Object.entries(facts)) part(root, name, HTMLElement).textContent = text;
}

function showDeployment(root: HTMLElement, deployment: EdgeDeployment): void {
  const place = part(root, "deployment", HTMLElement);
  place.textContent = deployment.is_complete
    ? `Generation ${deployment.configuration}, on all nodes`
    : `Generation ${deployment.configuration}, awaited on ${deployment.behind.length}: ` +
      deployment.behind.map(({ node, configuration }) => `${shortId(node)} has ${configuration}`).join(", ");
}

/** The end of an id: beginnings of those that were made together are alike. */
function shortId(id: string): string {
  return id.slice(-6);
}

function row(node: EdgeNode): HTMLElement {
  const view = new View("node-template");
  view.text("title", node.region === "" ? node.roles.join(", ") : `${node.region} · ${node.roles.join(", ")}`);
  const state = view.part("state", HTMLElement);
  state.dataset["state"] = !node.is_live ? "away" : node.health === "" ? "well" : "unwell";
  state.textContent = !node.is_live ? "Away" : node.health === "" ? "Well" : "Unwell";
  view.text("health", node.health);
  view.part("health", HTMLElement).hidden = node.health === "";
  view.text("url", node.url);
  const load = `${node.requests_per_second.toLocaleString("en")} requests a second · ${node.connections.toLocaleString("en")} connections · ${binaryLabel(node.memory_bytes)} in memory`;
  view.text("load", load);
  view
    .part("detail", HTMLElement)
    .append(
      `version ${node.version} · configuration ${node.configuration} · id ends in ${shortId(node.id)} · started `,
      timeElement(node.started_at, true),
      " · last heard of ",
      timeElement(node.heartbeat_at, true),
    );
  return view.root;
}
