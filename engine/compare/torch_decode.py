"""Milliseconds a decoded token: eager PyTorch with a KV cache against `continuo bench`.

The same weights (those of a model's `plain` variant, read from its ONNX file), the same window,
one thread, in turn on the same machine. PyTorch runs the network as one would write it: its own
`scaled_dot_product_attention` and `rms_norm`, keys and values written in place into a buffer of
twice the window (no concatenation), `inference_mode`, greedy choice; where there is a kNN memory,
it is full, and one matrix product and `topk` search it. Continuo's time has everything a token
costs: grammar, sampling, memory; its memory is full too.

    pip install torch onnx onnxruntime
    cargo build --release -p continuo-command
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


# What keeps a vector of length one from a division by zero; as the trainer has it.
UNIT_EPSILON = 1e-6
# Rows of what each token is told of the notes that sound, and the one that adds nothing: as in
# score/src/sounding.rs.
SLOTS, NOTHING = 16, 448


class Decoder:
    """The network, one token at a time."""

    def __init__(self, directory, memories=None):
        about = json.loads((directory / "model.json").read_text())
        self.sizes, self.window, self.knn = about["sizes"], about["window"], about.get("knn")
        self.files = [directory / name for name in about["variants"]["plain"]["graphs"]]
        arrays = {
            i.name: onnx.numpy_helper.to_array(i)
            for file in self.files
            for i in onnx.load(file).graph.initializer
        }
        self.weights = {
            name: torch.tensor(array)
            for name, array in arrays.items()
            if name.startswith(("embedding.", "layers.", "norm"))
        }
        dim = self.sizes["head_dim"]
        # By how much each pair turns with a token, a step, a semitone; the last two where told.
        names = [f"rotary.{name}" for name in ("position", "step", "pitch")]
        self.rotary = torch.stack([torch.tensor(arrays[n]).flatten() for n in names if n in arrays])
        self.cache = []
        for layer in range(self.sizes["layers"]):
            heads = 1 if self.recalls(layer) else self.sizes["heads"]
            shape = (1, heads, 2 * self.window, dim)
            self.cache.append((torch.zeros(shape), torch.zeros(shape)))
        # `end` is where the next token is written; what is seen are the last `window`.
        self.position = self.end = 0
        # What left the window, oldest first; a ring would do, this is only ever filled once.
        self.memories = 0
        if self.knn:
            self.capacity = memories or self.knn["capacity"]
            self.keys, self.values = (torch.zeros(2, self.capacity, dim)).unbind()

    def recalls(self, layer):
        return bool(self.knn) and layer == self.knn["layer"]

    def remember_random(self):
        """Fills the memory, as a long session would have."""
        generator = torch.Generator().manual_seed(1)
        random = torch.randn(self.keys.shape, generator=generator)
        self.keys[:] = F.normalize(random, dim=-1)
        self.values[:] = torch.randn(self.keys.shape, generator=generator)
        self.memories = self.capacity

    def weight(self, layer, name):
        return self.weights[f"layers.{layer}.{name}"]

    def norm(self, x, gain):
        return F.rms_norm(x, (x.shape[-1],), gain.flatten(), 1e-5)

    def rotate(self, x, cos, sin):
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)

    @torch.inference_mode()
    def step(self, token, bar_step, bar, metre, sounding, at):
        """Logits `[vocabulary]` after one more token."""
        sizes, table = self.sizes, self.weights["embedding.pitched"]
        heads, dim = sizes["heads"], sizes["head_dim"]
        if self.end == 2 * self.window:
            keep = self.window
            for key, value in self.cache:
                key[:, :, :keep] = key[:, :, -keep:].clone()
                value[:, :, :keep] = value[:, :, -keep:].clone()
            self.end = keep
        turned = torch.tensor((self.position, *at)[: len(self.rotary)], dtype=torch.float64)
        angle = turned @ self.rotary
        cos, sin = angle.cos().float(), angle.sin().float()
        begin = max(0, self.end + 1 - self.window)
        h = table[token] + self.weights["embedding.bar_step"][bar_step]
        h = h + self.weights["embedding.bar"][bar] + self.weights["embedding.metre"][metre]
        if "embedding.sounding" in self.weights:
            h = h + self.weights["embedding.sounding"][list(sounding)].sum(0)
        h = h.view(1, 1, -1)
        for layer, (keys, values) in enumerate(self.cache):
            x = self.norm(h, self.weight(layer, "attention.norm"))
            qkv = x @ self.weight(layer, "attention.qkv")
            recalls = self.recalls(layer)
            kv_heads = 1 if recalls else heads
            widths = [heads * dim, kv_heads * dim, kv_heads * dim]
            query, key, value = (
                part.view(1, -1, 1, dim) for part in qkv.split(widths, dim=-1)
            )
            if recalls:
                query, key = self.unit(query), self.unit(key)
            else:
                query, key = self.rotate(query, cos, sin), self.rotate(key, cos, sin)
            keys[:, :, self.end] = key[:, :, 0]
            values[:, :, self.end] = value[:, :, 0]
            seen = slice(begin, self.end + 1)
            if recalls:
                scale = self.weight(layer, "attention.recall_scale").view(1, heads, 1, 1)
                mixed = F.scaled_dot_product_attention(
                    query * scale,
                    keys[:, :, seen].expand(-1, heads, -1, -1),
                    values[:, :, seen].expand(-1, heads, -1, -1),
                    scale=1.0,
                )
                mixed = self.recall(layer, x, query[0, :, 0], mixed[0, :, 0]).view(1, 1, -1)
            else:
                mixed = F.scaled_dot_product_attention(
                    query, keys[:, :, seen], values[:, :, seen]
                )
                mixed = mixed.transpose(1, 2).reshape(1, 1, -1)
            h = h + mixed @ self.weight(layer, "attention.out")
            x = self.norm(h, self.weight(layer, "feed_forward.norm"))
            gate, up = (x @ self.weight(layer, "feed_forward.gate_up")).chunk(2, dim=-1)
            h = h + (F.silu(gate) * up) @ self.weight(layer, "feed_forward.down")
        self.position += 1
        self.end += 1
        return (self.norm(h, self.weights["norm"]) @ table.T)[0, 0]

    def unit(self, x):
        return x / (x.square().sum(-1, keepdim=True) + UNIT_EPSILON).sqrt()

    def recall(self, layer, x, query, local):
        """`local` `[heads, dim]` mixed with the nearest of what has left the window."""
        keys, values = self.cache[layer]
        out = self.end - self.window
        if out >= 0 and self.memories < self.capacity:
            self.keys[self.memories] = keys[0, 0, out]
            self.values[self.memories] = values[0, 0, out]
            self.memories += 1
        if self.memories == 0:
            return local
        scores = query @ self.keys[: self.memories].T
        best, at = scores.topk(min(self.knn["k"], self.memories), dim=-1)
        scale = self.weight(layer, "attention.recall_scale")
        weights = (best * scale).softmax(-1)
        recalled = (weights.unsqueeze(1) @ self.values[at]).squeeze(1)
        gate = (x[0, 0] @ self.weight(layer, "attention.recall_gate")).flatten()
        gate = gate + self.weight(layer, "attention.recall_bias").flatten()
        near = self.weight(layer, "attention.recall_best").flatten()
        gate = torch.sigmoid(gate + near * best[:, 0].clamp(-1, 1))
        return local + gate.unsqueeze(1) * (recalled - local)


def tokens(sizes, count, seed):
    """Random tokens with rows of a time grid that goes on, of notes that sound, the step and a pitch."""
    rng = numpy.random.default_rng(seed)
    for i in range(count):
        step = 3 * i
        yield (
            int(rng.integers(sizes["vocabulary"])),
            step % 48 % sizes["bar_steps"],
            step // 48 % sizes["bars"],
            min(48, sizes["bar_steps"] - 1),
            # A chord of four, the time until it ends, and the row that adds nothing.
            tuple(rng.choice(384, 4, replace=False)) + (400,) + (NOTHING,) * (SLOTS - 5),
            (step, int(rng.integers(128))),
        )


def largest_difference(decoder, count):
    """Of two logits, PyTorch's and ONNX Runtime's, the latter fed everything at once."""
    sizes = decoder.sizes
    rows = list(tokens(sizes, count, 1))
    ours = torch.stack([decoder.step(*row) for row in rows]).numpy()
    columns = numpy.array([row[:4] for row in rows], dtype=numpy.int64).T
    names = ["token", "bar_step", "bar", "metre"]
    given = {name: columns[i : i + 1] for i, name in enumerate(names)}
    given["sounding"] = numpy.array([[row[4] for row in rows]], dtype=numpy.int64)
    given["position"] = numpy.arange(count, dtype=numpy.int64)
    given["step"], given["pitch"] = numpy.array([row[5] for row in rows], dtype=numpy.int64).T
    given["recall"] = numpy.ones(1, numpy.float32)
    for layer in range(sizes["layers"]):
        heads = 1 if decoder.recalls(layer) else sizes["heads"]
        empty = numpy.zeros((1, heads, 0, sizes["head_dim"]), numpy.float32)
        given[f"past_key.{layer}"] = given[f"past_value.{layer}"] = empty
    for file in decoder.files:
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        feed = {i.name: given[i.name] for i in session.get_inputs()}
        given.update(zip((o.name for o in session.get_outputs()), session.run(None, feed)))
        if "query" in given and "score" not in given:
            given["score"], given["memory"] = nearest(decoder, given)
    return float(numpy.abs(ours - given["logits"][0]).max())


def nearest(decoder, given):
    """What every token recalls of those that have left its window."""
    k, layer = decoder.knn["k"], decoder.knn["layer"]
    query, keys = given["query"][0], given[f"key.{layer}"][0, 0]
    count, heads, dim = query.shape
    score = numpy.full((1, count, heads, k), -1e30, numpy.float32)
    memory = numpy.zeros((1, count, heads, k, dim), numpy.float32)
    for token in range(decoder.window, count):
        scores = query[token] @ keys[: token + 1 - decoder.window].T
        at = numpy.argsort(-scores, axis=-1)[:, :k]
        found = at.shape[1]
        score[0, token, :, :found] = numpy.take_along_axis(scores, at, axis=-1)
        memory[0, token, :, :found] = given[f"value.{layer}"][0, 0][at]
    return score, memory


def torch_times(directory, count, memories):
    """Milliseconds of each of `count` tokens, window and memory full."""
    decoder = Decoder(directory, memories)
    if decoder.knn:
        decoder.remember_random()
    for row in tokens(decoder.sizes, decoder.window + 20, 2):
        logits = decoder.step(*row)
    times = []
    for _, *row in tokens(decoder.sizes, count, 3):
        started = time.perf_counter()
        logits = decoder.step(int(logits.argmax()), *row)
        times.append((time.perf_counter() - started) * 1e3)
    return times


def continuo_times(command, directory, count, notes, memories):
    """What `continuo bench` says of a session of so many notes."""
    command = [command, "bench", "--json", "--model", directory]
    command += ["--notes", str(notes), "--tokens", str(count), "--threads", "1"]
    if memories:
        command += ["--memories", str(memories)]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return report["variant"], report["sessions"][0]["decode_ms"]


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", type=pathlib.Path, default="models/default")
    options.add_argument("--continuo", default="target/release/continuo")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--tokens", type=int, default=500)
    options.add_argument("--notes", type=int, default=1000, help="notes that Continuo has heard")
    options.add_argument("--memories", type=int, help="[default: the model's capacity]")
    options = options.parse_args()
    torch.set_num_threads(1)

    decoder = Decoder(options.model)
    difference = largest_difference(decoder, decoder.window + 200)
    print(f"PyTorch {torch.__version__}, one thread; logits within {difference:.1e} of ONNX Runtime's")
    print("| round | PyTorch eager, ms a token: median | p95 | Continuo: median | p95 | ratio of medians |")
    print("|---|---|---|---|---|---|")
    ratios = []
    for number in range(1, options.rounds + 1):
        theirs = torch_times(options.model, options.tokens, options.memories)
        variant, ours = continuo_times(
            options.continuo, options.model, options.tokens, options.notes, options.memories
        )
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
