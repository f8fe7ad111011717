/**
 * Shows a run as it goes: asks how it stands every other second, and changes what has changed.
 */

import { Chart } from "./chart.js";
import { element, find } from "./dom.js";
import { askPicture, askState, askToStop } from "./feed.js";

/** @import { State } from "./feed.js" */

const EVERY = 2000; // ms between two questions
const SILENT = 60; // seconds without a word that are worth a remark
const SAID = {
  running: "running",
  stopping: "stopping: it saves after this step, or after its validation",
  finished: "finished",
  stopped: "not running; it was stopped before its end",
};

const whole = (/** @type {number} */ number) => Math.round(number).toLocaleString("en");
const loss = new Chart(find("loss", HTMLDivElement), "Loss", 320, (nats) => nats.toFixed(4));
const speed = new Chart(find("speeds", HTMLDivElement), "Speed", 150, whole);

/** @type {State | undefined} */
let shown;
/** @type {Map<string, string>} what each part of the page was made of */
const made = new Map();

/**
 * Makes a part of the page anew if what it is made of has changed: a selection and a reader's place stay.
 *
 * @param {string} id
 * @param {unknown} of
 * @param {() => (Node | string)[]} make
 */
function update(id, of, make) {
  const now = JSON.stringify(of);
  if (made.get(id) === now) return;
  made.set(id, now);
  find(id, HTMLElement).replaceChildren(...make());
}

/** @param {number} seconds @returns a time in words */
function duration(seconds) {
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** @param {State} state */
function facts({ step, max_steps, seconds_left, speed, validations, best, unit, silent, status }) {
  const lowest = validations.find((each) => each.step === best)?.nats;
  const found = [["step", max_steps > 0 ? `${whole(step)} of ${whole(max_steps)}` : whole(step)]];
  if (seconds_left !== null) found.push(["time left", duration(seconds_left)]);
  if (speed !== null) found.push(["characters/s", whole(speed)]);
  if (lowest) found.push([`best, nats per ${unit}`, `${lowest.toFixed(4)} at step ${whole(best ?? 0)}`]);
  if (status === "running" && silent !== null && silent > SILENT) found.push(["last word", `${duration(silent)} ago`]);
  return found;
}

/** @param {State} state */
function show(state) {
  if (shown?.folder !== state.folder) loss.chosen = speed.chosen = null;
  shown = state;
  const { name, status, step, max_steps, go_on } = state;
  const share = max_steps > 0 ? Math.min(1, step / max_steps) : 0;
  document.title = status === "running" ? `${Math.floor(100 * share)}% ${name}` : `${status}: ${name}`;
  update("name", name, () => [name]);
  update("status", [status, go_on], () => [
    element("span", `badge ${status}`, SAID[status]),
    ...(status === "stopped" && go_on ? [" It goes on with ", element("code", "", go_on)] : []),
  ]);
  find("done", HTMLProgressElement).value = share;
  find("done", HTMLProgressElement).hidden = max_steps <= 0;
  update("facts", facts(state), () =>
    facts(state).map(([head, text]) => element("div", "", element("dt", "", head), element("dd", "", text))),
  );
  find("halt", HTMLButtonElement).disabled = status !== "running";
  find("halt", HTMLButtonElement).hidden = status === "finished" || status === "stopped";
  for (const unit of document.querySelectorAll(".unit")) unit.textContent = state.unit;
  loss.show(state.curves, state.levels);
  speed.show({ "characters/s": state.speeds });
  showSamples(state);
  showPictures(state);
  showTables(state);
  complain(state.problems.join(" "));
}

/** @param {State} state */
function showSamples({ samples }) {
  if (!samples.length) return;
  update("samples", samples, () =>
    samples.map(({ prompt, step, text }) =>
      element(
        "figure",
        "",
        element("figcaption", "", `After step ${whole(step)}, continuing ${prompt}`),
        element("pre", "text", text),
      ),
    ),
  );
}

/** @param {State} state */
function showPictures({ pictures, folder }) {
  update("heads", [folder, pictures], () => {
    for (const picture of document.querySelectorAll("#heads img"))
      if (picture instanceof HTMLImageElement) URL.revokeObjectURL(picture.src);
    return pictures.map(({ place, name, step }) => {
      const picture = element("img", "");
      picture.alt = `Attention of ${name} after step ${whole(step)}`;
      askPicture(place).then(
        (bytes) => (picture.src = URL.createObjectURL(bytes)),
        () => picture.remove(),
      );
      return picture;
    });
  });
}

/** @param {State} state */
function showTables({ validations, best, unit, card }) {
  const exact = validations.some((each) => each.exact !== null);
  update("validations", [validations, unit], () => {
    const heads = ["step", `nats per ${unit}`, "bits per character", ...(exact ? ["exact"] : [])];
    const rows = [...validations].reverse().map((each) => {
      const texts = [
        each.nats?.toFixed(4) ?? "not finite",
        each.bits?.toFixed(3) ?? "",
        ...(exact ? [each.exact === null ? "" : `${(100 * each.exact).toFixed(2)}%`] : []),
      ];
      const step = element("th", "", whole(each.step), ...(each.step === best ? [" best"] : []));
      return element("tr", "", step, ...texts.map((text) => element("td", "", text)));
    });
    const head = element("tr", "", ...heads.map((text) => element("th", "", text)));
    return [element("thead", "", head), element("tbody", "", ...rows)];
  });
  update("card", card, () =>
    card.map(([head, text]) => element("tr", "", element("th", "", head), element("td", "", text))),
  );
}

/** @param {string} said empty: nothing is wrong */
function complain(said) {
  const note = find("problem", HTMLParagraphElement);
  if (note.textContent !== said) note.textContent = said;
  note.hidden = !said;
}

async function look() {
  try {
    show(await askState());
  } catch (error) {
    find("halt", HTMLButtonElement).disabled = true;
    complain(error instanceof Error ? error.message : String(error));
  }
}

async function stop() {
  const dialog = find("sure", HTMLDialogElement);
  dialog.close();
  try {
    if (dialog.dataset.folder) await askToStop(dialog.dataset.folder);
    await look();
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error));
  }
}

find("halt", HTMLButtonElement).addEventListener("click", () => {
  const dialog = find("sure", HTMLDialogElement);
  dialog.dataset.folder = shown?.folder ?? "";
  find("sure-title", HTMLHeadingElement).textContent = `Stop ${shown?.name}?`;
  dialog.showModal();
});
find("no", HTMLButtonElement).addEventListener("click", () => find("sure", HTMLDialogElement).close());
find("yes", HTMLButtonElement).addEventListener("click", stop);
window.addEventListener("hashchange", look);

for (;;) {
  await look();
  await new Promise((done) => window.setTimeout(done, EVERY));
}
