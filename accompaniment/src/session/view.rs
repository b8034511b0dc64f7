//! Outputs of a session: snapshots and MIDI files.

use continuo_engine::composer::PendingWork;
use continuo_score::chord::name_or_none;
use continuo_score::midi::MidiFile;

use super::{Attribution, Player, Session};
use crate::choices::Harmony;
use crate::midi_export::{ExportPart, ExportRange, export};
use crate::snapshot::{
    MemoryState, RecalledBar, RollNote, SNAPSHOT_BEATS, Snapshot, TransportState,
};

impl<P: Player> Session<P> {
    /// A snapshot without the parts that the model and the audio thread know.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot_from(self.now - SNAPSHOT_BEATS)
    }

    /// A snapshot with the notes that sound at or after `from`, in session quarter notes.
    fn snapshot_from(&self, from: f64) -> Snapshot {
        let (bar_start, time_signature) = self.timeline.bar_at(self.now);
        let shown = self.timeline.notes().filter(|n| {
            let end = n.end.map_or(self.now, |end| self.timeline.beat(end));
            end >= from
        });
        let mut notes: Vec<_> = shown
            .map(|n| RollNote {
                start: n.start_beat - self.session_offset,
                end: n
                    .end
                    .map(|end| self.timeline.beat(end) - self.session_offset),
                pitch: n.pitch,
                velocity: n.velocity,
                generated: n.generated,
                confidence: n.confidence.map(|percent| f32::from(percent) / 100.0),
                part: n.part,
                imagined: n.imagined,
            })
            .collect();
        notes.sort_by(|a, b| a.start.total_cmp(&b.start));
        let planned_to = self.planned_to().map(|beat| beat - self.session_offset);
        let beat = self.now - self.session_offset;
        let mut snapshot = Snapshot {
            time: TransportState {
                playing: self.running,
                beat,
                bar_start: bar_start - self.session_offset,
                bar_beats: time_signature.bar_beats(),
                time_signature: (time_signature.numerator, time_signature.denominator),
                tempo: self.tempo,
            },
            mode: Some(self.settings.mode),
            answering: planned_to.is_some(),
            notes,
            time_signatures: self
                .timeline
                .time_signatures()
                .iter()
                .map(|&(at, time_signature)| (at - self.session_offset, time_signature))
                .collect(),
            chords: self.chord_names(),
            held_chord: (self.settings.harmony == Harmony::Held)
                .then(|| name_or_none(self.held_chord.chord(), None)),
            planned_to,
            memory: MemoryState {
                notes: self.timeline.notes().filter(|n| !n.imagined).count(),
                bars: self.timeline.bars(),
                tokens: 0,
                behind: self.unread_from.is_some()
                    || self.player.pending_work() == Some(PendingWork::CatchUp),
            },
            learning: self.learning_state(),
            history: self.history(),
            ..Snapshot::default()
        };
        let back = self.attribution();
        snapshot.recalled_learned = back.learned;
        let bars = back.bars.into_iter();
        let bar = |(bar, share): (u32, f32)| {
            let (from, to) = self.timeline.bar(bar)?;
            let (from, to) = (from - self.session_offset, to - self.session_offset);
            Some(RecalledBar { from, to, share })
        };
        snapshot.recalled.extend(bars.filter_map(bar));
        snapshot.health.headroom = planned_to.map(|to| (to - beat).max(0.0));
        snapshot
    }

    /// Attribution of the notes of the last beat.
    fn attribution(&self) -> Attribution {
        let (Some(answer), Some(origin)) = (&self.answer, self.timeline.origin()) else {
            return Attribution::default();
        };
        if !answer.is_sampled() {
            return Attribution::default();
        }
        let step = |beat| u32::try_from(self.timeline.step(beat) - origin).unwrap_or(0);
        self.player
            .attribution(step(self.now - 1.0)..step(self.now) + 1)
    }

    /// Notes up to the playhead as a MIDI file: see [`export`].
    pub fn midi(&self, part: ExportPart, range: ExportRange) -> Option<MidiFile> {
        export(&self.snapshot_from(f64::NEG_INFINITY), part, range)
    }
}
