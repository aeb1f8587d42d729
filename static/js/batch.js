/** Collects what arrives and hands it on once per frame: a burst of messages costs one painting. */

/** @template T */
export class Batch {
  /** @param {(items: T[]) => void} paint */
  constructor(paint) {
    this.paint = paint;
    /** @type {T[]} */
    this.items = [];
  }

  /** @param {T[]} items */
  add(items) {
    const first = this.items.length === 0;
    this.items.push(...items);
    if (!first || this.items.length === 0) return;
    // Hidden pages get no frames; without the timer they would hoard.
    if (document.hidden) setTimeout(() => this.flush(), 1000);
    else requestAnimationFrame(() => this.flush());
  }

  flush() {
    if (this.items.length === 0) return;
    const items = this.items;
    this.items = [];
    this.paint(items);
  }
}
