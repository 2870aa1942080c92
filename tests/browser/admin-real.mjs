// An administrator on the pages of a real server in Chromium: closes a report, looks at the nodes, and
// purges what they have.
//
//   node admin-real.mjs URL SCREENS PASSWORD
//
// Accounts called root, ada and bea are there, with that password; root is an administrator. Ends well if
// all was as it should be; the pictures are in SCREENS.
import { ask, LIVE_MS, run, somebody, tokenOf } from "./real.mjs";

/** Bea reports what Ada has posted. */
async function prepare() {
  const post = await ask("POST", "posts", { text: "Buy <b>boats</b>" }, await tokenOf("ada"));
  const comment = "She <b>sells</b> them all day.";
  const report = { user: "ada", post: post.id, reason: "spam", comment };
  await ask("POST", "reports", report, await tokenOf("bea"));
}

async function closeReport(root) {
  const { page, eyes } = root;
  await root.said("She <b>sells</b> them all day.");
  await root.said("Buy <b>boats</b>");
  await eyes.look("admin-report");
  await root.button("Say what came of it: ada").click();
  await page.getByLabel("In words").fill("She <i>knows</i> now.");
  await root.button("Close the report").click();
  await root.said("There are none.");
  await page.locator("#report-state").selectOption("resolved");
  await root.said("She <i>knows</i> now.");
  await root.section("Audit log");
  await root.said("resolution: She <i>knows</i> now.");
  await eyes.look("admin-audit");
}

/** The one node has come to the registry, which takes a moment. */
async function seeNodes(root) {
  await root.section("Nodes and cache");
  const list = root.page.locator('[data-part="nodes"]');
  const node = list.getByText("Well", { exact: true });
  const deadline = Date.now() + LIVE_MS;
  while ((await node.count()) === 0 && Date.now() < deadline) {
    await root.button("Read again").click();
    await list.getByRole("listitem").or(list.getByText(/^No edge is registered/)).first().waitFor();
  }
  await node.waitFor();
  await root.said(/Generation \d+, on all nodes/);
}

async function purge({ page }, kind, subject) {
  await page.locator("#purge-kind").selectOption(kind);
  await page.locator("#purge-subject").fill(subject);
  await page.getByRole("button", { name: "Purge", exact: true }).click();
  const row = page.getByRole("list", { name: "Purges" }).getByRole("listitem").filter({ hasText: subject });
  await row.getByText("Complete: 1 node obeyed").waitFor();
}

async function walk(browser) {
  await prepare();
  const root = await somebody(browser, "root", "desktop");
  await root.logIn();
  await root.button("root").click();
  await root.page.getByRole("link", { name: "Administration" }).click();
  await closeReport(root);
  await seeNodes(root);
  await root.eyes.look("admin-nodes");
  await root.section("Purge");
  await purge(root, "prefix", "/live/garden/");
  await purge(root, "url", "/live/garden/index.m3u8");
  await root.eyes.look("admin-purge");

  const phone = await somebody(browser, "root", "phone");
  await phone.logIn();
  await phone.open("/admin");
  await seeNodes(phone);
  await phone.eyes.look("admin-nodes");
}

await run(walk);
