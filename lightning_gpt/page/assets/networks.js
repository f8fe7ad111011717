/**
 * The lecture's ladder of networks and the ensemble, one function each, as in lightning_gpt/ladder: a network's weights
 * to a function that reads.
 *
 * Legend: n new positions, T positions so far, C channels, V vocabulary.
 */

import { attend, newCache } from "./attention.js";
import { point } from "./pointer.js";
import { add, gelu, layerNorm, linear, logSumExp, relu, rmsNorm, squaredRelu, tanhGelu } from "./tensor.js";

/** @import { Attention, Cache } from "./attention.js" */
/** @import { Pointer } from "./pointer.js" */
/** @import { Linear, Norm } from "./tensor.js" */

/**
 * A network's sizes, by the names of its config in Python.
 *
 * @typedef {Record<string, number | boolean | null>} Sizes
 */

/** @typedef {Map<string, { shape: number[], data: Float32Array }>} Weights */

/**
 * What is seen of a network while it reads n positions: the attention of each layer (H, n, W), the logits that each
 * stage by itself would lead to (n, V), from the input on, and the share of the guess that a pointer copies from each
 * token so far (n, T).
 *
 * @typedef {object} Trace
 * @property {{ heads: number, maps: Float32Array, W: number }[]} attention W positions are looked at at most
 * @property {{ name: string, logits: Float32Array }[]} stages
 * @property {{ shares: Float32Array, T: number }} [copied] of a network with a pointer
 */

/**
 * Reads n ids that follow those in the cache, and adds them to it: returns the logits of what follows each (n, V).
 *
 * @typedef {(ids: ArrayLike<number>, cache: Cache, trace?: Trace) => Float32Array} Read
 */

/**
 * @typedef {object} Network
 * @property {Sizes} sizes
 * @property {number} vocabSize V
 * @property {number} blockSize the longest context
 * @property {boolean} cached whether a window slides by halves, see decoding
 * @property {Float32Array} embedding (V, channels)
 * @property {Read} read
 */

/**
 * Layers by the names of their weights in PyTorch.
 */
class Layers {
  /** @param {Weights} weights @param {string} prefix */
  constructor(weights, prefix = "") {
    this.weights = weights;
    this.prefix = prefix;
  }

  /** @param {string} name */
  in(name) {
    return new Layers(this.weights, `${this.prefix}${name}.`);
  }

  /** @param {string} name */
  tensor(name) {
    const found = this.weights.get(this.prefix + name);
    if (!found) throw new Error(`no weights ${this.prefix}${name}`);
    return found;
  }

  /** @param {string} name */
  optional(name) {
    return this.weights.get(this.prefix + name)?.data ?? null;
  }

  /** @param {string} name @returns {Linear} */
  linear(name) {
    const { shape, data } = this.tensor(`${name}.weight`);
    return { weight: data, bias: this.optional(`${name}.bias`), outputs: shape[0], inputs: shape[1] };
  }

  /** @param {string} name @returns {Norm} */
  norm(name) {
    return { weight: this.tensor(`${name}.weight`).data, bias: this.optional(`${name}.bias`) };
  }

  /**
   * Several linear layers of the same input as one: their rows below each other.
   *
   * @param {string[]} names
   * @returns {Linear}
   */
  stacked(names) {
    const parts = names.map((name) => this.linear(name));
    const { inputs } = parts[0];
    const outputs = parts.reduce((sum, part) => sum + part.outputs, 0);
    const weight = new Float32Array(outputs * inputs);
    let at = 0;
    for (const part of parts) {
      weight.set(part.weight, at);
      at += part.weight.length;
    }
    return { weight, bias: null, outputs, inputs };
  }
}

/**
 * Picks rows of a table (V, C) by ids (n,): (n, C).
 *
 * @param {Float32Array} table
 * @param {number} C
 * @param {ArrayLike<number>} ids
 */
