import type Hls from "hls.js";

import { bitrateLabel, renditionLabel } from "./labels";

const AUTO = -1;

/** The menu of renditions: automatic, or one of them. */
export class QualityMenu {
  private hls: Hls | null = null;
  private listed = "";

  constructor(
    private readonly label: HTMLElement,
    private readonly select: HTMLSelectElement,
  ) {
    select.addEventListener("change", () => {
      if (this.hls !== null) this.hls.nextLevel = Number(select.value);
    });
  }

  /** Shows the renditions of this player; hidden when there is no choice. */
  show(hls: Hls | null): void {
    const replaced = hls !== this.hls;
    this.hls = hls;
    const levels = hls?.levels ?? [];
    this.label.hidden = levels.length < 2;
    if (hls === null || levels.length === 0) return;

    const options = levels
      .map((level, index) => ({ index, level }))
      .sort((a, b) => b.level.bitrate - a.level.bitrate)
      .map(({ index, level }) => ({
        value: index,
        text: `${renditionLabel(level)} · ${bitrateLabel(level.bitrate)}`,
      }));
    const playing = hls.levels[hls.currentLevel];
    const auto = playing === undefined ? "Auto" : `Auto (${renditionLabel(playing)})`;
    const all = [{ value: AUTO, text: hls.autoLevelEnabled ? auto : "Auto" }, ...options];

    // Rewriting an open menu closes it: only when it says something new.
    const wanted = JSON.stringify(all);
    if (wanted !== this.listed || replaced) {
      this.listed = wanted;
      const chosen = hls.autoLevelEnabled ? AUTO : hls.manualLevel;
      this.select.replaceChildren(
        ...all.map(({ value, text }) => new Option(text, String(value), false, value === chosen)),
      );
    }
  }
}
