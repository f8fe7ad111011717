/**
 * The networks, in a thread of their own: answers what the page asks, so that no frame waits for a network.
 *
 * A question is a message { id, task, … }; its answers carry the same id, and the last one has `done`. A new question to
 * write ends the writing before it in the same channel.
 */

import { newCache } from "./attention.js";
import { Reader } from "./decoding.js";
import { buildNetwork } from "./networks.js";
import { descending, filterSteps, nextToken, uniformNumbers } from "./sampling.js";
import { dot, logSumExp, softmax } from "./tensor.js";
import { Tokenizer } from "./tokenizer.js";
import { unpack } from "./weights.js";

/** @import { Cache } from "./attention.js" */
/** @import { Network, Trace } from "./networks.js" */
/** @import { Sampling } from "./sampling.js" */
/** @import { TokenizerData } from "./tokenizer.js" */
/** @import { NetworkData } from "./weights.js" */

/** @typedef {[id: number, share: number][]} Guesses the likeliest first */

/**
 * A token of a text, and what the network had expected in its place.
 *
 * @typedef {object} Token
 * @property {number} id
 * @property {number | null} nats its surprisal, by the network's own probabilities; null: nothing came before it
 * @property {Guesses} guesses
 * @property {number} start where the window begins that the network saw when it guessed
 */

/** @typedef {Sampling & { seed: string, count: number, stop: string | null }} Writing */

/** @typedef {{ network: number, ids: number[] }} Text */

/**
 * @typedef {{ task: "begin", networks: NetworkData[], tokenizer: TokenizerData }
 *   | { task: "load", network: number, piece: string }
 *   | { task: "write", channel: string, text: Text, drawn: number, options: Writing }
 *   | { task: "stop", channel: string }
 *   | { task: "judge", text: Text }
 *   | { task: "look", text: Text, at: number, sampling: Sampling }
 *   | { task: "map", network: number, axes: number[][] }} Question
 */

/**
 * What is inside at one position of a text.
 *
 * @typedef {object} Inside
 * @property {{ id: number, cosine: number }[]} neighbours tokens whose embeddings point the same way
 * @property {Float32Array[][]} attention of each layer and head: a weight for each of the last tokens, all it looks at
 * @property {{ name: string, guesses: Guesses }[]} stages
 * @property {Float32Array} copied the share of the guess that a pointer copies from each token; empty: there is none
 * @property {{ name: string, shares: Float32Array }[]} steps of sampling
 * @property {Float32Array} logits (V,)
 */

/** @typedef {{ tokens: Token[] } | { done: true, [answer: string]: any } | { error: string }} Answer */

const GUESSES = 6;
const NEIGHBOURS = 8;
const STRETCH = 128; // tokens of a window that are read at once, for what is inside
const SLICE = 12; // ms of work, after which other questions get their turn

/** @type {Network[]} */
const networks = [];
/** @type {{ data: NetworkData, pieces: string[] }[]} */
let packed = [];
/** @type {Tokenizer} */
let tokenizer;
/** the question to write that is being answered, of each channel */
const writing = new Map();
/** @typedef {{ first: number, n: number, trace: Trace }} Stretch positions from the first on, and what is inside */
/**
 * the window that was looked at last, as far as it has been read
 * @type {{ network: number, ids: number[], cache: Cache, stretches: Stretch[] } | null}
 */
let looked = null;

/** @param {number} i */
function networkOf(i) {
  if (!networks[i]) {
    const { data, pieces } = packed[i];
    networks[i] = buildNetwork(data.network, data.sizes, unpack(data, pieces));
    pieces.length = 0; // they have become weights
  }
  return networks[i];
}

/**
 * The surprisal of `id` and the likeliest tokens, by logits (V,).
 *
 * @param {Float32Array} logits
 * @param {number} id
 */
function judged(logits, id) {
  return { nats: logSumExp(logits) - logits[id], guesses: likeliest(logits) };
}

