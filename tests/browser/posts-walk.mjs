// The way of two people through the pages of posts: what one writes, the other reads.
import assert from "node:assert/strict";

import { Eyes } from "./eyes.mjs";
import { pngFile } from "./png.mjs";
import { Visitor } from "./visitor.mjs";

/** How long feeds and the search may take to know what is new. */
const NEWS_MS = 10_000;
/** Trends are computed once a minute. */
const TRENDS_MS = 80_000;

/** The server has answered to the buttons of a post that were pressed. */
export const settled = (post) =>
  post.locator("button[aria-busy=true]").first().waitFor({ state: "detached" });

/** Walks as `reader`, who is there and has a password, as `writer` is and has. */
export class PostsWalk extends Visitor {
  constructor({ page, eyes, base, reader, writer }) {
    super({ page, base, ...reader });
    Object.assign(this, { eyes, who: writer, other: writer.name });
    // Nobody else has it, so that what is found is theirs.
    this.hashtag = `harbour_${writer.name.replaceAll("-", "_")}`;
    this.word = `ships${writer.name.replaceAll("-", "")}`;
  }

  async all() {
    await this.logIn();
    await this.seeNothing();
    await this.meetWriter();
    await this.writeFirst();
    await this.follow();
    await this.showPictures();
    await this.react();
    await this.comment();
    await this.answer();
    await this.quote();
    await this.edit();
    await this.discover();
    await this.search();
    await this.report();
    await this.delete();
    await this.block();
    await this.writer.leave();
  }

  /** The post with this text, and nothing that is in it or around it. */
  post(text) {
    return this.page.locator(".post").filter({ hasText: text }).first();
  }

