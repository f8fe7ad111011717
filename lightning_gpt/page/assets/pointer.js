/**
 * The pointer: what comes next may be what came next before, at a similar place. Knows no network.
 *
 * Legend: n new positions, T positions so far, C channels, V vocabulary, D channels of queries and keys.
 */

import { linear, multiply, rmsNorm, softmax } from "./tensor.js";

/** @import { Cache } from "./attention.js" */
/** @import { Linear } from "./tensor.js" */

export const SHARPNESS = 20; // score of equal directions above that of orthogonal ones
const TINY = 2 ** -126; // the least probability, as in Python: its logarithm is finite

/**
 * @typedef {object} Pointer
 * @property {Linear} queryKey D rows of queries, then D of keys, whose direction alone counts
 * @property {Linear} sentinel
 */

/**
 * Mixes the network's probabilities with those of the tokens that followed at earlier positions, n rows of each: a
 * weight of exp(score), 1 at most, goes to such a token, and exp(sentinel) to the network's own probabilities. Adds the
 * n positions to the cache, but not to its length.
 *
 * @param {Pointer} layer
 * @param {Float32Array} x last states (n, C)
 * @param {Float32Array} logits the network's own (n, V)
 * @param {ArrayLike<number>} ids which it has read (n,)
 * @param {Cache} cache
 * @param {(copied: Float32Array, T: number) => void} [look] is shown the share of each position's token (n, T)
 * @returns {Float32Array} (n, V)
 */
export function point({ queryKey, sentinel }, x, logits, ids, cache, look) {
  const { length: start, capacity } = cache;
  const n = ids.length;
  const V = logits.length / n;
  const D = queryKey.outputs / 2;
  const T = start + n;
  let kept = cache.kept.get(queryKey);
  if (!kept) {
    kept = [new Float32Array(capacity * D), new Float32Array(capacity)];
    cache.kept.set(queryKey, kept);
  }
  const [keys, tokens] = kept; // (capacity, D) and (capacity,)
  tokens.set(ids, start);
  const both = linear(queryKey, x, n); // (n, 2 D)
  for (let row = 0; row < n; row++) {
    const at = row * 2 * D;
    rmsNorm(both, at, D);
    rmsNorm(both, at + D, D);
    keys.set(both.subarray(at + D, at + 2 * D), (start + row) * D);
  }
  const own = linear(sentinel, x, n); // (n, 1)
  const maps = look ? new Float32Array(n * T) : null;
  const weights = new Float32Array(T);
  const mixed = new Float32Array(n * V);
  for (let row = 0; row < n; row++) {
    const before = start + row; // positions whose next token is known
    multiply({ data: keys, at: 0, stride: D, rows: before, columns: D }, both, row * 2 * D, weights, 0);
    const likely = softmax(logits.slice(row * V, (row + 1) * V));
    const kept = Math.exp(own[row]);
    let sum = kept;
    for (let i = 0; i < V; i++) likely[i] *= kept;
    for (let t = 0; t < before; t++) {
      sum += weights[t] = Math.exp(SHARPNESS * (weights[t] / D - 1));
      likely[tokens[t + 1]] += weights[t];
    }
    for (let i = 0; i < V; i++) mixed[row * V + i] = Math.log(Math.max(likely[i] / sum, TINY));
    if (maps) for (let t = 0; t < before; t++) maps[row * T + t + 1] = weights[t] / sum;
  }
  look?.(/** @type {Float32Array} */ (maps), T);
  return mixed;
}
