/**
 * Operations on rows of numbers: matrix products, norms, softmax, activations. Knows no network.
 *
 * A tensor (n, C) is n rows of C numbers, one after another, in a Float32Array. Sums are in double precision, which is
 * what a number is in JavaScript; results are rounded to 32 bits when they are stored, as PyTorch's are.
 */

/**
 * y = x W^T + b, as torch.nn.Linear: W is (outputs, inputs).
 *
 * @typedef {object} Linear
 * @property {Float32Array} weight
 * @property {Float32Array | null} bias
 * @property {number} inputs
 * @property {number} outputs
 */

/**
 * @typedef {object} Norm
 * @property {Float32Array} weight
 * @property {Float32Array | null} bias
 */

/**
 * Computes a linear layer: x (n, inputs) to (n, outputs).
 *
 * All the time goes here. A row of x is multiplied by eight rows of W at once, so that each of its numbers is read once
 * for eight products; of several rows of x, four are taken with two of W.
 *
 * @param {Linear} layer
 * @param {Float32Array} x
 * @param {number} n
 */
export function linear(layer, x, n) {
  const { weight: data, bias, inputs, outputs } = layer;
  const y = new Float32Array(n * outputs);
  const matrix = { data, at: 0, stride: inputs, rows: outputs, columns: inputs };
  let row = 0;
  for (; row + 4 <= n; row += 4) fourRows(layer, x, row, y);
  for (; row < n; row++) multiply(matrix, x, row * inputs, y, row * outputs);
  if (bias) for (let row = 0, i = 0; row < n; row++) for (let o = 0; o < outputs; o++) y[i++] += bias[o];
  return y;
}

/**
 * A matrix inside an array: `rows` rows of `columns` numbers, the first at `at`, each `stride` after the one before it.
 *
 * @typedef {object} Matrix
 * @property {Float32Array} data
 * @property {number} at
 * @property {number} stride
 * @property {number} rows
 * @property {number} columns
 */

/**
 * Multiplies a matrix by a vector, x from `from` on, into y, from `to` on.
 *
 * @param {Matrix} matrix
 * @param {Float32Array} x
 * @param {number} from
 * @param {Float32Array} y
 * @param {number} to
 */
export function multiply({ data: w, at, stride, rows, columns }, x, from, y, to) {
  let o = 0;
  for (; o + 8 <= rows; o += 8) {
    const a = at + o * stride;
    const b = a + stride;
    const c = b + stride;
    const d = c + stride;
    const e = d + stride;
    const f = e + stride;
    const g = f + stride;
    const h = g + stride;
    let sa = 0;
    let sb = 0;
    let sc = 0;
    let sd = 0;
    let se = 0;
    let sf = 0;
    let sg = 0;
    let sh = 0;
    for (let i = 0; i < columns; i++) {
      const v = x[from + i];
      sa += w[a + i] * v;
      sb += w[b + i] * v;
      sc += w[c + i] * v;
      sd += w[d + i] * v;
      se += w[e + i] * v;
      sf += w[f + i] * v;
      sg += w[g + i] * v;
      sh += w[h + i] * v;
    }
    const z = to + o;
    y[z] = sa;
    y[z + 1] = sb;
    y[z + 2] = sc;
    y[z + 3] = sd;
    y[z + 4] = se;
    y[z + 5] = sf;
    y[z + 6] = sg;
    y[z + 7] = sh;
  }
  for (; o < rows; o++) y[to + o] = dot(w, at + o * stride, x, from, columns);
}

/**
 * @param {Linear} layer
 * @param {Float32Array} x
 * @param {number} row
 * @param {Float32Array} y
 */
function fourRows({ weight: w, inputs, outputs }, x, row, y) {
  const p = row * inputs;
  const q = p + inputs;
  const r = q + inputs;
  const s = r + inputs;
  const at = row * outputs;
  let o = 0;
  for (; o + 2 <= outputs; o += 2) {
    const a = o * inputs;
    const b = a + inputs;
    let ap = 0;
    let aq = 0;
    let ar = 0;
    let as = 0;
    let bp = 0;
    let bq = 0;
    let br = 0;
    let bs = 0;
    for (let i = 0; i < inputs; i++) {
      const u = w[a + i];
      const v = w[b + i];
      const xp = x[p + i];
      const xq = x[q + i];
      const xr = x[r + i];
      const xs = x[s + i];
      ap += u * xp;
      aq += u * xq;
      ar += u * xr;
      as += u * xs;
      bp += v * xp;
      bq += v * xq;
      br += v * xr;
      bs += v * xs;
    }
    let z = at + o;
    y[z] = ap;
    y[z + 1] = bp;
    z += outputs;
    y[z] = aq;
    y[z + 1] = bq;
    z += outputs;
    y[z] = ar;
    y[z + 1] = br;
    z += outputs;
    y[z] = as;
    y[z + 1] = bs;
  }
  for (; o < outputs; o++) {
    for (let k = 0; k < 4; k++) y[at + k * outputs + o] = dot(w, o * inputs, x, p + k * inputs, inputs);
  }
}

