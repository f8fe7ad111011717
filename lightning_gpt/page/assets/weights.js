/**
 * Weights as the page holds them, to tensors by name.
 */

import { fromBase64 } from "./tokenizer.js";

/** @import { Sizes, Weights } from "./networks.js" */

/**
 * A network as data; its weights lie one after another in a text of base64, little end first.
 *
 * @typedef {object} NetworkData
 * @property {string} network its class in Python
 * @property {Sizes} sizes
 * @property {number} bits of a weight: 32 or 16
 * @property {[name: string, shape: number[]][]} tensors in their order
 */

/**
 * @param {NetworkData} data
 * @param {string} base64
 * @returns {Weights}
 */
export function unpack({ bits, tensors }, base64) {
  const bytes = fromBase64(base64);
  const all = bits === 16 ? fromHalf(new Uint16Array(bytes.buffer)) : new Float32Array(bytes.buffer);
  let at = 0;
  return new Map(
    tensors.map(([name, shape]) => {
      const size = shape.reduce((product, side) => product * side, 1);
      return [name, { shape, data: all.subarray(at, (at += size)) }];
    }),
  );
}

/**
 * Widens numbers of 16 bits (1 sign, 5 exponent, 10 fraction) to 32.
 *
 * @param {Uint16Array} halves
 */
function fromHalf(halves) {
  return Float32Array.from(halves, (bits) => {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const size = exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction;
    return bits & 0x8000 ? -size : size;
  });
}
