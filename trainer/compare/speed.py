"""Tokens a second of a training step: the trainer against PyTorch, in turn, on the same machine.

The model is the trainer's (src/model) without its kNN memory: pre-norm, RMSNorm, rotary positions,
XL memory of `window - 1` tokens, SwiGLU, tied head, six embeddings; AdamW, clipping. Attention is
`scaled_dot_product_attention` with the trainer's mask. Both run eager, in float32 on the CPU, in
bfloat16 (autocast) on a GPU.

    pip install torch
    cargo build --release -p continuo-trainer
    python trainer/compare/speed.py --corpus songs.corpus --preset small --threads 2 --rounds 3
    python trainer/compare/speed.py --corpus songs.corpus --preset base --device cuda

Each round runs the trainer, then PyTorch, for the same number of steps; the table has every round
and the median of their ratios. The first steps of each are left out of PyTorch's time (warm-up),
and are in the trainer's.
"""

import argparse
import re
import statistics
import subprocess
import tempfile
import time

import torch
import torch.nn.functional as F
from torch import nn

# layers, width, heads, head_dim, feed_forward, window, segment, batch rows: trainer/src/train/config.rs.
PRESETS = {
    "tiny": (2, 32, 2, 16, 64, 16, 16, 4),
    "small": (4, 256, 4, 64, 704, 384, 64, 32),
    "base": (8, 512, 8, 64, 1376, 512, 512, 32),
    "large": (16, 768, 12, 64, 2048, 1024, 1024, 64),
}
VOCABULARY, BAR_STEPS, BARS, PITCH_FEATURES, SOUNDING = 340, 192, 16, 23, 448
STEPS_PER_BEAT = 12


