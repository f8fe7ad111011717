/**
 * Puts the parts of the page together.
 */

import { Client } from "./client.js";
import { find } from "./dom.js";
import { Film } from "./film.js";
import { Ladder } from "./ladder.js";
import { Looker } from "./look.js";
import { Writer } from "./write.js";

const client = new Client();
const looker = new Looker(client);
const writer = new Writer(client, (tokens, at) => looker.look(tokens, at, writer.sampling));

function sayWhich() {
  const { network, parameters, loss, step, idea, sizes } = client.described;
  const { unit } = client.tokenizer;
  const kinds = client.tokenizer.texts.length;
  find("lead", HTMLParagraphElement).textContent = [
    `${network}: ${parameters.toLocaleString("en")} weights that know ${kinds} ${unit}s and see up to ${Number(sizes.block_size).toLocaleString("en")}`,
    ...(idea ? [`; ${idea}`] : []),
    ...(step === null ? [] : [`, after ${step.toLocaleString("en")} steps of training`]),
    ...(loss === null ? [] : [`: ${loss.toFixed(3)} nats per held-out ${unit}`]),
    ".",
  ].join("");
}

function chooseNetworks() {
  const select = find("network", HTMLSelectElement);
  const { networks, ladder } = client.content;
  select.append(...networks.slice(0, ladder).map(({ name }, i) => new Option(name, String(i))));
  select.value = String(client.network);
  find("which", HTMLLabelElement).hidden = ladder === 1;
  select.addEventListener("change", async () => {
    if (writer.writing) await writer.stop();
    client.network = Number(select.value);
    sayWhich();
    writer.begin();
  });
}

/** @param {string} id */
function open(id) {
  find(id, HTMLElement).hidden = false;
  const link = document.querySelector(`a[href="#${id}"]`);
  if (link instanceof HTMLElement) link.hidden = false;
}

/** @param {string} said */
function complain(said) {
  const note = find("unknown", HTMLParagraphElement);
  note.hidden = false;
  note.textContent = `The page can't go on: ${said}`;
}

window.addEventListener("unhandledrejection", ({ reason }) => complain(String(reason?.message ?? reason)));
client.worker.addEventListener("error", () => complain("this browser starts no worker for it"));
sayWhich();
chooseNetworks();
// for the console: await gpt.ask({ task: "judge", text: { network: 0, ids: gpt.encode("To be").ids } })
Object.assign(window, { gpt: client });
writer.begin();
await writer.written;
if (client.content.ladder > 1) {
  open("ladder");
  await new Ladder(client, () => writer.options).ask();
}
if (client.content.networks.length > client.content.ladder) {
  open("film");
  await new Film(client, () => writer.options).show();
}
