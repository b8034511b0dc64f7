"""Milliseconds a decoded token: eager PyTorch with a KV cache against `continuo bench`.

The same weights (those of a model's `plain` variant, read from its ONNX file), the same window,
one thread, in turn on the same machine. PyTorch runs the network as one would write it: its own
`scaled_dot_product_attention` and `rms_norm`, keys and values written in place into a buffer of
twice the window (no concatenation), `inference_mode`, greedy choice. Continuo's time has
everything a token costs: grammar, sampling, memory.

    pip install torch onnx onnxruntime
    cargo build --release -p continuo-engine
    python engine/compare/torch_decode.py --model models/default --rounds 5

Before timing, PyTorch's logits are compared with ONNX Runtime's on random tokens.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import time

import numpy
import onnx
import onnxruntime
import torch
import torch.nn.functional as F


class Decoder:
    """The network, one token at a time."""

    def __init__(self, directory):
        about = json.loads((directory / "model.json").read_text())
        if about.get("knn"):
            raise SystemExit(f"{directory}: has a kNN memory; this compares models without one")
        self.sizes, self.window = about["sizes"], about["window"]
        self.file = directory / about["variants"]["plain"]["graphs"][0]
        graph = onnx.load(self.file).graph
        arrays = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
        self.weights = {
            name: torch.tensor(array)
            for name, array in arrays.items()
            if name.startswith(("embedding.", "layers.", "norm"))
        }
        head_dim = self.sizes["head_dim"]
        self.frequencies = torch.tensor(arrays["rotary"]).flatten()
        shape = (1, self.sizes["heads"], 2 * self.window, head_dim)
        layers = range(self.sizes["layers"])
        self.cache = [(torch.zeros(shape), torch.zeros(shape)) for _ in layers]
        # `end` is where the next token is written; what is seen are the last `window`.
        self.position = self.end = 0

    def weight(self, layer, name):
        return self.weights[f"layers.{layer}.{name}"]

    def norm(self, x, gain):
        return F.rms_norm(x, (x.shape[-1],), gain.flatten(), 1e-5)

    def rotate(self, x, cos, sin):
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)

    @torch.inference_mode()
    def step(self, token, bar_step, bar, metre):
        """Logits `[vocabulary]` after one more token."""
        sizes, table = self.sizes, self.weights["embedding.pitched"]
        heads, dim = sizes["heads"], sizes["head_dim"]
        if self.end == 2 * self.window:
            keep = self.window - 1
            for key, value in self.cache:
                key[:, :, :keep] = key[:, :, -keep:].clone()
                value[:, :, :keep] = value[:, :, -keep:].clone()
            self.end = keep
        angle = self.position * self.frequencies
        cos, sin = angle.cos().float(), angle.sin().float()
        begin = max(0, self.end + 1 - self.window)
        h = table[token] + self.weights["embedding.bar_step"][bar_step]
        h = h + self.weights["embedding.bar"][bar] + self.weights["embedding.metre"][metre]
        h = h.view(1, 1, -1)
        for layer, (keys, values) in enumerate(self.cache):
            x = self.norm(h, self.weight(layer, "attention.norm"))
            qkv = (x @ self.weight(layer, "attention.qkv")).view(1, 1, 3, heads, dim)
            query, key, value = qkv.permute(2, 0, 3, 1, 4)
            keys[:, :, self.end] = self.rotate(key, cos, sin)[:, :, 0]
            values[:, :, self.end] = value[:, :, 0]
            mixed = F.scaled_dot_product_attention(
                self.rotate(query, cos, sin),
                keys[:, :, begin : self.end + 1],
                values[:, :, begin : self.end + 1],
            )
            mixed = mixed.transpose(1, 2).reshape(1, 1, -1)
            h = h + mixed @ self.weight(layer, "attention.out")
            x = self.norm(h, self.weight(layer, "feed_forward.norm"))
            gate, up = (x @ self.weight(layer, "feed_forward.gate_up")).chunk(2, dim=-1)
            h = h + (F.silu(gate) * up) @ self.weight(layer, "feed_forward.down")
        self.position += 1
        self.end += 1
        return (self.norm(h, self.weights["norm"]) @ table.T)[0, 0]


def tokens(sizes, count, seed):
    """Random tokens with rows of a time grid that goes on."""
    rng = numpy.random.default_rng(seed)
    for i in range(count):
        step = 3 * i
        yield (
            int(rng.integers(sizes["vocabulary"])),
            step % 48 % sizes["bar_steps"],
            step // 48 % sizes["bars"],
            min(48, sizes["bar_steps"] - 1),
        )


def largest_difference(decoder, count):
    """Of two logits, PyTorch's and ONNX Runtime's, the latter fed everything at once."""
    sizes = decoder.sizes
    rows = list(tokens(sizes, count, 1))
    ours = torch.stack([decoder.step(*row) for row in rows]).numpy()
    session = onnxruntime.InferenceSession(decoder.file, providers=["CPUExecutionProvider"])
    columns = numpy.array(rows, dtype=numpy.int64).T
    feed = {
        name: columns[i : i + 1]
        for i, name in enumerate(["token", "bar_step", "bar", "metre"])
    }
    feed["position"] = numpy.arange(count, dtype=numpy.int64)
    empty = numpy.zeros((1, sizes["heads"], 0, sizes["head_dim"]), numpy.float32)
    for layer in range(sizes["layers"]):
        feed[f"past_key.{layer}"] = feed[f"past_value.{layer}"] = empty
    (theirs,) = session.run(["logits"], feed)
    return float(numpy.abs(ours - theirs[0]).max())


def torch_times(directory, count):
    """Milliseconds of each of `count` tokens, the window full."""
    decoder = Decoder(directory)
    for row in tokens(decoder.sizes, decoder.window + 20, 2):
        logits = decoder.step(*row)
    times = []
    for _, *row in tokens(decoder.sizes, count, 3):
        started = time.perf_counter()
        logits = decoder.step(int(logits.argmax()), *row)
        times.append((time.perf_counter() - started) * 1e3)
    return times


def continuo_times(command, directory, count):
    """What `continuo bench` says of a session of 1,000 notes."""
    command = [command, "bench", "--json", "--model", directory]
    command += ["--notes", "1000", "--tokens", str(count), "--threads", "1"]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return report["variant"], report["sessions"][0]["decode_ms"]


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", type=pathlib.Path, default="models/default")
    options.add_argument("--continuo", default="target/release/continuo")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--tokens", type=int, default=500)
    options = options.parse_args()
    torch.set_num_threads(1)

    decoder = Decoder(options.model)
    difference = largest_difference(decoder, decoder.window + 200)
    print(f"PyTorch {torch.__version__}, one thread; logits within {difference:.1e} of ONNX Runtime's")
    print("| round | PyTorch eager, ms a token: median | p95 | Continuo: median | p95 | ratio of medians |")
    print("|---|---|---|---|---|---|")
    ratios = []
    for number in range(1, options.rounds + 1):
        theirs = torch_times(options.model, options.tokens)
        variant, ours = continuo_times(options.continuo, options.model, options.tokens)
        median, p95 = statistics.median(theirs), sorted(theirs)[len(theirs) * 95 // 100]
        ratios.append(median / ours["median"])
        print(
            f"| {number} | {median:.2f} | {p95:.2f} | {ours['median']:.2f} | {ours['p95']:.2f} "
            f"| {ratios[-1]:.1f} |",
            flush=True,
        )
    print(f"median ratio {statistics.median(ratios):.1f}, Continuo with the {variant} variant")


if __name__ == "__main__":
    main()