  place(name) {
    return this.page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name });
  }

  async choose(post, what) {
    await post.getByRole("button", { name: "More" }).click();
    await post.getByRole("button", { name: what, exact: true }).click();
  }

  async seeNothing() {
    await this.place("Home").click();
    await this.seeTitle("Home");
    await this.said("Nobody you follow has posted yet.");
    await this.eyes.look("posts-home-empty");
  }

  async meetWriter() {
    const writer = await this.elsewhere(this.who);
    this.writer = Object.assign(writer, {
      post: this.post,
      choose: this.choose,
      eyes: new Eyes(writer.page, this.eyes.kind, this.eyes.folder),
    });
    await writer.logIn();
  }

  async writeFirst() {
    const { writer } = this;
    await writer.open("/home");
    await writer.button("Post").click();
    await writer.said("Fill this in.");
    await writer.label("What do you want to say?").fill("x".repeat(5_001));
    await writer.said("5,001 / 5,000");
    await writer.button("Post").click();
    await writer.said("At most 5,000 characters.");
    await writer.eyes.look("posts-composer-wrong");
    this.first = `Good morning from the #${this.hashtag}, @${this.name}!\n\nThe tide is at https://tides.example.org/today?at=7, and the boats are out.`;
    await writer.label("What do you want to say?").fill(this.first);
    await writer.button("Post").click();
    await writer.said("Your post is out.");
    assert.equal(await writer.label("What do you want to say?").inputValue(), "");
    await writer.post("The tide is at").waitFor();
    await writer.eyes.look("posts-home-own");
  }

  async follow() {
    await this.open(`/@${this.other}`);
    await this.post("The tide is at").waitFor();
    await this.button("Follow").click();
    await this.said(`You follow ${this.other} now.`);
    await this.post("The tide is at").waitFor();
    await this.eyes.look("posts-profile");
  }

  /** A post of pictures alone, which are gone with it. */
  async showPictures() {
    const { writer } = this;
    await writer.open("/home");
    const files = [pngFile("boats.png", 1_600, 1_000), pngFile("pier.png", 300, 600, [30, 120, 60])];
    await writer.page.locator(".composer input[type=file]").setInputFiles(files);
    await writer.label("What is on picture 1?").fill("Boats at low tide");
    await writer.button("Post").click();
    await writer.said("Your post is out.");
    await this.open(`/@${this.other}`);
    const picture = this.page.getByRole("img", { name: "Boats at low tide" });
    await picture.waitFor();
    await this.page.waitForFunction(() =>
      [...document.querySelectorAll(".pictures img")].every(({ naturalWidth }) => naturalWidth > 0),
    );
    await this.eyes.look("posts-pictures");
    await picture.click();
    const open = this.page.getByRole("dialog", { name: "Picture" });
    await open.getByText("1 of 2").waitFor();
    await this.page.waitForFunction(() => document.querySelector("dialog img").naturalWidth === 1_600);
    await open.getByRole("button", { name: "Close" }).click();
    const status = (url) => this.page.evaluate(async (url) => (await fetch(url, { cache: "no-store" })).status, url);
    const url = await picture.getAttribute("src");
    assert.equal(await status(url), 200);
    await writer.page.getByRole("article").first().getByRole("button", { name: "More" }).click();
    await writer.button("Delete…").click();
    await writer.button("Delete").click();
    await writer.said("Your post is deleted.");
    assert.equal(await status(url), 404);
  }

  async react() {
    await this.place("Home").click();
    const post = this.post("The tide is at");
    await this.found(post);
    for (const name of ["Like", "Share"]) {
      await post.getByRole("button", { name: `${name} 1` }).or(post.getByRole("button", { name })).click();
      await post.getByRole("button", { name: `${name} 1`, pressed: true }).waitFor();
    }
    await settled(post);
    await this.eyes.look("posts-home");
    await this.page.reload();
    const again = this.post("The tide is at");
    await again.getByRole("button", { name: "Like 1", pressed: true }).waitFor();
    await again.getByRole("button", { name: "Share 1", pressed: true }).click();
    await again.getByRole("button", { name: "Share", pressed: false }).waitFor();
    const link = again.getByRole("link", { name: "https://tides.example.org/today?at=7" });
    assert.equal(await link.getAttribute("rel"), "nofollow noopener ugc");
    assert.equal(
      await again.getByRole("link", { name: `@${this.name}` }).getAttribute("href"),
      `/@${this.name}`,
    );
  }

  async comment() {
    await this.post("The tide is at").getByRole("link", { name: "Comments" }).click();
    await this.page.waitForURL(/\/posts\/[^/]+#comments$/);
    await this.said("No comments yet.");
    this.address = new URL(this.page.url()).pathname;
    await this.label("Your comment").fill("All of them? Even the blue one?");
    await this.button("Comment").click();
    await this.said("Your comment is posted.");
    await this.post("Even the blue one?").waitFor();
    await this.post("The tide is at").getByRole("link", { name: "Comments 1" }).waitFor();
    await this.eyes.look("posts-thread");
  }

  async answer() {
    const { writer } = this;
    await writer.open(this.address);
    await writer.post("Even the blue one?").getByRole("link", { name: "Comments" }).click();
    await writer.page.getByRole("list", { name: "What it answers" }).waitFor();
    await writer.label("Your comment").fill("The blue one too.");
    await writer.page.keyboard.press("Control+Enter");
    await writer.post("The blue one too.").waitFor();
    await writer.eyes.look("posts-comment");
    await this.open(`${this.address}#thread`);
    await this.post("The blue one too.").getByRole("link", { name: "another post" }).waitFor();
    await this.eyes.look("posts-whole-thread");
  }

  async quote() {
    await this.place("Home").click();
    await this.choose(this.post("The tide is at"), "Quote");
    await this.label("What you say about it").fill(`Look, ${this.word}!`);
    await this.eyes.look("posts-quoting");
    await this.button("Quote").click();
    await this.said("Your quote is posted.");
    await this.page.reload();
    await this.found(this.post(this.word).getByText("Good morning from"));
    await this.eyes.look("posts-quoted");
    await this.open(`${this.address}#quotes`);
    await this.page.getByRole("list", { name: "Quotes" }).getByText(this.word).waitFor();
    await this.page.getByRole("link", { name: "Likes", exact: true }).click();
    await this.page.getByRole("list", { name: "Liked by" }).getByText(`@${this.name}`).waitFor();
    await this.eyes.look("posts-likes");
  }

  /** On two devices at once, so that the second is told of the first. */
  async edit() {
    const { writer } = this;
    const other = await writer.elsewhere(writer);
    other.eyes = writer.eyes;
    await other.logIn();
    for (const device of [writer, other]) {
      Object.assign(device, { post: this.post, choose: this.choose });
      await device.open(this.address);
      await device.choose(device.post("The tide is at"), "Edit");
    }
    await writer.label("Your post").fill(this.first.replace("the boats are", "all boats are"));
    await writer.button("Save").click();
    await writer.said("Saved.");
    await writer.post("all boats are out").waitFor();
    await other.label("Your post").fill("The tide is high.");
    await other.button("Save").click();
    await other.said("It was edited meanwhile.");
    await other.said("all boats are out");
    const eyes = new Eyes(other.page, this.eyes.kind, this.eyes.folder);
    await eyes.look("posts-edited-meanwhile");
    await other.button("Go on from this text").click();
    assert.match(await other.label("Your post").inputValue(), /all boats are out/);
    await other.leave();

    await this.open(this.address);
    await this.button("Edited").click();
    await this.page.getByRole("dialog", { name: "What it said" }).getByText("the boats are out").waitFor();
    await this.eyes.look("posts-history");
    await this.button("Close").click();
  }

  async discover() {
    await this.place("Discover").click();
    await this.seeTitle("Discover");
    await this.found(this.post("all boats are out"));
    await this.eyes.look("posts-discover");
    await this.page.getByRole("link", { name: "Trending" }).click();
    await this.found(this.page.getByRole("list", { name: "Trending posts" }), TRENDS_MS);
    await this.eyes.look("posts-trending");
    await this.page.getByRole("link", { name: "Newest" }).click();
    await this.post(this.hashtag).getByRole("link", { name: `#${this.hashtag}` }).first().click();
    await this.seeTitle(`#${this.hashtag}`);
    await this.post("all boats are out").waitFor();
    await this.eyes.look("posts-hashtag");
  }

  async search() {
    await this.place("Search").click();
    await this.seeTitle("Search");
    await this.eyes.look("posts-search-empty");
    await this.label("What to look for").fill("boats");
    await this.page.keyboard.press("Enter");
    await this.page.waitForURL(/\/search\?q=boats$/);
    await this.found(this.post("all boats are out"));
    await this.eyes.look("posts-search");
    await this.label("What to look for").fill(this.other);
    await this.button("Search").click();
    await this.page.getByRole("link", { name: "People" }).click();
    const people = this.page.getByRole("list", { name: "People who were found" });
    await this.found(people.getByText(`@${this.other}`));
    await this.eyes.look("posts-search-people");
    await this.page.getByRole("link", { name: "Streams", exact: true }).click();
    await this.said("No stream is called so.");
  }

  /** Waits for what may be so new that the page does not know it yet. */
  async found(what, within = NEWS_MS) {
    const deadline = Date.now() + within;
    for (;;) {
      try {
        await what.first().waitFor({ timeout: within / 10 });
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await this.page.reload();
      }
    }
  }

  async report() {
    await this.open(this.address);
    await this.choose(this.post("all boats are out"), "Report…");
    await this.page.getByRole("dialog", { name: `Report the post by ${this.other}` }).waitFor();
    await this.label("Why").selectOption("other");
    await this.label("What happened").fill("It is only a walk.");
    await this.button("Send the report").click();
    await this.said("The moderators will look at your report.");
  }

  async delete() {
    const { writer } = this;
    await writer.open(`${this.address}#comments`);
    await writer.choose(writer.post("all boats are out"), "Delete…");
    await writer.said("Delete this post?");
    await writer.eyes.look("posts-delete");
    await writer.page.keyboard.press("Escape");
    assert.equal(await writer.button("Keep it").count(), 0);
    await writer.choose(writer.post("all boats are out"), "Delete…");
    await writer.button("Delete").click();
    await writer.said("Your post is deleted.");

    await this.open("/home");
    await this.said("The quoted post is not available.");
    await this.eyes.look("posts-quoted-deleted");
    await this.open(this.address);
    await this.said("This post was deleted.");
    await this.said("Even the blue one?");
    await this.eyes.look("posts-deleted");
  }

  /** The writer has another one, which goes from the list with the first. */
  async block() {
    const { writer } = this;
    await writer.open("/home");
    for (const text of ["The first of two.", "The second of two."]) {
      await writer.label("What do you want to say?").fill(text);
      await writer.button("Post").click();
      await writer.post(text).waitFor();
    }
    await this.open("/home");
    await this.found(this.post("The second of two."));
    await this.post("The first of two.").waitFor();
    await this.choose(this.post("The second of two."), `Block ${this.other}`);
    await this.said(`You and ${this.other} see nothing of each other`);
    assert.equal(await this.page.getByText("of two.").count(), 0);
    await this.eyes.look("posts-blocked");
    await writer.open(`/search?q=${this.word}`);
    await writer.said("No post has that in it.");
  }
}
