//! Instances that share the composer thread. Time is counted in slices, work in steps of the
//! network.

use super::arpeggio::{NEAR, STEPS, TOKENS, Work};
use super::*;
use continuo_accompaniment::session::{ServiceOrder, Urgency};

/// Number of slices in a quarter note at 120 BPM. A slice takes 4 ms, and the run of the network that
/// begins within them.
const BEAT: f64 = 100.0;

/// An instance whose player plays a bar of eighths, in 4/4, and then waits for one.
struct TradingInstance {
    session: Session<Arpeggio>,
    tempo: f64,
    /// Messages to come, each with its beat.
    next: u32,
    beat: f64,
    /// Slice and beat at which it starts.
    from: usize,
    at: f64,
    planned: usize,
    late: usize,
    /// Slice in which it planned its first note.
    first: Option<usize>,
}

impl TradingInstance {
    fn new(tempo: f64, from: usize, session: Session<Arpeggio>) -> Self {
        // End of its project, at which the player's bar begins.
        let steps = session.timeline().end().unwrap_or(0);
        let at = (steps as f64 / 12.0 / 8.0).ceil() * 8.0;
        Self {
            at,
            session,
            tempo,
            next: 0,
            beat: at,
            from,
            planned: 0,
            late: 0,
            first: None,
        }
    }

    /// Advances to slice `now`, and sends input as far as the session is ready.
    fn receive(&mut self, now: usize) {
        if now < self.from {
            return;
        }
        let beat = self.beat_at(now);
        if now == self.from {
            let settings = Settings {
                mode: Mode::Trade,
                bars: 1,
                lookahead: 4.0,
                ..Settings::default()
            };
            let time_signature = ComposerInput::TimeSignature {
                bar_start: self.at,
                numerator: 4,
                denominator: 4,
            };
            for message in [
                ComposerInput::Settings(settings),
                ComposerInput::Jump { beat: self.at },
                time_signature,
            ] {
                let Ok(()) = self.session.receive(message, false);
            }
        }
        loop {
            // Every eighth note of a bar of 2/4 has a note-on and a note-off.
            let at = self.at + f64::from(self.next / 2) * 0.5 + f64::from(self.next % 2) * 0.4;
            if at > beat {
                break;
            }
            let pitch = 50 + (self.next / 2 % 12) as u8;
            let message = match (at % 8.0 < 4.0, self.next.is_multiple_of(2)) {
                (true, true) => ComposerInput::NoteOn {
                    beat: at,
                    channel: 0,
                    pitch,
                    velocity: 80,
                },
                (true, false) => ComposerInput::NoteOff {
                    beat: at,
                    channel: Some(0),
                    pitch: Some(pitch),
                },
                (false, _) => ComposerInput::AllNotesOff { beat: at },
            };
            if !self.take_in(message) {
                return;
            }
            self.next += 1;
        }
        let (tempo, block) = (self.tempo, 0);
        if self.take_in(ComposerInput::Time { beat, tempo, block }) {
            self.beat = beat;
        }
    }

    fn beat_at(&self, now: usize) -> f64 {
        self.at + now.saturating_sub(self.from) as f64 * self.tempo / (120.0 * BEAT)
    }

    fn take_in(&mut self, message: ComposerInput) -> bool {
        let Ok(ready) = self.session.is_ready_for(&message, false);
        if ready {
            let Ok(()) = self.session.receive(message, false);
        }
        ready
    }

    /// Counts the notes planned by slice `now`.
    fn hand_over(&mut self, now: usize) {
        let beat = self.beat_at(now);
        for note in self.session.planned().drain(..) {
            self.planned += 1;
            self.late += usize::from(note.start_beat < beat);
            self.first = self.first.or(Some(now));
        }
    }
}

/// Notes of a project, 64 a bar, up to a bar line.
fn project(notes: usize) -> Session<Arpeggio> {
    let mut session = Session::new(Arpeggio::working(true));
    let Ok(()) = session.receive(ComposerInput::Jump { beat: 0.0 }, false);
    for note in 0..notes {
        let beat = note as f64 / 16.0;
        let on = ComposerInput::NoteOn {
            beat,
            channel: 0,
            pitch: 40 + (note % 40) as u8,
            velocity: 80,
        };
        let Ok(()) = session.receive(on, false);
    }
    let saved = session.save();
    let mut session = Session::new(Arpeggio::working(true));
    let Ok(lost) = session.restore(&saved);
    assert_eq!(lost, 0);
    session
}

