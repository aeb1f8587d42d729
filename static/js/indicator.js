/** The live indicator of the top bar: how the page gets its values, and how long ago the last one came. */

import { durationWords } from "./format.js";

const WORDS = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  polling: "Polling",
  ended: "Session ended",
  forbidden: "No access",
};

export class Indicator {
  /** @param {Element} root */
  constructor(root) {
    this.root = /** @type {HTMLElement} */ (root);
    this.text = root.querySelector("[data-live-text]");
    this.age = root.querySelector("[data-live-age]");
    this.action = /** @type {HTMLElement|null} */ (root.querySelector("[data-live-action]"));
    this.heardAt = NaN;
  }

  /** @param {keyof typeof WORDS} status */
  show(status) {
    this.root.dataset.status = status;
    if (this.text) this.text.textContent = WORDS[status];
    if (this.action) this.action.hidden = status !== "ended";
    this.tick();
  }

  /** A value or a state has just arrived. */
  heard() {
    this.heardAt = performance.now();
  }

  tick() {
    if (!this.age) return;
    const counts = ["live", "polling", "reconnecting"].includes(this.root.dataset.status ?? "");
    const seconds = (performance.now() - this.heardAt) / 1000;
    this.age.textContent = counts && seconds >= 0 ? `· ${durationWords(seconds)}` : "";
  }
}
