//! Colours and sizes. Made for a dark stage: text and notes carry the light, nothing else does.
//! Heard is blue and played is orange, as in the pictures of `continuo view`; the two stay
//! apart for every common kind of colour blindness.

use egui::{Color32, CornerRadius, FontId, Stroke, TextStyle, Visuals};

/// Behind everything.
pub const GROUND: Color32 = Color32::from_rgb(0x14, 0x16, 0x1a);
/// The roll's own ground, and that of a control.
pub const WELL: Color32 = Color32::from_rgb(0x1c, 0x1f, 0x25);
/// Rows of black keys.
pub const WELL_DARK: Color32 = Color32::from_rgb(0x18, 0x1b, 0x20);
/// How far a control stands, and a button that is on.
pub const FILL: Color32 = Color32::from_rgb(0x2f, 0x41, 0x58);
/// A button.
pub const BUTTON: Color32 = Color32::from_rgb(0x26, 0x2a, 0x32);
/// The same under the pointer.
pub const BUTTON_HOT: Color32 = Color32::from_rgb(0x33, 0x39, 0x44);
/// Beats.
pub const LINE: Color32 = Color32::from_rgb(0x26, 0x2a, 0x31);
/// Bars.
pub const LINE_STRONG: Color32 = Color32::from_rgb(0x3d, 0x44, 0x4f);
/// Text.
pub const TEXT: Color32 = Color32::from_rgb(0xee, 0xf1, 0xf5);
/// Text that says what other text is.
pub const TEXT_WEAK: Color32 = Color32::from_rgb(0xa6, 0xb0, 0xbd);
/// Heard.
pub const HEARD: Color32 = Color32::from_rgb(0x5c, 0xb2, 0xff);
/// Played.
pub const PLAYED: Color32 = Color32::from_rgb(0xff, 0xa5, 0x3d);
/// Recalled.
pub const RECALLED: Color32 = Color32::from_rgb(0xb9, 0x9c, 0xff);
/// All is well.
pub const GOOD: Color32 = Color32::from_rgb(0x6d, 0xd5, 0x8c);
/// Something is wrong.
pub const BAD: Color32 = Color32::from_rgb(0xff, 0x7b, 0x72);
/// Behind a problem in words.
pub const BAD_GROUND: Color32 = Color32::from_rgb(0x43, 0x1f, 0x22);

/// Between things, in points.
pub const GAP: f32 = 8.0;
/// Between things that belong together.
pub const SMALL_GAP: f32 = 3.0;
/// Height of a control and of a button.
pub const ROW: f32 = 23.0;
/// Corners of both.
pub const ROUND: CornerRadius = CornerRadius::same(4);

/// The text of controls and figures.
pub fn text() -> FontId {
    FontId::proportional(13.5)
}

/// Labels of the roll, and titles.
pub fn small() -> FontId {
    FontId::proportional(11.5)
}

/// A colour some way towards another, 0 to 1.
pub fn towards(from: Color32, to: Color32, share: f32) -> Color32 {
    from.lerp_to_gamma(to, share.clamp(0.0, 1.0))
}

/// Makes a window look like this.
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
