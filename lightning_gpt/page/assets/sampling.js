/**
 * From logits to one choice, number for number as lightning_gpt/model/filters.py does it: the same seed, the same text.
 */

import { softmax } from "./tensor.js";

/**
 * @typedef {object} Sampling
 * @property {number} temperature 0: the likeliest token
 * @property {number | null} topK draw from the k likeliest only
 * @property {number | null} topP draw from the fewest whose probabilities reach p
 */

/**
 * The steps from logits to what is drawn from, each with its logits (V,); tokens that are out have minus infinity.
 *
 * @param {Float32Array} logits
 * @param {Sampling} sampling
 * @returns {{ name: "logits" | "temperature" | "top-k" | "top-p", logits: Float32Array }[]}
 */
export function filterSteps(logits, { temperature, topK, topP }) {
  /** @type {ReturnType<typeof filterSteps>} */
  const steps = [{ name: "logits", logits }];
  if (temperature === 0) {
    const best = argmax(logits);
    return [...steps, { name: "temperature", logits: logits.map((_, i) => (i === best ? 0 : -Infinity)) }];
  }
  if (temperature !== 1) {
    const most = logits[argmax(logits)];
    const divisor = Math.fround(Math.max(temperature, 1e-30));
    logits = logits.map((v) => Math.fround(v - most) / divisor);
    steps.push({ name: "temperature", logits });
  }
  if (topK !== null) {
    logits = keepTopK(logits, topK);
    steps.push({ name: "top-k", logits });
  }
  if (topP !== null && topP < 1) {
    logits = keepTopP(logits, topP);
    steps.push({ name: "top-p", logits });
  }
  return steps;
}

/**
 * Draws a token by inversion: the first, in the order of ids, up to which the probabilities sum to more than u.
 *
 * @param {Float32Array} logits (V,)
 * @param {Sampling} sampling
 * @param {() => number} uniform
 */
export function nextToken(logits, sampling, uniform) {
  if (sampling.temperature === 0) return argmax(logits);
  const steps = filterSteps(logits, sampling);
  const probabilities = softmax(steps[steps.length - 1].logits.slice());
  const sums = new Float64Array(probabilities.length);
  let sum = 0;
  for (let i = 0; i < sums.length; i++) sums[i] = sum += probabilities[i];
  const u = uniform() * sum;
  return sums.findIndex((upTo) => upTo > u);
}

/** @param {Float32Array} x @returns the first place of the largest */
export function argmax(x) {
  let best = 0;
  for (let i = 1; i < x.length; i++) if (x[i] > x[best]) best = i;
  return best;
}

/**
 * Ids in the order of their values, the largest first; of equal ones the lower id.
 *
 * @param {Float32Array} x
 */
export function descending(x) {
  return Array.from(x.keys()).sort((a, b) => x[b] - x[a] || a - b);
}

/** @param {Float32Array} logits @param {number} k ties with the k-th stay */
function keepTopK(logits, k) {
  const sorted = logits.slice().sort();
  const threshold = sorted[Math.max(0, sorted.length - k)];
  return logits.map((v) => (v < threshold ? -Infinity : v));
}

/** @param {Float32Array} logits @param {number} p */
function keepTopP(logits, p) {
  const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
  const probabilities = softmax(Float32Array.from(order, (id) => logits[id]));
  const kept = new Float32Array(logits.length).fill(-Infinity);
  const limit = Math.fround(p);
  let sum = 0;
  for (let i = 0; i < order.length; i++) {
    sum += probabilities[i];
    const before = Math.fround(Math.fround(sum) - probabilities[i]);
    if (before < limit) kept[order[i]] = logits[order[i]];
  }
  return kept;
}

/**
 * Uniform numbers in [0, 1), as a PyTorch generator of the CPU draws them in double precision: two outputs of MT19937
 * (Matsumoto and Nishimura 1998) each.
 *
 * @param {bigint} seed
 * @returns {() => number}
 */
export function uniformNumbers(seed) {
  const N = 624;
  const state = new Uint32Array(N);
  state[0] = Number(seed & 0xffffffffn);
  for (let i = 1; i < N; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  let at = N;

  function renew() {
    for (let i = 0; i < N; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % N] & 0x7fffffff);
      state[i] = state[(i + 397) % N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    at = 0;
  }

  function next() {
    if (at === N) renew();
    let y = state[at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  return () => {
    const high = next() % 2 ** 21;
    return (high * 2 ** 32 + next()) / 2 ** 53;
  };
}
