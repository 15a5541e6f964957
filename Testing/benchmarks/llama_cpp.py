"""How fast llama.cpp decodes with matrices of the same sizes and bits, for comparison::

    python Testing/benchmarks/llama_cpp.py --bits 8 --layers 4 --threads 1

Needs the packages ``gguf`` and ``xllamacpp`` in an environment of their own (this program imports
nothing of ours).  Writes a model of the architecture ``llama`` whose matrices hold as many numbers
as Phi-3-mini's, with random weights in Q8_0, Q4_0 or BF16, and asks llama.cpp's server for tokens.
Reported is the time between tokens, of the wall and of the processor.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import xllamacpp

WIDTH, INNER, HEADS, WORDS = 3072, 8192, 32, 32064
KINDS = {
    4: gguf.GGMLQuantizationType.Q4_0,
    8: gguf.GGMLQuantizationType.Q8_0,
    16: gguf.GGMLQuantizationType.BF16,
}
#: bytes of a block of 32 weights
BLOCK_BYTES = {4: 18, 8: 34, 16: 64}


def write(path: Path, layers: int, bits: int) -> int:
    """Write the model; returns the bytes that one token reads."""
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(4096)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(WORDS)
    writer.add_tokenizer_model("llama")
    special = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    writer.add_token_list([*special, *(f"w{i}" for i in range(WORDS - len(special)))])
    writer.add_token_scores([0.0] * WORDS)
    writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * (WORDS - len(special)))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    read = 0

    def matrix(name: str, rows: int, columns: int) -> None:
        nonlocal read
        blocks = columns // 32
        raw = rng.integers(0, 256, (rows, blocks, BLOCK_BYTES[bits]), dtype=np.uint8)
        if bits == 16:
            raw = raw.view(np.uint16)
            raw = (raw & 0x807F) | 0x3C00  # of the size of 0.01
            data: Any = raw.reshape(rows, -1).view(np.uint8)
        else:
            raw[..., :2] = np.frombuffer(np.float16(0.0005).tobytes(), dtype=np.uint8)
            data = raw.reshape(rows, -1)
        writer.add_tensor(name, data, raw_dtype=KINDS[bits])
        if name != "token_embd.weight":
            read += data.nbytes

    def ones(name: str) -> None:
        writer.add_tensor(name, np.ones(WIDTH, dtype=np.float32))

    matrix("token_embd.weight", WORDS, WIDTH)
    for layer in range(layers):
        block = f"blk.{layer}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            matrix(f"{block}.{name}.weight", WIDTH, WIDTH)
        for name in ("ffn_gate", "ffn_up"):
            matrix(f"{block}.{name}.weight", INNER, WIDTH)
        matrix(f"{block}.ffn_down.weight", WIDTH, INNER)
        ones(f"{block}.attn_norm.weight")
        ones(f"{block}.ffn_norm.weight")
    ones("output_norm.weight")
    matrix("output.weight", WORDS, WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return read


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Write, load, ask."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        read = write(path, arguments.layers, arguments.bits)
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx = 1024
        parameters.warmup = True
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = arguments.threads
        server = xllamacpp.Server(parameters)
        cpu: list[float] = []

        def ask(tokens: int) -> dict[str, Any]:
            start = time.process_time()
            prompt = [1, *range(300, 300 + arguments.prompt - 1)]
            answer = server.handle_completions(
                {
                    "prompt": prompt,
                    "n_predict": tokens,
                    "temperature": 0,
                    "ignore_eos": True,
                    "cache_prompt": False,
                }
            )
            cpu.append(time.process_time() - start)
            result: dict[str, Any] = answer if isinstance(answer, dict) else json.loads(answer)
            return result

        ask(1)
        answer = ask(1 + arguments.tokens)
    per_token = (cpu[1] - cpu[0]) / arguments.tokens
    return {
        "bits": arguments.bits,
        "layers": arguments.layers,
        "threads": arguments.threads,
        "llama_cpp": str(xllamacpp.BUILD_INFO),
        "system": xllamacpp.get_system_info(),
        "bytes_read_per_token": read,
        "cpu_seconds_per_token": per_token,
        "wall_tokens_per_second": answer.get("timings", {}).get("predicted_per_second"),
    }


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("::", maxsplit=1)[0])
    parser.add_argument("--bits", type=int, default=8, choices=tuple(KINDS))
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=572)
    parser.add_argument("--tokens", type=int, default=16)
    print(json.dumps(measure(parser.parse_args()), indent=2))


if __name__ == "__main__":
    main()