function embed(table, C, ids) {
  const x = new Float32Array(ids.length * C);
  for (let i = 0; i < ids.length; i++) x.set(table.subarray(ids[i] * C, (ids[i] + 1) * C), i * C);
  return x;
}

/**
 * The sum of the embeddings of ids and of their positions, from the cache's length on: (n, C).
 *
 * @param {Float32Array} tokens
 * @param {Float32Array} positions
 * @param {number} C
 * @param {ArrayLike<number>} ids
 * @param {Cache} cache
 */
function embedWithPositions(tokens, positions, C, ids, cache) {
  return add(embed(tokens, C, ids), positions.subarray(cache.length * C, (cache.length + ids.length) * C));
}

/**
 * Notes the attention of a layer in the trace, if there is one.
 *
 * @param {Trace | undefined} trace
 * @param {Attention} layer
 */
function looking(trace, layer) {
  if (!trace) return undefined;
  return (/** @type {Float32Array} */ maps, /** @type {number} */ W) => {
    trace.attention.push({ heads: layer.heads, maps, W });
  };
}

/**
 * Notes what a pointer copies in the trace, if there is one.
 *
 * @param {Trace | undefined} trace
 */
function copying(trace) {
  if (!trace) return undefined;
  return (/** @type {Float32Array} */ shares, /** @type {number} */ T) => {
    trace.copied = { shares, T };
  };
}

/**
 * Separate heads, each with its own three matrices, as one layer.
 *
 * @param {Layers} layers
 * @param {string[]} heads
 * @param {Linear | null} projection
 * @returns {Attention}
 */
function separateHeads(layers, heads, projection) {
  const names = ["query", "key", "value"].flatMap((part) => heads.map((head) => `${head}.${part}`));
  return { qkv: layers.stacked(names), projection, heads: heads.length, rotary: false, qkNorm: false, window: null };
}

/** @param {number} n @param {string} prefix */
const numbered = (n, prefix) => Array.from({ length: n }, (_, i) => `${prefix}.${i}`);

/**
 * Rung 1: row i of one table holds the logits of whatever follows token i.
 *
 * @param {Sizes} _
 * @param {Layers} layers
 */
function Bigram(_, layers) {
  const { data: table, shape } = layers.tensor("table.weight");
  return {
    cached: false,
    embedding: table,
    /** @type {Read} */
    read(ids, cache, trace) {
      const logits = embed(table, shape[1], ids);
      cache.length += ids.length;
      trace?.stages.push({ name: "its row of the table", logits });
      return logits;
    },
  };
}

/**
 * Rung 2: the plain average of all positions so far.
 *
 * @param {Sizes} sizes
 * @param {Layers} layers
 */
function Averaging(sizes, layers) {
  const C = Number(sizes.n_embd);
  const average = {};
  return lectureNetwork(C, layers, [
    {
      name: "the average",
      run(x, cache) {
        let kept = cache.kept.get(average);
        if (!kept) cache.kept.set(average, (kept = [new Float32Array(C)]));
        const [sum] = kept;
        for (let row = 0; row < x.length / C; row++) {
          for (let i = 0; i < C; i++) {
            sum[i] += x[row * C + i];
            x[row * C + i] = sum[i] / (cache.length + row + 1);
          }
        }
        return x;
      },
    },
  ]);
}

/**
 * Rung 3: the average becomes data-dependent, by one head as wide as the embedding.
 *
 * @param {Sizes} sizes
 * @param {Layers} layers
 */
function SingleHeadGPT(sizes, layers) {
  const head = separateHeads(layers, ["head"], null);
  return lectureNetwork(Number(sizes.n_embd), layers, [attentionStage("the head", head)]);
}

/**
 * Rung 4: several heads side by side.
 *
 * @param {Sizes} sizes
 * @param {Layers} layers
 */
function MultiHeadGPT(sizes, layers) {
  const attention = separateHeads(layers, numbered(Number(sizes.n_head), "attention.heads"), null);
  return lectureNetwork(Number(sizes.n_embd), layers, [attentionStage("the heads", attention)]);
}

