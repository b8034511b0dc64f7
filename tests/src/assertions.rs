//! Assertions on the notes that a plugin has sent.

use anyhow::{Result, bail, ensure};

use crate::clock::Clock;
use crate::daw::Sent;

/// Greatest distance of an event from its exact position, in samples: the nearest sample, with a
/// margin for the resolution of the reported song position.
const TOLERANCE: f64 = 0.5 + 1e-3;

/// A note with both its events.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedNote {
    /// MIDI channel.
    pub channel: u8,
    /// MIDI key.
    pub key: u8,
    /// Velocity, 0 to 1.
    pub velocity: f32,
    /// Sample of the note-on.
    pub on: u64,
    /// Sample of the note-off.
    pub off: u64,
}

/// Pairs note-ons with note-offs, sorted by note-on and key.
///
/// # Errors
///
/// Fails when a sounding key gets another note-on, a silent key gets a note-off, or a note has no end.
pub fn pair_notes(sent: &[Sent]) -> Result<Vec<PairedNote>> {
    let (mut notes, mut sounding) = (Vec::new(), Vec::<PairedNote>::new());
    for Sent { sample, event } in sent {
        let key = |note: &PairedNote| (note.channel, note.key) == (event.channel, event.key);
        match (event.on, sounding.iter().position(key)) {
            (true, None) => sounding.push(PairedNote {
                channel: event.channel,
                key: event.key,
                velocity: event.velocity,
                on: *sample,
                off: u64::MAX,
            }),
            (false, Some(index)) => {
                notes.push(PairedNote {
                    off: *sample,
                    ..sounding.swap_remove(index)
                });
            }
            (true, Some(_)) => bail!("sample {sample}: a second note-on for key {}", event.key),
            (false, None) => bail!("sample {sample}: a note-off for silent key {}", event.key),
        }
    }
    if let Some(note) = sounding.first() {
        bail!(
            "{} notes have no note-off: key {} since sample {}",
            sounding.len(),
            note.key,
            note.on
        );
    }
    notes.sort_by_key(|note| (note.on, note.key));
    Ok(notes)
}

/// A note on the grid of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GridNote {
    /// Step of the note-on, counted from beat 0.
    pub step: i64,
    /// MIDI key.
    pub key: u8,
    /// Length in steps; `None` if the note was cut off at `end` of [`place_on_grid`].
    pub length: Option<i64>,
    /// MIDI velocity.
    pub velocity: u8,
}

/// Finds the step of every note. Notes that still sound at sample `end`, where the host stopped,
/// may end between steps.
///
/// # Errors
///
/// Fails when a note starts or ends on another sample than the one nearest to a step.
pub fn place_on_grid(
    notes: &[PairedNote],
    clock: &Clock,
    steps_per_beat: u32,
    end: u64,
) -> Result<Vec<GridNote>> {
    let mut placed = Vec::new();
    for note in notes {
        let on = nearest_step(clock, note.on, steps_per_beat)?;
        let length = if note.off < end {
            Some(nearest_step(clock, note.off, steps_per_beat)? - on)
        } else {
            None
        };
        ensure!(
            length.is_none_or(|length| length > 0),
            "{note:?} has no length"
        );
        let velocity = (note.velocity * 127.0).round() as u8;
        placed.push(GridNote {
            step: on,
            key: note.key,
            length,
            velocity,
        });
    }
    placed.sort_unstable();
    Ok(placed)
}

fn nearest_step(clock: &Clock, sample: u64, steps_per_beat: u32) -> Result<i64> {
    let steps = f64::from(steps_per_beat);
    let step = (clock.beat(sample) * steps).round();
    // Beside a change of tempo, the nearest sample may belong to the other tempo.
    let off_by = [sample, sample.saturating_sub(1)]
        .map(|side| (clock.sample_at(step / steps, side) - sample as f64).abs())
        .into_iter()
        .fold(f64::INFINITY, f64::min);
    if off_by > TOLERANCE {
        bail!(
            "sample {sample} is {off_by:.3} samples from step {step} (beat {:.4})",
            clock.beat(sample)
        );
    }
    Ok(step as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::NoteEvent;

    fn sent(sample: u64, on: bool, key: u8) -> Sent {
        Sent {
            sample,
            event: NoteEvent {
                offset: 0,
                on,
                channel: 0,
                key,
                velocity: 1.0,
            },
        }
    }

    #[test]
    fn pairing_refuses_unmatched_events() {
        let notes = pair_notes(&[
            sent(0, true, 60),
            sent(5, false, 60),
            sent(5, true, 60),
            sent(9, false, 60),
        ]);
        assert_eq!(
            notes
                .unwrap()
                .iter()
                .map(|n| (n.on, n.off))
                .collect::<Vec<_>>(),
            [(0, 5), (5, 9)]
        );
        assert!(pair_notes(&[sent(0, true, 60), sent(1, true, 60)]).is_err());
        assert!(pair_notes(&[sent(0, false, 60)]).is_err());
        assert!(pair_notes(&[sent(0, true, 60)]).is_err());
    }

    #[test]
    fn grid_refuses_a_note_one_sample_off() {
        let mut clock = Clock::new(48_000.0);
        clock.begin(0, 0.0, 133.7);
        // Step 1 of 12 a beat lies at sample 1795.06.
        let note = |on| PairedNote {
            channel: 0,
            key: 60,
            velocity: 0.5,
            on,
            off: 3590,
        };
        assert!(place_on_grid(&[note(1795)], &clock, 12, 9999).is_ok());
        assert!(place_on_grid(&[note(1796)], &clock, 12, 9999).is_err());
        assert!(place_on_grid(&[note(1794)], &clock, 12, 9999).is_err());
    }
}
