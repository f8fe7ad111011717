/**
 * Causal self-attention of H heads with a cache of keys and values: rungs 3 to 9. Knows no network.
 *
 * Legend: n new positions, T positions so far, W of them that a position looks at at most, C channels, H heads,
 * D = C / H head size.
 */

import { linear, multiply, rmsNorm, softmax } from "./tensor.js";

/** @import { Linear } from "./tensor.js" */

/**
 * What a network keeps of the positions that it has read.
 *
 * @typedef {object} Cache
 * @property {number} length positions read so far
 * @property {number} capacity at most
 * @property {Map<object, Float32Array[]>} kept of each layer: attention's keys and values, a convolution's inputs
 * @property {Map<object, Cache>} members the caches of an ensemble's members
 */

/**
 * @param {number} capacity
 * @returns {Cache}
 */
export function newCache(capacity) {
  return { length: 0, capacity, kept: new Map(), members: new Map() };
}

/**
 * Queries, keys and values of all heads come from one matrix: first C rows of queries, head after head, then keys,
 * then values, as in rung 8a.
 *
 * @typedef {object} Attention
 * @property {Linear} qkv
 * @property {Linear | null} projection
 * @property {number} heads
 * @property {boolean} rotary
 * @property {boolean} qkNorm
 * @property {number | null} window positions that a position looks at, itself included; null: all before it
 */

/**
 * Reads n positions that follow those in the cache, and adds them to it, but not to its length: the network does that
 * when all its layers are done.
 *
 * @param {Attention} layer
 * @param {Float32Array} x (n, C)
 * @param {number} n
 * @param {Cache} cache
 * @param {(maps: Float32Array, W: number) => void} [look] is shown all weights (H, n, W), of the last W positions, or of
 *   all so far where these are fewer
 * @returns {Float32Array} (n, C)
 */
export function attend(layer, x, n, cache, look) {
  const { qkv, projection, heads: H } = layer;
  const { length: start, capacity } = cache;
  const C = qkv.outputs / 3;
  const D = C / H;
  const T = start + n;
  const W = Math.min(T, layer.window ?? T);
  let kept = cache.kept.get(layer);
  if (!kept) {
    kept = [new Float32Array(capacity * C), new Float32Array(capacity * C)];
    cache.kept.set(layer, kept);
  }
  const [keys, values] = kept; // (H, capacity, D) and (H, D, capacity): sums run along the last
  const all = linear(qkv, x, n); // (n, 3 C)
  if (layer.rotary) rotate(all, n, start, H, D);
  if (layer.qkNorm) {
    for (let row = 0; row < n; row++) for (let h = 0; h < 2 * H; h++) rmsNorm(all, row * 3 * C + h * D, D);
  }
  for (let row = 0; row < n; row++) {
    const position = start + row;
    for (let h = 0, i = row * 3 * C + C; h < H; h++) {
      for (let d = 0; d < D; d++, i++) {
        keys[(h * capacity + position) * D + d] = all[i];
        values[(h * D + d) * capacity + position] = all[i + C];
      }
    }
  }
  const scale = D ** -0.5;
  const maps = look ? new Float32Array(H * n * W) : null;
  const weights = new Float32Array(W);
  const y = new Float32Array(n * C);
  for (let row = 0; row < n; row++) {
    const end = start + row + 1; // the future is not looked at, else each position reads its own answer
    const first = Math.max(0, end - W);
    const seen = end - first;
    for (let h = 0; h < H; h++) {
      const at = h * D * capacity;
      const k = { data: keys, at: at + first * D, stride: D, rows: seen, columns: D };
      multiply(k, all, row * 3 * C + h * D, weights, 0);
      for (let t = 0; t < seen; t++) weights[t] *= scale;
      softmax(weights, 0, seen);
      if (maps) maps.set(weights.subarray(0, seen), (h * n + row) * W);
      const v = { data: values, at: at + first, stride: capacity, rows: D, columns: seen };
      multiply(v, weights, 0, y, row * C + h * D);
    }
  }
  if (look && maps) look(maps, W);
  return projection ? linear(projection, y, n) : y;
}

/**
 * Turns channel pairs (i, i + D/2) of queries and keys by the angle position * 10000^(-2i/D), in place: "RoFormer",
 * Su et al. 2021. Angles are rounded to 32 bits where PyTorch does it.
 *
 * @param {Float32Array} qkv (n, 3 C)
 * @param {number} n
 * @param {number} start
 * @param {number} H
 * @param {number} D
 */
function rotate(qkv, n, start, H, D) {
  const half = D / 2;
  for (let i = 0; i < half; i++) {
    const frequency = Math.fround(10000 ** ((-2 * i) / D));
    for (let row = 0; row < n; row++) {
      const angle = Math.fround((start + row) * frequency);
      const cos = Math.cos(angle);
      const sin = Math.sin(angle);
      for (let h = 0, at = row * 3 * H * D + i; h < 2 * H; h++, at += D) {
        const a = qkv[at];
        const b = qkv[at + half];
        qkv[at] = a * cos - b * sin;
        qkv[at + half] = b * cos + a * sin;
      }
    }
  }
}