/**
 * Rung 5: a ReLU layer between the heads and the logits.
 *
 * @param {Sizes} sizes
 * @param {Layers} layers
 */
function FeedForwardGPT(sizes, layers) {
  const C = Number(sizes.n_embd);
  const attention = separateHeads(layers, numbered(Number(sizes.n_head), "attention.heads"), null);
  const fc = layers.linear("feed_forward.fc");
  return lectureNetwork(C, layers, [
    attentionStage("the heads", attention),
    { name: "the ReLU layer", run: (x) => relu(linear(fc, x, x.length / C)) },
  ]);
}

/**
 * Rung 6: residual blocks.
 *
 * @param {Sizes} sizes
 * @param {Layers} layers
 */
function ResidualGPT(sizes, layers) {
  return lectureNetwork(Number(sizes.n_embd), layers, lectureBlocks(sizes, layers, false));
}

/**
 * Rung 7: pre-norm blocks and a final norm.
 *
 * @param {Sizes} sizes
 * @param {Layers} layers
 */
function LayerNormGPT(sizes, layers) {
  return lectureNetwork(Number(sizes.n_embd), layers, lectureBlocks(sizes, layers, true), layers.norm("norm"));
}

/**
 * What happens to the residual path between the embedding and the head, named for the reader; x (n, C) to (n, C).
 *
 * @typedef {object} Stage
 * @property {string} name
 * @property {(x: Float32Array, cache: Cache, trace?: Trace) => Float32Array} run may change x
 */

/**
 * @param {string} name
 * @param {Attention} layer
 * @returns {Stage}
 */
function attentionStage(name, layer) {
  const C = layer.qkv.inputs;
  return { name, run: (x, cache, trace) => attend(layer, x, x.length / C, cache, looking(trace, layer)) };
}

/**
 * The blocks of rungs 6 and 7: talk, then think, each answer added to its question.
 *
 * @param {Sizes} sizes
 * @param {Layers} layers
 * @param {boolean} normed
 * @returns {Stage[]}
 */
function lectureBlocks(sizes, layers, normed) {
  return numbered(Number(sizes.n_layer), "blocks").map((name, i) => {
    const block = layers.in(name);
    const heads = numbered(Number(sizes.n_head), "attention.heads");
    return blockStage(
      `block ${i + 1}`,
      separateHeads(block, heads, block.linear("attention.projection")),
      { fc: block.linear("feed_forward.fc"), projection: block.linear("feed_forward.projection"), activation: relu },
      normed ? [block.norm("norm1"), block.norm("norm2")] : null,
    );
  });
}

/**
 * @typedef {object} FeedForward
 * @property {Linear} fc
 * @property {Linear} projection
 * @property {(x: Float32Array) => Float32Array} activation
 */

/**
 * A block of the residual path.
 *
 * @param {string} name
 * @param {Attention} attention
 * @param {FeedForward} mlp
 * @param {Norm[] | null} norms
 * @returns {Stage}
 */
function blockStage(name, attention, mlp, norms) {
  const C = attention.qkv.inputs;
  return {
    name,
    run(x, cache, trace) {
      const n = x.length / C;
      const question = norms ? layerNorm(norms[0], x, n) : x;
      x = add(x, attend(attention, question, n, cache, looking(trace, attention)));
      const hidden = linear(mlp.fc, norms ? layerNorm(norms[1], x, n) : x, n);
      return add(x, linear(mlp.projection, mlp.activation(hidden), n));
    },
  };
}

/**
 * What rungs 2 to 7 share: embeddings of tokens and positions, stages, a head with a bias.
 *
 * @param {number} C
 * @param {Layers} layers
 * @param {Stage[]} stages
 * @param {Norm | null} norm
 */