/** @param {Float32Array} logits @returns {Guesses} */
function likeliest(logits) {
  const shares = softmax(logits.slice());
  return descending(logits)
    .slice(0, GUESSES)
    .map((id) => [id, shares[id]]);
}

/**
 * Reads a text's last block: each of its tokens, and what comes next.
 *
 * @param {Text} text
 */
function read({ network, ids }) {
  const { vocabSize: V } = networkOf(network);
  const reader = new Reader(networkOf(network), ids);
  const logits = reader.read();
  /** @type {Token[]} */
  const tokens = ids.map((id) => ({ id, nats: null, guesses: [], start: reader.start }));
  for (let i = reader.start + 1; i < ids.length; i++) {
    const row = (i - reader.start - 1) * V;
    Object.assign(tokens[i], judged(logits.subarray(row, row + V), ids[i]));
  }
  return { reader, tokens, logits: logits.slice(-V) };
}

/**
 * Writes on: first the tokens that are there, then new ones as they come.
 *
 * @param {number} id of the question
 * @param {string} channel
 * @param {Text} text
 * @param {number} drawn how many of the seed's numbers have been used for it
 * @param {Writing} options
 */
async function write(id, channel, text, drawn, options) {
  writing.set(channel, id);
  const uniform = uniformNumbers(BigInt(options.seed));
  for (let i = 0; i < drawn; i++) uniform();
  const { reader, tokens, logits: first } = read(text);
  answer(id, { tokens });
  const decode = tokenizer.decoder();
  let logits = first;
  let written = "";
  /** @type {Token[]} */
  let batch = [];
  let busy = 0;
  let since = performance.now();
  for (let i = 0; i < options.count; i++) {
    if (i) logits = reader.logits();
    const token = nextToken(logits, options, uniform);
    batch.push({ id: token, ...judged(logits, token), start: reader.start });
    reader.append(token);
    written += decode(token);
    const stopped = options.stop !== null && written.includes(options.stop);
    const now = performance.now();
    if (stopped || now - since > SLICE || i === options.count - 1) {
      busy += now - since;
      answer(id, { tokens: batch });
      batch = [];
      const kept = stopped ? written.indexOf(/** @type {string} */ (options.stop)) : written.length;
      if (stopped || i === options.count - 1)
        return answer(id, { done: true, kept, perSecond: ((i + 1) / busy) * 1000 });
      await turn();
      if (writing.get(channel) !== id) return answer(id, { done: true, kept, perSecond: ((i + 1) / busy) * 1000 });
      since = performance.now();
    }
  }
  answer(id, { done: true, kept: 0, perSecond: 0 });
}

/**
 * Judges every token of a text by all that the network may see of what is before it; and what comes next.
 *
 * @param {Text} text
 */
function judge({ network, ids }) {
  const { vocabSize: V, blockSize } = networkOf(network);
  const reader = new Reader(networkOf(network), ids.slice(0, blockSize));
  let logits = reader.read();
  const tokens = ids.map((id, i) => {
    if (i === 0) return { id, nats: null, guesses: [], start: 0 };
    if (i < blockSize) return { id, ...judged(logits.subarray((i - 1) * V, i * V), id), start: 0 };
    const token = { id, ...judged(logits.slice(-V), id), start: reader.start };
    reader.append(id);
    logits = reader.read();
    return token;
  });
  return { tokens, guesses: likeliest(logits.slice(-V)), logits: logits.slice(-V) };
}

/**
 * The directions of the embedding's vectors, projected on two axes: (V, 2).
 *
 * @param {Network} network
 * @param {number[][]} axes
 */
function map({ embedding, vocabSize: V }, axes) {
  const C = embedding.length / V;
  return Array.from({ length: V }, (_, i) => {
    const length = Math.sqrt(dot(embedding, i * C, embedding, i * C, C)) || 1;
    return axes.map((axis) => dot(Float32Array.from(axis), 0, embedding, i * C, C) / length);
  });
}

/**
 * Reads a window as far as a position, from where it was left the last time: finds the stretch the position is in.
 *
 * @param {Text} text a window
 * @param {number} at
 */
