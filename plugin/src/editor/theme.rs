//! Colours and sizes. The theme is for a dark stage: only text and notes are bright. Input notes are blue and
//! generated notes orange, as in the pictures of `continuo view`; the two differ for every common kind of colour
//! blindness. Window thread.

use continuo_score::Part;
use egui::{Color32, CornerRadius, FontId, Stroke, TextStyle, Visuals};

/// The smallest window in which everything can be reached, in points: width, height.
pub const SMALLEST: (f32, f32) = (480.0, 400.0);

/// Ground of the window.
pub const GROUND: Color32 = Color32::from_rgb(0x14, 0x16, 0x1a);
/// Ground of the roll and of controls.
pub const WELL: Color32 = Color32::from_rgb(0x1c, 0x1f, 0x25);
/// Rows of black keys.
pub const WELL_DARK: Color32 = Color32::from_rgb(0x18, 0x1b, 0x20);
/// Bar of a control's value, and a button that is on.
pub const FILL: Color32 = Color32::from_rgb(0x2f, 0x41, 0x58);
/// A button.
pub const BUTTON: Color32 = Color32::from_rgb(0x26, 0x2a, 0x32);
/// A button under the pointer.
pub const BUTTON_HOT: Color32 = Color32::from_rgb(0x33, 0x39, 0x44);
/// Lines of beats.
pub const LINE: Color32 = Color32::from_rgb(0x26, 0x2a, 0x31);
/// Lines of bars.
pub const LINE_STRONG: Color32 = Color32::from_rgb(0x3d, 0x44, 0x4f);
/// Text.
pub const TEXT: Color32 = Color32::from_rgb(0xee, 0xf1, 0xf5);
/// Text of labels.
pub const TEXT_WEAK: Color32 = Color32::from_rgb(0xa6, 0xb0, 0xbd);
/// Input notes.
pub const HEARD: Color32 = Color32::from_rgb(0x5c, 0xb2, 0xff);
/// Notes heard in sound.
pub const BY_EAR: Color32 = Color32::from_rgb(0x4f, 0xd6, 0xb0);
/// Generated notes.
pub const PLAYED: Color32 = Color32::from_rgb(0xff, 0xa5, 0x3d);
/// Bars recalled, and learning.
pub const RECALLED: Color32 = Color32::from_rgb(0xb9, 0x9c, 0xff);
/// Problems.
pub const BAD: Color32 = Color32::from_rgb(0xff, 0x7b, 0x72);
/// Ground of the text of a problem.
pub const BAD_GROUND: Color32 = Color32::from_rgb(0x43, 0x1f, 0x22);

/// Gap between widgets, in points.
pub const GAP: f32 = 8.0;
/// Gap between widgets that belong together, in points.
pub const SMALL_GAP: f32 = 3.0;
/// Height of a control and of a button, in points.
pub const ROW: f32 = 23.0;
/// Corners of both.
pub const ROUND: CornerRadius = CornerRadius::same(4);

/// Font of controls and of the status bar.
pub fn text() -> FontId {
    FontId::proportional(13.5)
}

/// Font of the roll's labels and of titles.
pub fn small() -> FontId {
    FontId::proportional(11.5)
}

/// The colour of a note at full loudness. The keys have the colours of music without parts; other
/// parts have colours of their own, which are bluer where the note is heard.
pub fn note(generated: bool, part: Part) -> Color32 {
    let base = if generated { PLAYED } else { HEARD };
    if part.is_keys() {
        return base;
    }
    let [r, g, b] = part.colour();
    let share = if generated { 1.0 } else { 0.55 };
    mix(base, Color32::from_rgb(r, g, b), share)
}

/// A colour between two others; `share` is 0 for the first, 1 for the second.
pub fn mix(from: Color32, to: Color32, share: f32) -> Color32 {
    from.lerp_to_gamma(to, share.clamp(0.0, 1.0))
}

/// Applies the theme to a window.
pub fn apply(ctx: &egui::Context) {
    ctx.set_theme(egui::Theme::Dark);
    ctx.all_styles_mut(|style| {
        style.visuals = visuals();
        style.animation_time = 0.0;
        style.interaction.selectable_labels = false;
        style.interaction.tooltip_delay = 0.4;
        style.spacing.item_spacing = egui::vec2(SMALL_GAP, SMALL_GAP);
        style.spacing.button_padding = egui::vec2(9.0, 3.0);
        style.spacing.interact_size.y = ROW;
        for (name, font) in [
            (TextStyle::Body, text()),
            (TextStyle::Button, text()),
            (TextStyle::Small, small()),
        ] {
            style.text_styles.insert(name, font);
        }
    });
}

fn visuals() -> Visuals {
    let mut visuals = Visuals::dark();
    visuals.panel_fill = GROUND;
    visuals.window_fill = Color32::from_rgb(0x21, 0x25, 0x2c);
    visuals.window_stroke = Stroke::new(1.0, LINE_STRONG);
    visuals.extreme_bg_color = GROUND;
    visuals.override_text_color = Some(TEXT);
    visuals.selection.bg_fill = FILL;
    visuals.selection.stroke = Stroke::new(1.0, TEXT);
    for (state, fill) in [
        (&mut visuals.widgets.inactive, BUTTON),
        (&mut visuals.widgets.hovered, BUTTON_HOT),
        (&mut visuals.widgets.active, FILL),
        (&mut visuals.widgets.open, BUTTON_HOT),
    ] {
        state.bg_fill = fill;
        state.weak_bg_fill = fill;
        state.bg_stroke = Stroke::NONE;
        state.corner_radius = ROUND;
        state.expansion = 0.0;
        state.fg_stroke = Stroke::new(1.0, TEXT);
    }
    visuals
}