function lectureNetwork(C, layers, stages, norm = null) {
  const embedding = layers.tensor("token_embedding.weight").data;
  const positions = layers.tensor("position_embedding.weight").data;
  const head = layers.linear("lm_head");
  const logitsOf = (/** @type {Float32Array} */ x) =>
    linear(head, norm ? layerNorm(norm, x, x.length / C) : x, x.length / C);
  return {
    cached: false,
    embedding,
    /** @type {Read} */
    read(ids, cache, trace) {
      const x = embedWithPositions(embedding, positions, C, ids, cache);
      return throughStages(x, stages, logitsOf, ids.length, cache, trace);
    },
  };
}

/**
 * Sends x (n, C) through the stages to logits (n, V), and notes what each stage would lead to by itself.
 *
 * "interpreting GPT: the logit lens", nostalgebraist 2020.
 *
 * @param {Float32Array} x
 * @param {Stage[]} stages
 * @param {(x: Float32Array) => Float32Array} logitsOf
 * @param {number} n
 * @param {Cache} cache
 * @param {Trace} [trace]
 * @param {((x: Float32Array, logits: Float32Array) => Float32Array) | null} [mix] what a pointer makes of the last x
 */
function throughStages(x, stages, logitsOf, n, cache, trace, mix) {
  trace?.stages.push({ name: "the embedding", logits: logitsOf(x) });
  for (const stage of stages) {
    x = stage.run(x, cache, trace);
    trace?.stages.push({ name: stage.name, logits: logitsOf(x) });
  }
  let logits = trace ? trace.stages[trace.stages.length - 1].logits : logitsOf(x);
  if (mix) {
    logits = mix(x, logits);
    trace?.stages.push({ name: "the pointer", logits });
  }
  cache.length += n;
  return logits;
}

/**
 * Rung 8: nanoGPT's network, whose embedding is its head.
 *
 * @param {Sizes} sizes
 * @param {Layers} layers
 */
function GPT(sizes, layers) {
  return ModernGPT({ ...sizes, tie_weights: true, softcap: null }, layers);
}

/**
 * Rung 9: rung 8 with options, all of which are off where the sizes do not name them.
 *
 * @param {Sizes} sizes
 * @param {Layers} layers
 */
function ModernGPT(sizes, layers) {
  const C = Number(sizes.n_embd);
  const { data: embedding, shape } = layers.tensor("token_embedding.weight");
  const positions = layers.optional("position_embedding.weight");
  const convolution = layers.optional("convolution.weight");
  const norm = layers.norm("norm");
  /** @type {Linear} */
  const head = sizes.tie_weights
    ? { weight: embedding, bias: null, outputs: shape[0], inputs: shape[1] }
    : layers.linear("lm_head");
  const softcap = Number(sizes.softcap ?? 0);
  /** @type {Pointer | null} */
  const pointer = sizes.pointer
    ? { queryKey: layers.stacked(["pointer.query", "pointer.key"]), sentinel: layers.linear("pointer.sentinel") }
    : null;
  const stages = numbered(Number(sizes.n_layer), "blocks").map((name, i) => {
    const block = layers.in(name);
    return blockStage(
      `block ${i + 1}`,
      {
        qkv: block.linear("attention.qkv"),
        projection: block.linear("attention.projection"),
        heads: Number(sizes.n_head),
        rotary: Boolean(sizes.rotary),
        qkNorm: Boolean(sizes.qk_norm),
        window: sizes.window ? Number(sizes.window) : null,
      },
      {
        fc: block.linear("mlp.fc"),
        projection: block.linear("mlp.projection"),
        activation: sizes.squared_relu ? squaredRelu : sizes.tanh_gelu ? tanhGelu : gelu,
      },
      [block.norm("norm1"), block.norm("norm2")],
    );
  });
  const logitsOf = (/** @type {Float32Array} */ x) => {
    const logits = linear(head, layerNorm(norm, x, x.length / C), x.length / C);
    if (softcap) for (let i = 0; i < logits.length; i++) logits[i] = softcap * Math.tanh(logits[i] / softcap);
    return logits;
  };
  return {
    cached: true,
    embedding,
    /** @type {Read} */
    read(ids, cache, trace) {
      const n = ids.length;
      let x = positions ? embedWithPositions(embedding, positions, C, ids, cache) : embed(embedding, C, ids);
      if (sizes.embedding_norm) for (let row = 0; row < n; row++) rmsNorm(x, row * C, C);
      if (convolution) x = convolve(convolution, C, x, cache);
      const mix =
        pointer &&
        ((/** @type {Float32Array} */ x, /** @type {Float32Array} */ logits) =>
          point(pointer, layerNorm(norm, x, n), logits, ids, cache, copying(trace)));
      return throughStages(x, stages, logitsOf, n, cache, trace, mix);
    },
  };
}