def rms_norm(x, gain):
    return x * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-5).to(x.dtype) * gain


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def rotary(head_dim, device):
    """Angles of each pair per token, step and semitone: trainer/src/model/rotary.rs."""
    pairs = torch.arange(head_dim // 2, device=device, dtype=torch.float64)
    token = 10000.0 ** (-2 * pairs / head_dim)
    turns = torch.tensor([12.0, 24.0, 6.0, 48.0, 4.0, 3.0, 2.4, 96.0], device=device, dtype=torch.float64)
    late = pairs - head_dim // 4
    turn = (late // 2).clamp(min=0).long()
    step = 2 * torch.pi / (2.0**turn * STEPS_PER_BEAT)
    semitone = 2 * torch.pi / turns[turn % len(turns)]
    zero = torch.zeros_like(pairs)
    return (
        torch.where(late < 0, token, zero),
        torch.where((late >= 0) & (late % 2 == 0), step, zero),
        torch.where((late >= 0) & (late % 2 == 1), semitone, zero),
    )


class Layer(nn.Module):
    def __init__(self, width, heads, head_dim, feed_forward):
        super().__init__()
        inner = heads * head_dim
        self.heads, self.head_dim = heads, head_dim
        self.norm1, self.norm2 = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))
        self.qkv = nn.Linear(width, 3 * inner, bias=False)
        self.out = nn.Linear(inner, width, bias=False)
        self.gate_up = nn.Linear(width, 2 * feed_forward, bias=False)
        self.down = nn.Linear(feed_forward, width, bias=False)

    def forward(self, h, past, cos, sin, mask, keep):
        lanes, length, _ = h.shape
        qkv = self.qkv(rms_norm(h, self.norm1))
        q, k, v = qkv.view(lanes, length, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        h = h + self.out(mixed.transpose(1, 2).reshape(lanes, length, -1))
        gate, up = self.gate_up(rms_norm(h, self.norm2)).chunk(2, -1)
        h = h + self.down(F.silu(gate) * up)
        return h, (k[:, :, -keep:].detach(), v[:, :, -keep:].detach())


class Model(nn.Module):
    def __init__(self, layers, width, heads, head_dim, feed_forward, window):
        super().__init__()
        self.window, self.head_dim = window, head_dim
        scale = lambda rows: nn.Parameter(torch.randn(rows, width) * 0.05)
        self.token, self.pitch = scale(VOCABULARY), scale(PITCH_FEATURES)
        self.bar_step, self.bar, self.metre = scale(BAR_STEPS), scale(BARS), scale(BAR_STEPS)
        self.sounding = scale(SOUNDING)
        self.register_buffer("features", torch.zeros(VOCABULARY, PITCH_FEATURES))
        made = [Layer(width, heads, head_dim, feed_forward) for _ in range(layers)]
        self.layers = nn.ModuleList(made)
        self.norm = nn.Parameter(torch.ones(width))

    def forward(self, ids, rows, sounding, told, memory, position, began):
        lanes, length = ids.shape
        device = ids.device
        past = 0 if memory is None else memory[0][0].shape[2]
        table = self.token + self.features @ self.pitch
        h = F.embedding(ids, table) + F.embedding(rows[0], self.bar_step)
        h = h + F.embedding(rows[1], self.bar) + F.embedding(rows[2], self.metre)
        h = h + F.embedding_bag(sounding.flatten(0, 1), self.sounding, mode="sum").view(h.shape)
        at = torch.arange(position, position + length, device=device, dtype=torch.float64)
        token, step, semitone = rotary(self.head_dim, device)
        angle = at[None, :, None] * token + told[0][:, :, None] * step + told[1][:, :, None] * semitone
        angle = angle[:, None]
        dtype = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else h.dtype
        cos, sin = angle.cos().to(dtype), angle.sin().to(dtype)
        # A token sees the last `window` of its own song.
        query = torch.arange(position, position + length, device=device)[:, None]
        key = torch.arange(position - past, position + length, device=device)[None]
        near = (key <= query) & (key > query - self.window)
        mask = (near & (key[None] >= began[:, :, None]))[:, None]
        memories = []
        for i, layer in enumerate(self.layers):
            one = None if memory is None else memory[i]
            h, kept = layer(h, one, cos, sin, mask, self.window - 1)
            memories.append(kept)
        return rms_norm(h, self.norm) @ table.T.to(h.dtype), memories


def pytorch(preset, device, steps):
    layers, width, heads, head_dim, feed_forward, window, segment, lanes = PRESETS[preset]
    torch.manual_seed(1)
    model = Model(layers, width, heads, head_dim, feed_forward, window).to(device)
    fused = {"fused": True} if device == "cuda" else {}
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, **fused)
    draw = lambda most: torch.randint(0, most, (lanes, segment), device=device)
    began = torch.zeros(lanes, segment, dtype=torch.int64, device=device)
    memory, position, begun = None, 0, None
    warm_up = 3
    for step in range(steps + warm_up):
        if step == warm_up:
            if device == "cuda":
                torch.cuda.synchronize()
            begun = time.perf_counter()
        ids, targets = draw(VOCABULARY), draw(VOCABULARY)
        rows = draw(BAR_STEPS), draw(BARS), draw(BAR_STEPS)
        # A chord of four, and the time until the next note ends.
        sounding = torch.randint(0, SOUNDING, (lanes, segment, 5), device=device)
        # Steps since the piece began, and the latest pitch.
        told = draw(4).cumsum(1) + step * segment, draw(128)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            logits, memory = model(ids, rows, sounding, told, memory, position, began)
        loss = F.cross_entropy(logits.float().view(-1, VOCABULARY), targets.view(-1))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        loss.item()
        position += segment
    if device == "cuda":
        torch.cuda.synchronize()
    return steps * lanes * segment / (time.perf_counter() - begun)


def trainer(arguments, steps):
    with tempfile.TemporaryDirectory() as folder:
        command = [arguments.trainer, "train", "--corpus", arguments.corpus, "-o", folder + "/out"]
        command += ["--preset", arguments.preset, "--steps", str(steps), "--without-knn"]
        command += ["--threads", str(arguments.threads), "--device", arguments.device]
        command += ["--measure-every", "0", "--sample-every", "0"] + arguments.trainer_option
        subprocess.run(command, check=True, capture_output=True)
        last = open(folder + "/out/losses.csv").read().splitlines()[-1].split(",")
        return float(last[1]) / float(last[2])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--corpus", required=True, help="made by `continuo-trainer encode`")
    parser.add_argument("--preset", default="small", choices=PRESETS)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trainer", default="target/release/continuo-trainer")
    parser.add_argument("--trainer-option", action="append", default=[], help="such as --group=4")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{arguments.preset}, {arguments.device}, {arguments.threads} threads, PyTorch {torch.__version__}")
    ratios = []
    for round in range(arguments.rounds):
        ours = trainer(arguments, arguments.steps)
        theirs = pytorch(arguments.preset, arguments.device, arguments.steps)
        ratios.append(ours / theirs)
        print(f"round {round + 1}: trainer {ours:8.0f}, PyTorch {theirs:8.0f} tokens/s, {ratios[-1]:.2f} x")
    print(f"median {statistics.median(ratios):.2f} x")


if __name__ == "__main__":
    main()