/**
 * Multiplies `length` numbers of a, from i on, with those of b, from j on, and sums.
 *
 * @param {Float32Array} a
 * @param {number} i
 * @param {Float32Array} b
 * @param {number} j
 * @param {number} length
 */
export function dot(a, i, b, j, length) {
  let s0 = 0; // four sums, for each addition waits for the one before it
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let k = 0;
  for (; k + 4 <= length; k += 4) {
    s0 += a[i + k] * b[j + k];
    s1 += a[i + k + 1] * b[j + k + 1];
    s2 += a[i + k + 2] * b[j + k + 2];
    s3 += a[i + k + 3] * b[j + k + 3];
  }
  for (; k < length; k++) s0 += a[i + k] * b[j + k];
  return s0 + s1 + (s2 + s3);
}

/**
 * Adds y to x, in place; returns x.
 *
 * @param {Float32Array} x
 * @param {Float32Array} y
 */
export function add(x, y) {
  for (let i = 0; i < x.length; i++) x[i] += y[i];
  return x;
}

/**
 * Brings each row of x (n, C) to mean 0 and variance 1, then scales and shifts, as torch.nn.LayerNorm.
 *
 * @param {Norm} norm
 * @param {Float32Array} x
 * @param {number} n
 */
export function layerNorm({ weight, bias }, x, n) {
  const C = weight.length;
  const y = new Float32Array(x.length);
  for (let row = 0; row < n; row++) {
    const at = row * C;
    let mean = 0;
    for (let i = 0; i < C; i++) mean += x[at + i];
    mean /= C;
    let variance = 0;
    for (let i = 0; i < C; i++) variance += (x[at + i] - mean) ** 2;
    const scale = 1 / Math.sqrt(variance / C + 1e-5);
    for (let i = 0; i < C; i++) y[at + i] = (x[at + i] - mean) * scale * weight[i] + (bias ? bias[i] : 0);
  }
  return y;
}

/**
 * Brings `length` numbers of x, from `at` on, to root mean square 1, in place, as torch.nn.functional.rms_norm.
 *
 * @param {Float32Array} x
 * @param {number} at
 * @param {number} length
 */
export function rmsNorm(x, at, length) {
  let squares = 0;
  for (let i = 0; i < length; i++) squares += x[at + i] ** 2;
  const scale = 1 / Math.sqrt(squares / length + 2 ** -23);
  for (let i = 0; i < length; i++) x[at + i] *= scale;
}

/**
 * Turns `length` scores of x, from `at` on, into shares that sum to 1, in place.
 *
 * @param {Float32Array} x
 * @param {number} at
 * @param {number} length
 */
export function softmax(x, at = 0, length = x.length) {
  let most = -Infinity;
  for (let i = 0; i < length; i++) if (x[at + i] > most) most = x[at + i];
  let sum = 0;
  for (let i = 0; i < length; i++) sum += x[at + i] = Math.exp(x[at + i] - most);
  for (let i = 0; i < length; i++) x[at + i] /= sum;
  return x;
}

/**
 * ln of the sum of the exponentials of a row.
 *
 * @param {Float32Array} x
 */
export function logSumExp(x) {
  let most = -Infinity;
  for (const v of x) if (v > most) most = v;
  let sum = 0;
  for (const v of x) sum += Math.exp(v - most);
  return most + Math.log(sum);
}

/**
 * max(x, 0), in place.
 *
 * @param {Float32Array} x
 */
export function relu(x) {
  for (let i = 0; i < x.length; i++) if (x[i] < 0) x[i] = 0;
  return x;
}

/**
 * max(x, 0)^2, in place.
 *
 * @param {Float32Array} x
 */
export function squaredRelu(x) {
  for (let i = 0; i < x.length; i++) x[i] = x[i] < 0 ? 0 : x[i] * x[i];
  return x;
}

/**
 * x times the normal distribution's share below x, in place: GELU, not its tanh approximation.
 *
 * @param {Float32Array} x
 */
export function gelu(x) {
  for (let i = 0; i < x.length; i++) x[i] *= 0.5 * (1 + erf(x[i] * Math.SQRT1_2));
  return x;
}

/**
 * GELU by its tanh approximation, in place.
 *
 * @param {Float32Array} x
 */
export function tanhGelu(x) {
  for (let i = 0; i < x.length; i++) {
    const u = x[i];
    x[i] = 0.5 * u * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (u + 0.044715 * u * u * u)));
  }
  return x;
}

/**
 * The error function, to 1.5e-7: Abramowitz and Stegun 1964, 7.1.26.
 *
 * @param {number} x
 */
export function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const y = 1 - series * Math.exp(-x * x);
  return x < 0 ? -y : y;
}