/// Runs all instances for this many slices; each slice serves one.
fn run(
    instances: &mut [TradingInstance],
    slices: usize,
    mut schedule: impl FnMut(&[Option<Urgency>]) -> Option<usize>,
) {
    for now in 0..slices {
        for instance in instances.iter_mut() {
            instance.receive(now);
        }
        let urgencies: Vec<_> = instances.iter().map(|t| t.session.urgency()).collect();
        if let Some(next) = schedule(&urgencies) {
            let before = work(&instances[next].session).slices;
            let Ok(_) = instances[next].session.work();
            let spent = work(&instances[next].session).slices - before;
            assert!(spent <= 1, "{spent} slices at once");
            instances[next].hand_over(now + 1);
        }
    }
}

/// The simulated work of a session's player.
fn work(session: &Session<Arpeggio>) -> &Work {
    session.player().work.as_ref().unwrap()
}

fn empty() -> Session<Arpeggio> {
    Session::new(Arpeggio::working(true))
}

/// Serves instances by their urgency.
fn by_urgency() -> impl FnMut(&[Option<Urgency>]) -> Option<usize> {
    let mut order = ServiceOrder::default();
    move |urgencies| order.next(urgencies)
}

/// Serves instances with work in turn, without urgencies.
fn round_robin() -> impl FnMut(&[Option<Urgency>]) -> Option<usize> {
    let mut first = 0;
    move |urgencies| {
        let mut order = (0..urgencies.len()).map(|at| (at + first) % urgencies.len());
        let next = order.find(|&at| urgencies[at].is_some())?;
        first = next + 1;
        Some(next)
    }
}

#[test]
fn loading_and_learning_delay_no_other_instance() {
    let instances = |notes: usize| -> Vec<TradingInstance> {
        let tempos = [97.0, 110.0, 120.0, 133.0];
        let mut instances: Vec<_> = tempos.map(|t| TradingInstance::new(t, 0, empty())).into();
        instances.push(TradingInstance::new(120.0, 100, project(notes)));
        for _ in 0..7 {
            let mut learner = empty();
            learner.player_mut().work.as_mut().unwrap().file_learning = 1 << 23;
            instances.push(TradingInstance::new(60.0, usize::MAX, learner));
        }
        instances
    };
    let slices = 4_000;
    let mut fair = instances(65_000);
    run(&mut fair, slices, by_urgency());
    for (number, instance) in fair[..4].iter().enumerate() {
        assert!(
            instance.planned > 80,
            "{number}: {} notes",
            instance.planned
        );
        assert_eq!(instance.late, 0, "{number}, of {} notes", instance.planned);
    }
    let loaded = &fair[4];
    // Its first turn is the second bar, two seconds after it began.
    let first = loaded.first.unwrap() - loaded.from;
    assert!(
        first <= 400 && loaded.late == 0,
        "{first}, {} late",
        loaded.late
    );
    let left = (
        work(&loaded.session).catch_up,
        work(&fair[5].session).file_learning,
    );
    assert!(left.0 < 65_000 * TOKENS && left.1 > 0, "{left:?}");

    let mut unfair = instances(3_000);
    run(&mut unfair, slices, round_robin());
    let late: usize = unfair.iter().map(|instance| instance.late).sum();
    assert!(late > 0, "it would have gone well anyhow");
}

