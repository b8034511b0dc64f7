//! Catching up: reads earlier tokens beside the window in use, which began near the end of the
//! stream.
//!
//! First come the keys and values of the kNN memory, as many as it can use, and then the receptive
//! field of a new window. That window then replaces the one in use. Before both, the memories of tokens
//! read an earlier answer again, as input.

use super::Composer;
use super::work::{CHUNK, CatchUp, PARTIAL_WINDOW, TOKEN_MEMORY_CHUNK};
use crate::error::EngineError;
use crate::knn::kv_store::KvStore;

impl Composer {
    /// Begins to read [`PARTIAL_WINDOW`] tokens before the end of the stream, and catches up on the
    /// earlier ones beside it.
    pub(super) fn begin_near_end(&mut self) {
        let len = self.stream.len();
        let at = len.saturating_sub(PARTIAL_WINDOW);
        let again = self.memory.cache.restart_for(len);
        let before = self.catch_up.take();
        let mut catch_up = CatchUp::default();
        if let Some(knn) = &mut self.memory.knn {
            let empty = knn.empty_song_from(len.saturating_sub(knn.held_most()));
            let known = match before {
                // The song in use is not exact while another one is read.
                Some(CatchUp { song, .. }) if self.is_partial => song,
                _ => Some(knn.take_song(at)),
            };
            let serves = |song: &KvStore| song.end() >= empty.end() && knn.serves(song, again);
            catch_up.song = Some(known.filter(serves).unwrap_or(empty));
        }
        self.memory.begin_at(at);
        (self.logits, self.is_partial, self.catch_up) = (None, true, Some(catch_up));
    }

    /// Reads a new window beside the one in use, after the learned keys have changed. So the memory
    /// depends on the notes alone, and not on the time at which they were learned.
    pub(super) fn refresh_window(&mut self) {
        if self.stream.is_empty() {
            return;
        }
        let catch_up = self.catch_up.get_or_insert_default();
        (catch_up.window, catch_up.logits) = (None, None);
    }

    /// One step of catching up.
    pub(super) fn catch_up_step(&mut self) -> Result<(), EngineError> {
        self.check_stop()?;
        if let Some(token_memory) = &mut self.token_memory
            && token_memory.unread(&self.stream, self.answer_start) > TOKEN_MEMORY_CHUNK
        {
            token_memory.read(&self.stream, TOKEN_MEMORY_CHUNK, self.answer_start);
            return Ok(());
        }
        let Some(mut catch_up) = self.catch_up.take() else {
            return Ok(());
        };
        match self.catch_up_on(&mut catch_up) {
            Ok(false) => self.catch_up = Some(catch_up),
            Ok(true) => self.replace_window(catch_up),
            Err(error) => {
                self.catch_up = Some(catch_up);
                return Err(error);
            }
        }
        Ok(())
    }

    /// One run of catching up. Gives whether it was the last.
    fn catch_up_on(&mut self, catch_up: &mut CatchUp) -> Result<bool, EngineError> {
        let len = self.memory.len();
        let one_by_one = self.model.reads_single_tokens();
        let window = match catch_up.window.take() {
            Some(window) => window,
            None => {
                let again = self.memory.cache.restart_for(len);
                if let Some(knn) = &self.memory.knn {
                    if catch_up.song.is_none() && !knn.holds(again) {
                        let from = len.saturating_sub(knn.held_most());
                        catch_up.song = Some(knn.empty_song_from(from));
                    }
                    if let Some(song) = &mut catch_up.song
                        && song.end() < len
                    {
                        let prefill = catch_up
                            .prefill
                            .get_or_insert_with(|| self.model.prefill_before(song.end()));
                        let at = prefill.position();
                        let to = len.min(at + if one_by_one { 8 } else { CHUNK });
                        let (keys, values) =
                            self.model.prefill_keys(prefill, &self.stream[at..to])?;
                        let known = song.end().clamp(at, to) - at;
                        let skip = known * self.model.sizes().head_dim;
                        if skip < keys.len() {
                            song.push(&keys[skip..], &values[skip..])?;
                            song.trim(knn.held_most())?;
                        }
                        return Ok(false);
                    }
                }
                catch_up.prefill = None;
                self.model.window_at(again)
            }
        };
        let mut window = window;
        let from = window.len();
        let to = len.min(from + if one_by_one { 4 } else { CHUNK });
        let tokens = self.stream[from..to].to_vec();
        self.limit_reach(from, &tokens);
        // Both windows search one index; only the song may differ.
        let mut exchange = |knn: &mut Option<crate::knn::KnnMemory>| {
            if let (Some(knn), Some(song)) = (knn, &mut catch_up.song) {
                knn.exchange_song(song);
            }
        };
        exchange(&mut self.memory.knn);
        std::mem::swap(&mut window.knn, &mut self.memory.knn);
        let input_token = self
            .model
            .forward(&mut window, &tokens, self.memory_settings.recall);
        std::mem::swap(&mut window.knn, &mut self.memory.knn);
        exchange(&mut self.memory.knn);
        let at = window.len();
        catch_up.window = Some(window);
        let mut logits = input_token?;
        let last = logits.len().checked_sub(self.model.sizes().vocabulary);
        if let Some(last) = last {
            catch_up.logits = Some(logits.split_off(last));
        }
        Ok(at >= len)
    }

    /// Replaces the window in use by the new one.
    fn replace_window(&mut self, catch_up: CatchUp) {
        let CatchUp {
            song,
            window,
            logits,
            ..
        } = catch_up;
        let Some(window) = window else { return };
        (self.memory.cache, self.memory.io_buffers) = (window.cache, window.io_buffers);
        if let (Some(knn), Some(mut song)) = (&mut self.memory.knn, song) {
            knn.exchange_song(&mut song);
        }
        self.is_partial = false;
        if self.unread() == 0 {
            self.logits = logits;
        }
    }

    /// Adjusts catching up to a stream that was cut to `to` tokens.
    pub(super) fn rewind_catch_up(&mut self, to: usize) -> Result<(), EngineError> {
        let Some(catch_up) = &mut self.catch_up else {
            return Ok(());
        };
        catch_up.logits = None;
        if let (Some(song), Some(knn)) = (&mut catch_up.song, &self.memory.knn) {
            // The window is read again from here, and needs every key that it sees from there on.
            let again = self.memory.cache.restart_for(to);
            if to >= song.first() && knn.serves(song, again) {
                song.truncate(to)?;
            } else {
                *song = knn.empty_song_from(to.saturating_sub(knn.held_most()));
                (catch_up.prefill, catch_up.window) = (None, None);
            }
        }
        if catch_up
            .prefill
            .as_mut()
            .is_some_and(|prefill| !prefill.rewind(to))
        {
            catch_up.prefill = None;
        }
        let window = catch_up.window.as_mut();
        if window.is_some_and(|window| !window.cache.rewind(to)) {
            catch_up.window = None;
        }
        Ok(())
    }
}
