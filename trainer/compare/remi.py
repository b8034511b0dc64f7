"""Nats a note on the same songs, after the same time on the same machine: the trainer's network against a plain
GPT of its size on MidiTok's REMI tokens, in PyTorch.

The GPT is the usual one: learned positions, LayerNorm, GELU, dense causal attention over 512 tokens
(`scaled_dot_product_attention`), tied head, AdamW, warm-up and cosine by time, clipping, random pieces of the
songs, transposition by up to 6 semitones. All tracks but drums are one, as the trainer has them; 12 positions a
beat, durations to 16 beats, 16 velocities, time signatures, as the `continuo` vocabulary has them.

    pip install torch miditok symusic numpy
    python trainer/compare/ablate.py --data DATA/train --output ablations base      # makes ablations/train, /held
    python trainer/compare/remi.py --songs ablations/train --held ablations/held --output remi --minutes 30 &
    continuo-trainer train --corpus ablations/continuo.train.corpus -o ours --minutes 30 --threads 1
    continuo-trainer eval --checkpoint ours --corpus ablations/continuo.held.corpus

Measured is every token of every held-out song but those that state a time signature (the trainer's network is
told the metre, so the GPT shall not pay for it), each with at least half a context before it where the song has
that much. Minutes are those of training steps. Interrupted, it goes on from its checkpoint.
"""

import argparse
import json
import math
import pathlib
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import symusic
import torch
import torch.nn.functional as F
from miditok import REMI, TokenizerConfig
from torch import nn

LAYERS, WIDTH, HEADS, CONTEXT, LANES = 4, 256, 4, 512, 4
SHARE_OF_WARM_UP, FLOOR = 0.03, 0.02


def tokenizer():
    beats = {8: list(range(1, 25)), 4: list(range(1, 13)), 2: [1, 2, 3, 4, 5, 6], 16: list(range(1, 25))}
    config = TokenizerConfig(
        pitch_range=(0, 127), beat_res={(0, 16): 12}, num_velocities=16, use_programs=False, use_time_signatures=True,
        time_signature_range=beats, remove_duplicated_notes=True,
    )
    return REMI(config)


def encode(path):
    try:
        score = symusic.Score(str(path))
        piano = symusic.Track(program=0, is_drum=False)
        for track in score.tracks:
            if not track.is_drum:
                piano.notes.extend(track.notes)
        if len(piano.notes) < 16:
            return None
        score.tracks = [piano]
        sequences = encode.tokenizer(score)
        ids = (sequences[0] if isinstance(sequences, list) else sequences).ids
        return np.array(ids, dtype=np.int16)
    except Exception as error:  # A file neither can read is left out by both.
        print(f"{path}: {error}")
        return None


def start():
    encode.tokenizer = tokenizer()


def songs(folder, cache):
    """All songs of a folder as one array of ids, and where each begins and the last ends."""
    if not cache.exists():
        files = sorted(folder.rglob("*.mid"))
        with ProcessPoolExecutor(initializer=start) as pool:
            encoded = [ids for ids in pool.map(encode, files, chunksize=32) if ids is not None]
        offsets = np.cumsum([0] + [len(ids) for ids in encoded])
        np.savez(cache, ids=np.concatenate(encoded), offsets=offsets)
    stored = np.load(cache)
    return stored["ids"], stored["offsets"]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, h):
        lanes, length, _ = h.shape
        q, k, v = self.qkv(self.norm1(h)).view(lanes, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.out(mixed.transpose(1, 2).reshape(lanes, length, WIDTH))
        return h + self.down(F.gelu(self.up(self.norm2(h))))


class GPT(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                residual = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * LAYERS) if residual else 0.02)

    def forward(self, ids):
        h = self.token(ids) + self.position.weight[: ids.shape[1]]
        for block in self.blocks:
            h = block(h)
        return self.norm(h) @ self.token.weight.T


