/**
 * Asks the server of lightning-gpt watch, with the key that stands in the page's address.
 */

/** @typedef {[step: number, value: number]} Point */

/**
 * How a run stands: what `Watched.state` in lightning_gpt/watch/state.py returns.
 *
 * @typedef {object} State
 * @property {string} folder
 * @property {string} name
 * @property {"running" | "stopping" | "finished" | "stopped"} status
 * @property {number} step steps done
 * @property {number} max_steps -1: no end
 * @property {number | null} seconds_left
 * @property {number | null} silent seconds since the run's last word
 * @property {number | null} speed characters/s
 * @property {string} unit what a token is called
 * @property {Record<string, Point[]>} curves in nats per token
 * @property {Point[]} speeds in characters/s
 * @property {Record<string, number | null>} levels in nats per token
 * @property {{ step: number, nats: number | null, bits: number | null, exact: number | null }[]} validations
 * @property {number | null} best its step
 * @property {{ prompt: string, step: number, text: string }[]} samples
 * @property {{ place: number, name: string, step: number }[]} pictures
 * @property {[head: string, text: string][]} card
 * @property {string | null} go_on the command that goes on with the run
 * @property {string[]} problems
 */

const REFUSED = "This address has an old key, or none: open the one that lightning-gpt watch has printed.";
const GONE = "lightning-gpt watch does not answer: it has ended, or is busy. The run itself needs neither.";

/**
 * Asks for an address; a complaint becomes an error.
 *
 * @param {string} address
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
async function ask(address, options = {}) {
  const headers = { "X-Key": window.location.hash.slice(1) };
  const answer = await fetch(address, { ...options, headers }).catch(() => {
    throw new Error(GONE);
  });
  if (answer.status === 403) throw new Error(REFUSED);
  if (answer.status === 409) throw new Error((await answer.json()).error);
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer;
}

/** @returns {Promise<State>} */
export async function askState() {
  return (await ask("/state")).json();
}

/** @param {number} place @returns {Promise<Blob>} */
export async function askPicture(place) {
  return (await ask(`/picture/${place}`)).blob();
}

/** @param {string} folder the run's, as the page shows it */
export async function askToStop(folder) {
  await ask("/stop", { method: "POST", body: folder });
}
