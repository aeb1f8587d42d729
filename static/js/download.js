/** How far a download is: a bar below its form while the server reads and writes. Works without: it is a plain form. */

const EVERY_MS = 700;
const LINGER_MS = 8_000; // what came of it stays on the page for so long
const FAILURES = 5; // so many questions in a row without an answer, and the bar goes

/** @typedef {{state: "reading"|"writing"|"done"|"stopped", rows: number, up_to: string|null, percent: number}} Progress */

/**
 * @param {Progress} progress
 * @returns {string}
 */
function words({ state, rows, up_to: upTo }) {
  const count = `${rows.toLocaleString("en")} ${rows === 1 ? "row" : "rows"}`;
  if (state === "done") return "Your file is complete.";
  if (state === "stopped") return "The download was stopped before it was complete. Try again.";
  if (state === "writing") return "All is read. The file is on its way…";
  return rows && upTo ? `${count}, up to ${upTo.slice(0, 10)}` : "Reading…";
}

/** A random UUID. `crypto.randomUUID` is missing where a site is reached without TLS. */
function newName() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

class DownloadForm {
  /** @param {HTMLFormElement} form followed by its bar */
  constructor(form) {
    this.form = form;
    this.root = /** @type {HTMLElement} */ (form.parentElement?.querySelector("[data-download-progress]"));
    this.bar = /** @type {HTMLProgressElement} */ (this.root.querySelector("progress"));
    this.text = /** @type {HTMLElement} */ (this.root.querySelector("[data-download-words]"));
    this.name = "";
    form.addEventListener("formdata", (event) => this.begin(event.formData));
  }

  /** @param {FormData} sent gets the name under which the server tells how far it is */
  begin(sent) {
    this.name = newName();
    sent.set("progress", this.name);
    this.bar.removeAttribute("value");
    this.text.textContent = "Reading…";
    this.root.dataset.state = "reading";
    this.root.hidden = false;
    this.follow(this.name, 0);
  }

  /**
   * @param {string} name of the download that is followed, until another one begins
   * @param {number} failures in a row
   */
  follow(name, failures) {
    setTimeout(async () => {
      if (name !== this.name) return;
      const progress = await this.ask(name);
      if (name !== this.name) return;
      if (!progress && failures + 1 >= FAILURES) this.root.hidden = true;
      else if (!progress) this.follow(name, failures + 1);
      else this.show(name, progress);
    }, EVERY_MS);
  }

  /**
   * @param {string} name
   * @returns {Promise<Progress|null>} null where the server does not tell
   */
  async ask(name) {
    try {
      const url = this.form.dataset.progressUrl?.replace(/[^/]*\/$/, `${name}/`) ?? "";
      const answer = await fetch(url, { cache: "no-store", headers: { Accept: "application/json" } });
      return answer.ok ? await answer.json() : null;
    } catch {
      return null;
    }
  }

  /**
   * @param {string} name
   * @param {Progress} progress
   */
  show(name, progress) {
    this.root.dataset.state = progress.state;
    if (progress.state === "reading" && progress.rows) this.bar.value = progress.percent;
    else if (progress.state === "done") this.bar.value = 100;
    else if (progress.state !== "stopped") this.bar.removeAttribute("value");
    this.text.textContent = words(progress);
    if (progress.state === "reading" || progress.state === "writing") this.follow(name, 0);
    else setTimeout(() => (this.root.hidden = this.root.hidden || name === this.name), LINGER_MS);
  }
}

for (const form of document.querySelectorAll("form[data-progress-url]")) {
  if (form instanceof HTMLFormElement) new DownloadForm(form);
}
