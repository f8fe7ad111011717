// Answers questions to networks, one JSON a line, as the page's own scripts compute them: networks.json of content.py in.
import { readFileSync } from "node:fs";
import { newCache } from "../../lightning_gpt/page/assets/attention.js";
import { Reader } from "../../lightning_gpt/page/assets/decoding.js";
import { buildNetwork } from "../../lightning_gpt/page/assets/networks.js";
import { filterSteps, nextToken, uniformNumbers } from "../../lightning_gpt/page/assets/sampling.js";
import { softmax } from "../../lightning_gpt/page/assets/tensor.js";
import { Tokenizer } from "../../lightning_gpt/page/assets/tokenizer.js";
import { unpack } from "../../lightning_gpt/page/assets/weights.js";

const ANSWERS = {
  /** Logits (T, V) of a text, read in one pass. */
  logits: ({ network, ids }) => [...network.read(ids, newCache(network.blockSize))],
  /** Attention of each layer, the logits of each stage, and what a pointer copies. */
  trace({ network, ids }) {
    const trace = { attention: [], stages: [] };
    network.read(ids, newCache(network.blockSize), trace);
    const attention = trace.attention.map(({ maps }) => [...maps]);
    return {
      attention,
      stages: trace.stages.map(({ name, logits }) => ({
        name,
        logits: [...logits],
      })),
      copied: [...(trace.copied?.shares ?? [])],
    };
  },
  /** Ids that are written after a text. */
  write({ network, ids, count, seed, temperature, topK = null, topP = null }) {
    const reader = new Reader(network, ids);
    const uniform = uniformNumbers(BigInt(seed));
    return Array.from({ length: count }, () => {
      const id = nextToken(reader.logits(), { temperature, topK, topP }, uniform);
      reader.append(id);
      return id;
    });
  },
  /** Ids per second of processor time. */
  speed({ network, ids, count }) {
    const reader = new Reader(network, ids);
    const begin = process.cpuUsage();
    for (let i = 0; i < count; i++) reader.append(nextToken(reader.logits(), { temperature: 1 }, Math.random));
    return (count / process.cpuUsage(begin).user) * 1e6;
  },
  /** The probabilities after the last step of sampling. */
  shares({ logits, temperature, topK, topP }) {
    const steps = filterSteps(Float32Array.from(logits), {
      temperature,
      topK,
      topP,
    });
    return [...softmax(steps.at(-1).logits.slice())];
  },
  uniform({ seed, count }) {
    return Array.from({ length: count }, uniformNumbers(BigInt(seed)));
  },
  texts: ({ tokenizer }) => tokenizer.texts,
  encode: ({ tokenizer, text }) => tokenizer.encode(text),
  decode({ tokenizer, ids }) {
    return ids.map(tokenizer.decoder());
  },
};

const { pages, questions } = JSON.parse(readFileSync(0, "utf8"));
const loaded = pages.map(({ plain, weights }) => ({
  tokenizer: new Tokenizer(plain.tokenizer),
  networks: plain.networks.map((data, i) => buildNetwork(data.network, data.sizes, unpack(data, [weights[i]]))),
}));
for (const { ask, page = 0, network = 0, ...rest } of questions) {
  const { tokenizer, networks } = loaded[page] ?? { networks: [] };
  console.log(JSON.stringify(ANSWERS[ask]({ tokenizer, network: networks[network], ...rest })));
}
