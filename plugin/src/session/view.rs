//! A session as others see it: on the screen, and as a MIDI file.

use std::path::Path;

use continuo_score::Score;

use super::{Player, Session};
use crate::editor_link::{MemoryState, SHOWN_BEATS, ShownNote, Snapshot, Time};

impl<P: Player> Session<P> {
    /// What it hears, plans and remembers; what the model and the audio thread know is left
    /// out.
    pub fn show(&self) -> Snapshot {
        let (bar_start, metre) = self.timeline.bar_at(self.now);
        let from = self.now - SHOWN_BEATS;
        let shown = self.timeline.notes().filter(|n| {
            let end = n.end.map_or(self.now, |end| self.timeline.beat(end));
            end >= from
        });
        let mut notes: Vec<_> = shown
            .map(|n| ShownNote {
                start: n.start_beat - self.ahead,
                end: n.end.map(|end| self.timeline.beat(end) - self.ahead),
                pitch: n.pitch,
                velocity: n.velocity,
                ours: n.ours,
            })
            .collect();
        notes.sort_by(|a, b| a.start.total_cmp(&b.start));
        let planned_to = self.planned_to().map(|beat| beat - self.ahead);
        let beat = self.now - self.ahead;
        let mut snapshot = Snapshot {
            time: Time {
                playing: self.running,
                beat,
                bar_start: bar_start - self.ahead,
                bar_beats: metre.bar_beats(),
                metre: (metre.numerator, metre.denominator),
                tempo: self.tempo,
            },
            mode: Some(self.settings.mode),
            answering: planned_to.is_some(),
            notes,
            planned_to,
            memory: MemoryState {
                notes: self.timeline.notes().count(),
                bars: self.timeline.bars(),
                tokens: 0,
                behind: self.behind.is_some(),
            },
            ..Snapshot::default()
        };
        snapshot.health.headroom = planned_to.map(|to| (to - beat).max(0.0));
        snapshot
    }

    /// Writes what was heard and played to a MIDI file of two tracks.
    pub fn save_midi(&self, path: &Path) -> Result<(), String> {
        let now = self.timeline.step(self.now);
        let score = |ours: bool| {
            let mut score = if ours {
                self.timeline.score(i64::MIN, now)
            } else {
                self.timeline.score(now, i64::MIN)
            };
            score.tempos = continuo_score::TempoMap::constant(self.tempo);
            score
        };
        let (player, plugin): (Score, Score) = (score(false), score(true));
        if player.notes.is_empty() && plugin.notes.is_empty() {
            return Err(format!(
                "{}: not written, for nothing was heard or played yet",
                path.display()
            ));
        }
        let file = Score::parts_to_midi(&[("Player", &player), ("Continuo", &plugin)]);
        file.write_file(path).map_err(|e| e.to_string())
    }
}
