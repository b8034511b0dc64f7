//! Input of the network from the songs of a corpus.

use continuo_score::{NoteContext, NoteState, Vocabulary};

use crate::data::corpus::{Corpus, TokenRecord};
use crate::model::Input;

impl Input {
    /// An empty input of `batch_rows` rows of `length` tokens.
    pub fn with_shape(batch_rows: usize, length: usize) -> Self {
        Self {
            batch_rows,
            length,
            ..Self::default()
        }
    }

    /// Appends tokens and their contexts; their song begins at stream position `song_start`.
    pub fn push(&mut self, records: &[TokenRecord], contexts: &[NoteContext], song_start: u64) {
        self.contexts.extend_from_slice(contexts);
        for r in records {
            self.tokens.push(r.id);
            self.bar_step.push(r.bar_step);
            self.bar.push(r.bar);
            self.metre.push(r.metre);
            self.song_start.push(song_start);
        }
    }

    /// Appends the tokens `at..at + count` of a song; the song begins at stream position
    /// `song_start`.
    ///
    /// # Panics
    /// Panics outside the song.
    pub fn push_song(
        &mut self,
        corpus: &Corpus,
        song: usize,
        at: usize,
        count: usize,
        song_start: u64,
    ) {
        let records: Vec<_> = corpus.records(song, 0, at + count).collect();
        let contexts = note_contexts(&records, &corpus.vocabulary, &mut NoteState::default());
        self.push(&records[at..], &contexts[at..], song_start);
    }
}

/// Context of each token after it was read; `sounding` carries the state from token to token.
pub(crate) fn note_contexts(
    records: &[TokenRecord],
    vocabulary: &Vocabulary,
    sounding: &mut NoteState,
) -> Vec<NoteContext> {
    let contexts = records.iter().map(|record| {
        let tokens = vocabulary.tokens(record.id);
        tokens.for_each(|token| sounding.read(token));
        sounding.context()
    });
    contexts.collect()
}
