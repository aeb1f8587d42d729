// Keeps the bars and panels of running jobs up to date. The server draws them; without this script
// the page shows how far they were when it was opened.
(() => {
  "use strict";

  const EVERY_MS = 2000;
  const LONGEST_MS = 30000;

  function start() {
    let wait = EVERY_MS;

    async function text(url) {
      const answer = await fetch(url, { headers: { "X-Requested-With": "fetch" } });
      if (!answer.ok || answer.redirected) throw new Error(`${answer.status}`);
      return answer;
    }

    function drawn(html) {
      const box = document.createElement("template");
      box.innerHTML = html;
      return box.content.firstElementChild;
    }

    async function panels() {
      for (const panel of document.querySelectorAll("[data-job-panel][data-running]")) {
        const fresh = drawn((await (await text(panel.dataset.jobPanel)).text()).trim());
        // Somebody may be about to press a button: the focus goes on in the new panel.
        const focused = panel.contains(document.activeElement);
        panel.replaceWith(fresh);
        if (focused) fresh.querySelector("button")?.focus();
        const ended = !fresh.hasAttribute("data-running");
        if (ended && document.querySelector("[data-reload-at-end]")) location.reload();
      }
    }

    async function bars() {
      const running = [...document.querySelectorAll("[data-job][data-running]")].filter(
        (bar) => !bar.closest("[data-job-panel]"),
      );
      if (!running.length) return;
      const url = new URL("progress/", location.href.replace(/[?#].*$/, ""));
      for (const bar of running) url.searchParams.append("id", bar.dataset.job);
      const found = await (await text(url)).json();
      let ended = false;
      for (const bar of running) {
        const html = found[bar.dataset.job];
        if (!html) continue;
        const fresh = drawn(html.trim());
        ended ||= !fresh.hasAttribute("data-running");
        bar.replaceWith(fresh);
      }
      if (ended) location.reload(); // the other columns of its row have changed too
    }

    async function look() {
      if (!document.querySelector("[data-running]")) return;
      try {
        if (!document.hidden) await Promise.all([panels(), bars()]);
        wait = EVERY_MS;
      } catch {
        // Offline, or signed out: ask less and less often; what is shown stays.
        wait = Math.min(2 * wait, LONGEST_MS);
      }
      setTimeout(look, wait);
    }

    setTimeout(look, EVERY_MS);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