#[test]
fn sixteen_projects_opened_at_once_answer_soon() {
    // Their bars begin a quarter of a beat apart.
    let mut instances: Vec<_> = (0..16)
        .map(|number| TradingInstance::new(120.0, 25 * number, project(3_000)))
        .collect();
    // Every slice serves an answer.
    let (mut slices, mut order) = (0, ServiceOrder::default());
    let ready = |t: &TradingInstance| !matches!(t.session.urgency(), Some(Urgency::ReadInput));
    let mut first = None;
    while !instances.iter().all(ready) {
        if instances.iter().any(ready) {
            first.get_or_insert(slices);
        }
        let urgencies: Vec<_> = instances.iter().map(|t| t.session.urgency()).collect();
        let next = order.next(&urgencies).unwrap();
        let Ok(_) = instances[next].session.work();
        slices += 1;
    }
    assert!(slices <= 16 * (NEAR / STEPS + 1), "{slices} slices");
    let first = first.unwrap();
    assert!(first <= NEAR / STEPS + 1, "{first} for the first");
    let catch_up = |instances: &[TradingInstance]| -> usize {
        let catch_up = instances.iter().map(|t| work(&t.session).catch_up);
        catch_up.sum()
    };
    let before = catch_up(&instances);
    assert_eq!(before, 16 * (3_000 * TOKENS - NEAR));
    // All of them answer, and read older input in between.
    run(&mut instances, 4_000, by_urgency());
    for (number, instance) in instances.iter().enumerate() {
        assert!(
            instance.planned > 60,
            "{number}: {} notes",
            instance.planned
        );
        assert_eq!(instance.late, 0, "{number}, of {} notes", instance.planned);
    }
    assert!(
        catch_up(&instances) < before,
        "nothing of the past was read"
    );
}

#[test]
fn project_that_plays_at_once_begins_when_it_is_read() {
    // From its end, and from its middle after other settings and a slice.
    for (start, recall, slices) in [(187.0, 1.0, 0), (90.0, 0.5, 0), (90.0, 0.5, 1)] {
        let mut session = project(3_000);
        let settings = Settings {
            mode: Mode::Free,
            enter: Enter::Step,
            lookahead: 4.0,
            recall,
            ..Settings::default()
        };
        for _ in 0..slices {
            let Ok(_) = session.work();
        }
        for message in [
            ComposerInput::Settings(settings),
            ComposerInput::Jump { beat: start },
        ] {
            let Ok(()) = session.receive(message, false);
        }
        let mut planned = Vec::new();
        for slice in 0..1_000 {
            let beat = start + f64::from(slice) / BEAT;
            let time = ComposerInput::Time {
                beat,
                tempo: 120.0,
                block: 0,
            };
            let Ok(ready) = session.is_ready_for(&time, false);
            if ready {
                let Ok(()) = session.receive(time, false);
            }
            let Ok(_) = session.work();
            let notes = session.planned().drain(..);
            planned.extend(notes.map(|note| (beat, note.start_beat)));
        }
        let first = planned.first().unwrap().1 - start;
        assert!(0.0 < first && first < 1.5, "{first} beats");
        let late = planned.iter().filter(|(beat, start)| start < beat);
        assert_eq!(late.count(), 0, "of {} from {start}", planned.len());
    }
}

#[test]
fn input_without_a_model_is_saved_and_answered_later() {
    let mut session = Session::new(Arpeggio::working(false));
    let Ok(_) = session.restore(&project(100).save());
    let Ok(()) = session.receive(ComposerInput::Jump { beat: 60.0 }, false);
    let receive = |session: &mut Session<Arpeggio>, beat: f64| {
        for message in [
            ComposerInput::NoteOn {
                beat,
                channel: 0,
                pitch: 90,
                velocity: 80,
            },
            ComposerInput::NoteOff {
                beat: beat + 0.5,
                channel: None,
                pitch: None,
            },
        ] {
            let Ok(ready) = session.is_ready_for(&message, false);
            assert!(ready, "it waits for a model");
            let Ok(()) = session.receive(message, false);
        }
    };
    receive(&mut session, 61.0);
    receive(&mut session, 66.0);
    let notes = |session: &Session<Arpeggio>| {
        let notes = session.timeline().notes();
        notes.map(|n| (n.start, n.end, n.pitch)).collect::<Vec<_>>()
    };
    let heard = notes(&session);
    assert_eq!((heard.len(), heard[101].2), (102, 90));
    let mut again = Session::new(Arpeggio::working(true));
    let Ok(lost) = again.restore(&session.save());
    assert_eq!((lost, notes(&again)), (0, heard.clone()));
    // A model loads: all input is kept, and answered.
    let Ok(()) = session.replace_player(Arpeggio::working(true));
    assert_eq!(notes(&session), heard);
    receive(&mut session, 70.0);
    let now = ComposerInput::Time {
        beat: 90.0,
        tempo: 120.0,
        block: 1,
    };
    while !session.is_ready_for(&now, true).unwrap() {
        let Ok(_) = session.work_exactly();
    }
    let Ok(()) = session.receive(now, true);
    assert!(!session.planned().is_empty(), "no answer");
}
