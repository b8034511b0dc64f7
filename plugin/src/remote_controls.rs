//! Remote control pages: groups of eight parameters that a CLAP host maps to a hardware controller.

use nice_plug::prelude::{RemoteControlsContext, RemoteControlsPage, RemoteControlsSection};

use crate::params::ContinuoParams;

/// Declares the pages, most used first. Main thread.
pub fn declare(params: &ContinuoParams, context: &mut impl RemoteControlsContext) {
    context.add_section("Continuo", |section| {
        section.add_page("Play", |page| {
            page.add_param(&params.mode);
            page.add_param(&params.gap);
            page.add_param(&params.enter);
            page.add_param(&params.bars);
            page.add_param(&params.hold);
            page.add_param(&params.freeze);
            page.add_param(&params.regenerate);
            page.add_param(&params.panic);
        });
        section.add_page("Notes", |page| {
            page.add_param(&params.temp);
            page.add_param(&params.temp_rhythm);
            page.add_param(&params.top_p);
            page.add_param(&params.density);
            page.add_param(&params.voices);
            page.add_param(&params.register);
            page.add_param(&params.register_pull);
            page.add_param(&params.longest);
        });
        section.add_page("Scale and Feel", |page| {
            page.add_param(&params.scale);
            page.add_param(&params.key);
            page.add_param(&params.low);
            page.add_param(&params.high);
            page.add_param(&params.length);
            page.add_param(&params.velocity_from);
            page.add_param(&params.velocity);
            page.add_param(&params.feel);
        });
        section.add_page("Harmony", |page| {
            page.add_param(&params.harmony);
            page.add_param(&params.chord_pull);
            page.add_param(&params.chord_channel);
            page.add_param(&params.split);
        });
        section.add_page("Memory", |page| {
            page.add_param(&params.memory);
            page.add_param(&params.recall);
            page.add_param(&params.memory_bars);
            page.add_param(&params.clear);
            page.add_param(&params.seed);
            page.add_param(&params.variation);
            page.add_param(&params.lead);
            page.add_param(&params.lookahead);
        });
        section.add_page("Output", |page| {
            page.add_param(&params.thru);
            page.add_param(&params.input);
            page.add_param(&params.output);
            page.add_param(&params.offset);
            page.add_param(&params.sound);
            page.add_param(&params.free_run);
            page.add_param(&params.tempo);
            page.add_param(&params.bypass);
        });
        section.add_page("Ear", |page| {
            page.add_param(&params.listen_to);
            page.add_param(&params.ear_gate);
            page.add_param(&params.ear_sensitivity);
        });
        section.add_page("Band", |page| {
            page.add_param(&params.play_keys);
            page.add_param(&params.play_lead);
            page.add_param(&params.play_chords);
            page.add_param(&params.play_bass);
            page.add_param(&params.play_drums);
            page.add_param(&params.input_part);
            page.add_param(&params.bass_output);
            page.add_param(&params.drums_output);
        });
        section.add_page("Band Channels", |page| {
            page.add_param(&params.keys_output);
            page.add_param(&params.lead_output);
            page.add_param(&params.chords_output);
        });
        section.add_page("Band Ranges", |page| {
            page.add_param(&params.keys_low);
            page.add_param(&params.keys_high);
            page.add_param(&params.lead_low);
            page.add_param(&params.lead_high);
            page.add_param(&params.chords_low);
            page.add_param(&params.chords_high);
            page.add_param(&params.bass_low);
            page.add_param(&params.bass_high);
        });
        section.add_page("Band Most Notes", |page| {
            page.add_param(&params.keys_voices);
            page.add_param(&params.lead_voices);
            page.add_param(&params.chords_voices);
            page.add_param(&params.bass_voices);
            page.add_param(&params.drums_voices);
        });
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use nice_plug::params::internals::ParamPtr;
    use nice_plug::prelude::{Param, Params};

    use super::*;

    /// Records the pages declared.
    #[derive(Default)]
    struct Pages(Vec<Page>);

    #[derive(Default)]
    struct Page(Vec<ParamPtr>);

    impl RemoteControlsContext for Pages {
        type Section = Self;
        fn add_section(&mut self, _: impl Into<String>, f: impl FnOnce(&mut Self)) {
            f(self);
        }
    }

    impl RemoteControlsSection for Pages {
        type Page = Page;
        fn add_page(&mut self, _: impl Into<String>, f: impl FnOnce(&mut Page)) {
            let mut page = Page::default();
            f(&mut page);
            self.0.push(page);
        }
    }

    impl RemoteControlsPage for Page {
        fn add_param(&mut self, param: &impl Param) {
            self.0.push(param.as_ptr());
        }
        fn add_spacer(&mut self) {}
    }

    #[test]
    fn every_parameter_is_on_one_page_of_at_most_eight() {
        let params = ContinuoParams::default();
        let mut pages = Pages::default();
        declare(&params, &mut pages);
        assert!(pages.0.iter().all(|page| (1..=8).contains(&page.0.len())));
        let all: Vec<_> = params
            .param_map()
            .into_iter()
            .map(|(_, ptr, _)| ptr)
            .collect();
        let laid: Vec<_> = pages.0.into_iter().flat_map(|page| page.0).collect();
        let found = laid.iter().filter(|ptr| all.contains(ptr)).count();
        assert_eq!((laid.len(), found), (all.len(), all.len()));
        let shown: BTreeSet<_> = laid.iter().map(|ptr| format!("{ptr:?}")).collect();
        assert_eq!(shown.len(), all.len(), "one is on two pages");
    }
}