/**
 * Adds to each position a weighted sum of the last ones, itself included, channel by channel: "Primer", So et al. 2021.
 *
 * @param {Float32Array} weight (width, C)
 * @param {number} C
 * @param {Float32Array} x (n, C)
 * @param {Cache} cache
 */
function convolve(weight, C, x, cache) {
  let kept = cache.kept.get(weight);
  if (!kept) cache.kept.set(weight, (kept = [new Float32Array(cache.capacity * C)]));
  const [seen] = kept; // (capacity, C)
  seen.set(x, cache.length * C);
  const y = x.slice();
  for (let i = 0; i < x.length; i++) {
    const channel = i % C;
    for (let w = channel, at = cache.length * C + i; w < weight.length && at >= 0; w += C, at -= C) {
      y[i] += weight[w] * seen[at];
    }
  }
  return y;
}

/**
 * Several networks, whose probabilities are averaged: "deep ensembles", Lakshminarayanan et al. 2017. What is looked at
 * inside is the first member's, and what each member by itself would say.
 *
 * @param {Sizes} sizes
 * @param {Layers} layers
 */
function Ensemble(sizes, layers) {
  const V = Number(sizes.vocab_size);
  const members = numbered(Number(sizes.n_member), "members").map((name) => ModernGPT(sizes, layers.in(name)));
  return {
    cached: true,
    embedding: members[0].embedding,
    /** @type {Read} */
    read(ids, cache, trace) {
      const each = members.map((member, i) => {
        let own = cache.members.get(member);
        if (!own) cache.members.set(member, (own = newCache(cache.capacity)));
        const logits = member.read(ids, own, i === 0 ? trace : undefined);
        if (trace) {
          if (i === 0) for (const stage of trace.stages) stage.name = `member 1, ${stage.name}`;
          else trace.stages.push({ name: `member ${i + 1}`, logits: logits.slice() });
        }
        return logits.slice();
      });
      for (const logits of each) {
        for (let at = 0; at < logits.length; at += V) {
          const row = logits.subarray(at, at + V);
          const sum = logSumExp(row);
          for (let i = 0; i < V; i++) row[i] -= sum;
        }
      }
      const together = new Float32Array(each[0].length);
      const answers = new Float32Array(each.length);
      for (let i = 0; i < together.length; i++) {
        each.forEach((logits, k) => (answers[k] = logits[i]));
        together[i] = logSumExp(answers) - Math.log(each.length);
      }
      cache.length += ids.length;
      trace?.stages.push({ name: "all together", logits: together });
      return together;
    },
  };
}

const BY_NAME = {
  Bigram,
  Averaging,
  SingleHeadGPT,
  MultiHeadGPT,
  FeedForwardGPT,
  ResidualGPT,
  LayerNormGPT,
  GPT,
  ModernGPT,
  Ensemble,
};

/**
 * Builds the network of a checkpoint.
 *
 * @param {string} name its class in Python
 * @param {Sizes} sizes
 * @param {Weights} weights
 * @returns {Network}
 */
export function buildNetwork(name, sizes, weights) {
  if (!Object.hasOwn(BY_NAME, name)) throw new Error(`no network ${name}`);
  const made = BY_NAME[/** @type {keyof typeof BY_NAME} */ (name)](sizes, new Layers(weights));
  return { sizes, vocabSize: Number(sizes.vocab_size), blockSize: Number(sizes.block_size), ...made };
}
