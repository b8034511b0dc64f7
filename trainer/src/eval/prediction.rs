//! Predictions of the model along a song.

use burn::tensor::Tensor;

use crate::data::corpus::Corpus;
use crate::model::{Input, Memory, MemoryMode, Model, cross_entropy};

/// Loss in nats of every token of a song but the first. Calls `progress` with the number of tokens
/// of each finished window.
pub(crate) fn song_losses(
    model: &Model,
    corpus: &Corpus,
    song: usize,
    mode: MemoryMode,
    progress: impl Fn(u64),
) -> Vec<f32> {
    let mut losses = Vec::with_capacity(corpus.songs[song].tokens as usize);
    predict(model, corpus, song, mode, |logits, targets| {
        losses.extend(cross_entropy(logits, targets).into_data().iter::<f32>());
        progress(targets.len() as u64);
    });
    losses
}

/// Predicts every token of a song but the first, and calls `each` with logits
/// `[tokens, vocabulary]` and target ids, a window at a time. The length of the pieces changes no
/// result, but with whole windows the model without XL memory does no superfluous work.
pub(crate) fn predict(
    model: &Model,
    corpus: &Corpus,
    song: usize,
    mode: MemoryMode,
    mut each: impl FnMut(Tensor<2>, &[u16]),
) {
    let inputs = corpus.songs[song].tokens as usize - 1;
    let chunk = model.config.shape.window;
    let mut memory = Memory::default();
    for from in (0..inputs).step_by(chunk) {
        let count = chunk.min(inputs - from);
        let mut input = Input::with_shape(1, count);
        input.push_song(corpus, song, from, count, 0);
        let targets: Vec<u16> = corpus
            .records(song, from + 1, from + 1 + count)
            .map(|r| r.id)
            .collect();
        let logits = model.forward_with(&input, &mut memory, mode);
        each(logits, &targets);
    }
}
