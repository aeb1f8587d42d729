/** Ages that grow by themselves, with or without messages: the most common lie of dashboards is one that does not. */

import { now } from "./clock.js";
import { ageWords, dueWords, durationWords, intervalWords } from "./format.js";

/** @type {Record<string, (seconds: number) => string>} what `data-age` may say */
const WORDS = {
  "": ageWords,
  bare: (seconds) => durationWords(Math.max(0, seconds)),
  due: dueWords,
};

/** Writes every `<time data-age>` of the page anew; unchanged words are left alone. */
export function paintAges() {
  const instant = now();
  for (const element of document.querySelectorAll("time[data-age]")) {
    const time = /** @type {HTMLTimeElement} */ (element);
    const at = Date.parse(time.dateTime);
    if (!Number.isFinite(at)) continue;
    const words = WORDS[time.dataset.age ?? ""]((instant - at) / 1000);
    if (time.textContent !== words) time.textContent = words;
  }
}

/**
 * Sets the instant an age counts from.
 * @param {Element|null} time
 * @param {string} at ISO 8601
 */
export function setAge(time, at) {
  if (!(time instanceof HTMLTimeElement)) return;
  time.dateTime = at;
  time.title = new Date(at).toLocaleString();
}

/**
 * Times in the reader's zone, and intervals as words; once for each new part of the page.
 * @param {ParentNode} root
 */
export function prepareTimes(root) {
  for (const time of root.querySelectorAll("time[data-age][datetime]")) {
    setAge(time, /** @type {HTMLTimeElement} */ (time).dateTime);
  }
  for (const element of root.querySelectorAll("[data-seconds]")) {
    const seconds = Number(/** @type {HTMLElement} */ (element).dataset.seconds);
    if (seconds > 0) element.textContent = intervalWords(seconds);
  }
}
