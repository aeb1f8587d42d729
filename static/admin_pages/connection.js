// The page of an account: boxes for a budget of one's own only when it is wanted, and live lines of
// where the limiter stands. Without this script the boxes stay, and the lines are those of the load.
(() => {
  "use strict";

  const LONGEST_MS = 30000;

  /** The row of the form that both boxes are in. */
  function budgetRow() {
    const boxes = ["id_rate_limit", "id_rate_window_s"].map((id) => document.getElementById(id));
    if (boxes.includes(null)) return null;
    let row = boxes[0].parentElement;
    while (row && !row.contains(boxes[1])) row = row.parentElement;
    return row;
  }

  function followPreset() {
    const preset = document.getElementById("id_preset");
    const row = budgetRow();
    if (!preset || !row || row.contains(preset) || row.querySelector(".errorlist, .errors")) return;
    const show = () => row.toggleAttribute("data-preset-hidden", preset.value !== "custom");
    preset.addEventListener("change", show);
    show();
  }

  function drawn(html) {
    const box = document.createElement("template");
    box.innerHTML = html.trim();
    return box.content.firstElementChild;
  }

  function put(fresh) {
    const panel = document.querySelector("[data-gate]");
    if (panel.outerHTML === fresh.outerHTML) return;
    // Somebody may be about to press the button: the focus goes on in the new panel.
    const focused = panel.contains(document.activeElement) ? document.activeElement.tagName : null;
    panel.replaceWith(fresh);
    if (focused) fresh.querySelector(focused)?.focus({ preventScroll: true });
  }

  async function look(url) {
    const answer = await fetch(url, { cache: "no-store", redirect: "manual" });
    if (!answer.ok) throw new Error(`${answer.status}`);
    const fresh = drawn(await answer.text());
    if (!fresh?.matches("[data-gate]")) throw new Error("not the panel");
    put(fresh);
  }

  async function followGate() {
    const panel = document.querySelector("[data-gate]");
    if (!panel) return;
    const url = panel.dataset.gate;
    const every = Number(panel.dataset.every);
    for (let wait = every; ; ) {
      await new Promise((resume) => setTimeout(resume, wait));
      if (document.hidden) continue;
      try {
        await look(url);
        wait = every;
      } catch {
        document.querySelector("[data-gate-lost]").hidden = false;
        wait = Math.min(2 * wait, LONGEST_MS);
      }
    }
  }

  function start() {
    followPreset();
    followGate();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
