"""The ladder as models of Hugging Face's transformers: what an exported folder's own code is made of.

`flattened` writes this file and the rungs into one that stands by itself. Nothing here may use another room than the
ladder, and nothing but transformers beside torch; no command imports it.

A text longer than block_size is read as lightning-gpt's own decoding does: with a cache, the later half of the block is
read anew whenever it is full; without one, the last block_size tokens are read for each token.
"""

from dataclasses import fields
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from lightning_gpt.ladder.cache import Cache, CachedNetwork
from lightning_gpt.ladder.ensemble import Ensemble
from lightning_gpt.ladder.network import Network
from lightning_gpt.ladder.rung1_bigram import Bigram
from lightning_gpt.ladder.rung2_averaging import Averaging
from lightning_gpt.ladder.rung3_head import SingleHeadGPT
from lightning_gpt.ladder.rung4_multi_head import MultiHeadGPT
from lightning_gpt.ladder.rung5_feed_forward import FeedForwardGPT
from lightning_gpt.ladder.rung6_residual import ResidualGPT
from lightning_gpt.ladder.rung7_layer_norm import LayerNormGPT
from lightning_gpt.ladder.rung8b_gpt import GPT
from lightning_gpt.ladder.rung9_modern import ModernGPT

CLASSES = (
    Bigram, Averaging, SingleHeadGPT, MultiHeadGPT, FeedForwardGPT, ResidualGPT, LayerNormGPT, GPT, ModernGPT, Ensemble,
)  # fmt: skip


# transformers' name of what a model has read, which was past_key_values before 5.24
CACHE = "cache" if "cache" in {field.name for field in fields(CausalLMOutputWithPast)} else "past_key_values"


class LightningGPTConfig(PretrainedConfig):
    """Which rung it is, and its sizes.

    Args:
        network: the class's name.
        sizes: its config, as plain values.
        options: of any model of transformers.
    """

    model_type = "lightning_gpt"

    def __init__(self, network: str = "Bigram", sizes: dict[str, Any] | None = None, **options: Any) -> None:
        self.network = network
        self.sizes = sizes or {"vocab_size": 1, "block_size": 1}
        self.vocab_size = self.sizes["vocab_size"]
        self.hidden_size = self.sizes.get("n_embd", self.vocab_size)
        self.num_hidden_layers = self.sizes.get("n_layer", 1)
        super().__init__(**options)


class TextCache(Cache):
    """A cache that knows how much of the text has been read, of which it may hold the end only.

    Attributes:
        seen: tokens of the text, those included that have left the window.
    """

    def __init__(self, capacity: int, seen: int = 0) -> None:
        super().__init__(capacity)
        self.seen = seen


class LightningGPTForCausalLM(PreTrainedModel, GenerationMixin):
    """A rung that transformers can load, call, train and write text with."""

    config_class = LightningGPTConfig

    def __init__(self, config: LightningGPTConfig) -> None:
        super().__init__(config)
        self.net: Network = {network.__name__: network for network in CLASSES}[config.network](**config.sizes)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Leaves new weights as the rung itself made them."""

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        """Says that it makes a cache of its own."""
        return False

    def get_input_embeddings(self) -> nn.Module:
        """Returns the table of the tokens' vectors."""
        return self.net.embedding()

    def get_output_embeddings(self) -> None:
        """Has none to tie: where the head is the embedding, the rung itself says so."""

    def forward(
        self,
        input_ids: Tensor,
        cache: TextCache | None = None,
        attention_mask: Tensor | None = None,
        past_key_values: TextCache | None = None,
        use_cache: bool | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> CausalLMOutputWithPast:
        """input_ids (B, T) to logits (B, T, V); with a cache they follow what it holds. Any other argument is an error.

        Raises:
            ValueError: more tokens than fit into a block, or padding, which a rung has no mask for.
        """
        if attention_mask is not None and not bool(attention_mask.all()):
            raise ValueError("padding can't be masked: give texts of one length, or one at a time")
        cache = past_key_values if cache is None else cache
        if cache is None and use_cache and isinstance(self.net, CachedNetwork):
            cache = TextCache(self.net.block_size)
        length = input_ids.shape[1] + (cache.length if cache is not None else 0)
        if length > self.net.block_size:
            raise ValueError(f"{length} tokens do not fit into a block of {self.net.block_size}")
        if cache is None:
            logits = self.net(input_ids)
        else:
            logits = self.net(input_ids, cache)
            cache.seen += input_ids.shape[1]
        loss = None
        if labels is not None:  # (B, T), the ids themselves: each is guessed from those before it
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
        return CausalLMOutputWithPast(loss=loss, logits=logits, **{CACHE: cache})

    def prepare_inputs_for_generation(self, input_ids: Tensor, **options: Any) -> dict[str, Any]:
        """Picks what is to be read next of the text so far, input_ids (B, N)."""
        mask, size = options.get("attention_mask"), self.net.block_size
        if not options.get("use_cache") or not isinstance(self.net, CachedNetwork):
            return {"input_ids": input_ids[:, -size:], "attention_mask": mask, "use_cache": False}
        # by its kind, not by its name, which transformers has changed before
        cache = next((value for value in options.values() if isinstance(value, TextCache)), None)
        unread = input_ids[:, -size:] if cache is None else input_ids[:, cache.seen :]
        if cache is not None and cache.length + unread.shape[1] > size:
            cache, unread = None, input_ids[:, -max(1, size // 2) :]
        if cache is None:
            cache = TextCache(size, input_ids.shape[1] - unread.shape[1])
        return {"input_ids": unread, "attention_mask": mask, "cache": cache, "use_cache": True}