function stretchOf({ network, ids }, at) {
  if (!looked || looked.network !== network || ids.some((id, i) => id !== (looked?.ids[i] ?? id))) {
    looked = { network, ids: [], cache: newCache(networkOf(network).blockSize), stretches: [] };
  }
  const { cache, stretches } = looked;
  while (cache.length <= at) {
    const first = cache.length;
    const unread = ids.slice(first, first + STRETCH);
    /** @type {Trace} */
    const trace = { attention: [], stages: [] };
    networkOf(network).read(unread, cache, trace);
    looked.ids.push(...unread);
    stretches.push({ first, n: unread.length, trace });
  }
  return /** @type {Stretch} */ (stretches.find(({ first, n }) => at < first + n));
}

/**
 * Looks inside at a position of a window.
 *
 * @param {Text} text a window
 * @param {number} at
 * @param {Sampling} sampling
 * @returns {Inside}
 */
function look(text, at, sampling) {
  const net = networkOf(text.network);
  const { first, n, trace } = stretchOf(text, at);
  const row = at - first;
  const rowOf = (/** @type {Float32Array} */ logits) => logits.slice(row * net.vocabSize, (row + 1) * net.vocabSize);
  const logits = rowOf(trace.stages[trace.stages.length - 1].logits);
  return {
    neighbours: neighbours(net, text.ids[at]),
    attention: trace.attention.map(({ heads, maps, W }) =>
      Array.from({ length: heads }, (_, h) => maps.slice((h * n + row) * W, (h * n + row) * W + Math.min(at + 1, W))),
    ),
    stages: trace.stages.map(({ name, logits }) => ({ name, guesses: likeliest(rowOf(logits)) })),
    copied: trace.copied
      ? trace.copied.shares.slice(row * trace.copied.T, row * trace.copied.T + at + 1)
      : new Float32Array(),
    steps: filterSteps(logits, sampling).map(({ name, logits }) => ({ name, shares: softmax(logits.slice()) })),
    logits,
  };
}

/**
 * The tokens whose embeddings point most nearly the same way, by cosine.
 *
 * @param {Network} network
 * @param {number} id
 */
function neighbours({ embedding, vocabSize: V }, id) {
  const C = embedding.length / V;
  const lengths = Array.from({ length: V }, (_, i) => Math.sqrt(dot(embedding, i * C, embedding, i * C, C)));
  const cosines = Float32Array.from(lengths, (length, i) => {
    return dot(embedding, i * C, embedding, id * C, C) / (length * lengths[id] || 1);
  });
  return descending(cosines)
    .filter((other) => other !== id)
    .slice(0, NEIGHBOURS)
    .map((other) => ({ id: other, cosine: cosines[other] }));
}

/** Lets waiting messages in. */
function turn() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve(undefined);
    };
    port2.postMessage(null);
  });
}

/** @param {number} id @param {Answer} content */
function answer(id, content) {
  self.postMessage({ id, ...content });
}

/** @param {number} id @param {Question} question */
async function take(id, question) {
  if (question.task === "begin") {
    packed = question.networks.map((data) => ({ data, pieces: [] }));
    tokenizer = new Tokenizer(question.tokenizer);
    answer(id, { done: true });
  } else if (question.task === "load") {
    packed[question.network].pieces.push(question.piece);
    answer(id, { done: true });
  } else if (question.task === "write") {
    await write(id, question.channel, question.text, question.drawn, question.options);
  } else if (question.task === "stop") {
    writing.delete(question.channel);
    answer(id, { done: true });
  } else if (question.task === "judge") {
    answer(id, { done: true, ...judge(question.text) });
  } else if (question.task === "map") {
    answer(id, { done: true, points: map(networkOf(question.network), question.axes) });
  } else {
    answer(id, { done: true, inside: look(question.text, question.at, question.sampling) });
  }
}

self.onmessage = async ({ data: { id, ...question } }) => {
  try {
    await take(id, /** @type {Question} */ (question));
  } catch (error) {
    answer(id, { error: error instanceof Error ? error.message : String(error) });
  }
};