class Pieces:
    """Random pieces of the songs, transposed."""

    def __init__(self, ids, offsets, pitches, seed):
        self.ids, self.random = ids, np.random.default_rng(seed)
        self.first, self.last = pitches
        self.limits = offsets

    def next(self):
        rows = []
        for _ in range(LANES):
            at = self.random.integers(0, len(self.ids) - CONTEXT - 1)
            row = self.ids[at : at + CONTEXT + 1].astype(np.int64)
            is_pitch = (row >= self.first) & (row <= self.last)
            heard = row[is_pitch]
            if len(heard):
                low, high = max(-6, self.first - heard.min()), min(6, self.last - heard.max())
                row = row + is_pitch * self.random.integers(low, high + 1)
            rows.append(row)
        rows = torch.from_numpy(np.stack(rows))
        return rows[:, :-1], rows[:, 1:]


def measure(model, ids, offsets, names):
    """Nats and notes of all songs; the first token of a song is given."""
    model.eval()
    nats = notes = 0
    free = torch.tensor([name.startswith("TimeSig") for name in names])
    is_note = np.array([name.startswith("Pitch") for name in names])
    with torch.no_grad():
        for begin, end in zip(offsets[:-1], offsets[1:]):
            song = torch.from_numpy(ids[begin:end].astype(np.int64))
            notes += int(is_note[song.numpy()].sum())
            done = 1
            while done < len(song):
                first = max(0, done - 1 - CONTEXT // 2) if done > 1 else 0
                part = song[first : first + CONTEXT + 1]
                loss = F.cross_entropy(model(part[None, :-1])[0], part[1:], reduction="none")
                fresh = slice(done - first - 1, None)
                nats += float((loss[fresh] * ~free[part[1:][fresh]]).sum())
                done = first + len(part)
    model.train()
    return nats, notes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--songs", type=pathlib.Path, required=True)
    parser.add_argument("--held", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--encode-only", action="store_true")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    a.output.mkdir(parents=True, exist_ok=True)
    remi = tokenizer()
    names = {i: name for name, i in remi.vocab.items()}
    names = [names[i] for i in range(len(names))]
    pitches = [i for i, name in enumerate(names) if name.startswith("Pitch_")]
    ids, offsets = songs(a.songs, a.output / "songs.npz")
    held, held_offsets = songs(a.held, a.output / "held.npz")
    notes = sum(map(set(pitches).__contains__, held.tolist()))
    print(f"{len(offsets) - 1} songs, {len(ids)} tokens; held out {len(held_offsets) - 1}, {len(held)}, {notes} notes", flush=True)
    if a.encode_only:
        return
    model = GPT(len(names))
    decayed = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=a.lr, betas=(0.9, 0.95))
    saved, steps, seconds = a.output / "checkpoint.pt", 0, 0.0
    if saved.exists():
        state = torch.load(saved)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        steps, seconds = state["steps"], state["seconds"]
    pieces = Pieces(ids, offsets, (pitches[0], pitches[-1]), 1 + steps)
    parameters = sum(p.numel() for p in model.parameters())
    smooth, said = None, time.monotonic()
    while seconds < 60 * a.minutes:
        now = time.perf_counter()
        spent = seconds / (60 * a.minutes)
        through = (spent - SHARE_OF_WARM_UP) / (1 - SHARE_OF_WARM_UP)
        cosine = FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * through))
        rate = a.lr * (max(spent / SHARE_OF_WARM_UP, 0.01) if through < 0 else cosine)
        for group in optimiser.param_groups:
            group["lr"] = rate
        inputs, targets = pieces.next()
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        steps += 1
        smooth = loss.item() if smooth is None else smooth + 0.02 * (loss.item() - smooth)
        seconds += time.perf_counter() - now
        if time.monotonic() - said > 60:
            said = time.monotonic()
            tokens = steps * LANES * CONTEXT
            print(f"step {steps}  loss {smooth:.3f} nats/token  {tokens / seconds:.0f} tokens/s  {seconds / 60:.1f} minutes", flush=True)
            torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "steps": steps, "seconds": seconds}, saved)
    torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "steps": steps, "seconds": seconds}, saved)
    nats, notes = measure(model, held, held_offsets, names)
    result = {"parameters": parameters, "minutes": a.minutes, "steps": steps, "tokens": steps * LANES * CONTEXT, "songs": len(held_offsets) - 1, "notes": notes, "nats_per_note": nats / notes}
    (a.output / "result.json").write_text(json.dumps(result, indent=2))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
