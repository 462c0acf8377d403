//! One field as inputs.

mod table;

use maud::{Markup, html};
use serde_json::Value;
use stepbox_batch::form_answer::{FormColumn, FormOption};
use stepbox_batch::instance_form::{Field, ValueKind, Widget, Width};

use super::{Filled, conditions, text_of};
use crate::icons::icon;

/// Above this number of choices a choice is a list, not a row of buttons.
const RADIOS_MAX: usize = 4;

/// The member of a storage that is the id of an uploaded file.
const UPLOAD: &str = "id";

/// A field, or a part of one, as it is drawn.
#[derive(Clone, Copy)]
pub(super) struct Drawn<'a> {
    /// The name of its input.
    pub(super) name: &'a str,
    pub(super) id: &'a str,
    pub(super) field: &'a Field,
    pub(super) value: Option<&'a Value>,
    pub(super) filled: &'a Filled<'a>,
    pub(super) is_wrong: bool,
}

/// Whether a field is one input, which its label can name.
pub(super) fn has_one_input(field: &Field) -> bool {
    !matches!(field.widget, Widget::Radio | Widget::Storage | Widget::Table | Widget::MultiSelect)
}

impl Drawn<'_> {
    /// Whether the value is shown by the widget of the field; otherwise it is shown as JSON.
    fn fits(&self) -> bool {
        let is_text = !matches!(
            self.field.kind,
            ValueKind::Boolean | ValueKind::List(_) | ValueKind::Table | ValueKind::Storage
        );
        self.value.is_none_or(|value| self.field.can_hold(value) || (is_text && is_scalar(value)))
    }

    pub(super) fn is_one_input(&self) -> bool {
        has_one_input(self.field) || !self.fits()
    }

    /// The texts that a browser posts for the value.
    fn texts(&self) -> Vec<(String, String)> {
        self.value.map(|value| self.field.texts_of(value)).unwrap_or_default()
    }

    /// The text of a value that is one text.
    fn text(&self) -> String {
        self.texts().pop().map(|(_, text)| text).unwrap_or_default()
    }

    fn described_by(&self) -> Option<String> {
        let field = self.field;
        let mut ids = Vec::new();
        if self.is_wrong {
            ids.push(format!("{}-violation", self.id));
        }
        if field.help.is_some() || field.help_url.is_some() || field.default.is_some() || !field.is_editable()
        {
            ids.push(format!("{}-help", self.id));
        }
        (!ids.is_empty()).then(|| ids.join(" "))
    }

    fn invalid(&self) -> Option<&'static str> {
        self.is_wrong.then_some("true")
    }

    fn is_locked(&self) -> bool {
        !self.field.is_editable()
    }

    /// The inputs of the field.
    pub(super) fn inputs(&self) -> Markup {
        if !self.fits() {
            return self.area(true);
        }
        let field = self.field;
        match field.widget {
            Widget::Text => self.line("text", None, false),
            Widget::Url => self.line("url", None, true),
            Widget::Number => {
                let mode = if field.kind == ValueKind::Integer { "numeric" } else { "decimal" };
                self.line("text", Some(mode), false)
            }
            Widget::Date if self.text().is_empty() || is_day(&self.text()) => self.line("date", None, false),
            Widget::Date | Widget::DateTime | Widget::Duration | Widget::Character => {
                self.line("text", None, true)
            }
            Widget::Code => match self.text().contains('\n') {
                true => self.area(true),
                false => self.line("text", None, true),
            },
            Widget::Textarea | Widget::Tags => self.area(false),
            Widget::Json => self.area(true),
            Widget::Switch => self.tick(true),
            Widget::Checkbox => self.tick(false),
            Widget::Select => self.select(&self.choices()),
            Widget::Secret => self.select(
                &self.filled.secrets.iter().map(|name| (name.clone(), name.clone())).collect::<Vec<_>>(),
            ),
            Widget::Radio => self.radios(),
            Widget::MultiSelect => self.boxes(),
            Widget::Storage => self.storage(),
            Widget::Table => table::rows(self),
        }
    }

    fn line(&self, kind: &str, mode: Option<&str>, is_code: bool) -> Markup {
        let field = self.field;
        let suggested = (!field.suggest.is_empty()).then(|| format!("{}-list", self.id));
        let class = match (field.width, is_code, field.widget) {
            (Some(Width::Short), true, _) | (_, _, Widget::Character) => "short code",
            (Some(Width::Short), false, _) | (None, _, Widget::Number) => "short",
            (_, true, _) => "code",
            _ => "",
        };
        let placeholder = field.placeholder.clone().or_else(|| field.default.as_ref().map(text_of));
        html! {
            input type=(kind) id=(self.id) name=(self.name) value=(self.text()) class=[Some(class).filter(|class| !class.is_empty())]
                placeholder=[placeholder] inputmode=[mode] list=[&suggested] maxlength=[field.constraints.length_max.filter(|_| kind == "text")]
                aria-describedby=[self.described_by()] aria-invalid=[self.invalid()] aria-required=[field.required.then_some("true")]
                readonly[self.is_locked()] spellcheck="false" autocomplete="off";
            @if let Some(id) = suggested {
                datalist id=(id) { @for text in &field.suggest { option { (text) } } }
            }
        }
    }

    /// Several lines: a text, the entries of a list, or JSON.
    fn area(&self, is_code: bool) -> Markup {
        let field = self.field;
        let is_list = matches!(field.kind, ValueKind::List(_)) && self.fits() && field.widget != Widget::Json;
        let text = match is_list {
            true => self.texts().into_iter().skip(1).map(|(_, text)| text).collect::<Vec<_>>().join("\n"),
            false => self.text(),
        };
        let rows = (text.lines().count() + 1).clamp(2, 20);
        html! {
            @if is_list { input type="hidden" name=(self.name) value=""; }
            textarea id=(self.id) name=(self.name) rows=(rows) class=[is_code.then_some("code")] placeholder=[&field.placeholder]
                aria-describedby=[self.described_by()] aria-invalid=[self.invalid()] readonly[self.is_locked()] spellcheck="false" {
                // A browser drops the first line break.
                "\n" (text)
            }
            @if is_list { p.help { "One on each line." } }
        }
    }

    fn tick(&self, is_switch: bool) -> Markup {
        let counted = self.value.or(self.field.default.as_ref());
        let is_on = counted == Some(&Value::Bool(true));
        // A box that nobody has ticked says nothing, where nothing was said before.
        let says_no = counted.is_some() || self.field.required;
        html! {
            span.choice {
                @if says_no { input type="hidden" name=(self.name) value="false" disabled[self.is_locked()]; }
                input type="checkbox" class=[is_switch.then_some("switch")] role=[is_switch.then_some("switch")]
                    id=(self.id) name=(self.name) value="true" checked[is_on] disabled[self.is_locked()]
                    aria-describedby=[self.described_by()] aria-invalid=[self.invalid()];
            }
        }
    }

    /// The texts and labels to choose from.
    fn choices(&self) -> Vec<(String, String)> {
        self.field.options.iter().map(|choice| (choice.text(), choice.label.clone())).collect()
    }

    fn select(&self, choices: &[(String, String)]) -> Markup {
        let chosen = self.text();
        let is_known = chosen.is_empty() || choices.iter().any(|(text, _)| *text == chosen);
        let empty = match &self.field.default {
            Some(default) => format!("Default: {}", label_of(choices, &text_of(default))),
            None => "Nothing".to_owned(),
        };
        html! {
            select id=(self.id) name=(self.name) aria-describedby=[self.described_by()] aria-invalid=[self.invalid()] disabled[self.is_locked()] {
                @if chosen.is_empty() || !self.field.required { option value="" selected[chosen.is_empty()] { (empty) } }
                @if !is_known { option value=(chosen) selected { (chosen) } }
                @for (text, label) in choices {
                    option value=(text) selected[*text == chosen] { (label) }
                }
            }
        }
    }

    /// An input of a column for which a component names values.
    pub(super) fn suggested(&self, said: &FormColumn) -> Markup {
        if !said.free {
            let label = |option: &FormOption| match option.hint.is_empty() {
                true => option.label.clone(),
                false => format!("{} ({})", option.label, option.hint),
            };
            let choices: Vec<_> =
                said.options.iter().map(|option| (option.value.clone(), label(option))).collect();
            return self.select(&choices);
        }
        let list = format!("{}-said", self.id);
        html! {
            input type="text" id=(self.id) name=(self.name) value=(self.text()) list=(list) spellcheck="false" autocomplete="off";
            datalist id=(list) { @for option in &said.options { option value=(option.value) { (option.label) } } }
        }
    }

    fn radios(&self) -> Markup {
        let choices = self.choices();
        if choices.len() > RADIOS_MAX {
            return self.select(&choices);
        }
        let chosen = match self.value {
            Some(_) => self.text(),
            None => self.field.default.as_ref().map(text_of).unwrap_or_default(),
        };
        html! {
            div.choice role="radiogroup" aria-labelledby={ (self.id) "-label" } aria-describedby=[self.described_by()] {
                @for (text, label) in &choices {
                    label {
                        input type="radio" name=(self.name) value=(text) checked[*text == chosen] disabled[self.is_locked()];
                        bdi { (label) }
                    }
                }
            }
        }
    }

    fn boxes(&self) -> Markup {
        let chosen: Vec<_> = self.texts().into_iter().map(|(_, text)| text).collect();
        html! {
            div.choice role="group" aria-labelledby={ (self.id) "-label" } aria-describedby=[self.described_by()] {
                input type="hidden" name=(self.name) value="" disabled[self.is_locked()];
                @for (text, label) in self.choices() {
                    label {
                        input type="checkbox" name=(self.name) value=(text) checked[chosen.contains(&text)] disabled[self.is_locked()];
                        bdi { (label) }
                    }
                }
            }
        }
    }

    /// Where a file lies: the type, and what that type asks for.
    fn storage(&self) -> Markup {
        let prefix = format!("{}.", self.name);
        let counted = self.value.cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        html! {
            div.joined.storage role="group" aria-labelledby={ (self.id) "-label" } {
                @for member in &self.field.members {
                    @let name = format!("{prefix}{}", member.name);
                    @let id = format!("p-{name}");
                    @let drawn = Drawn {
                        name: &name, id: &id, field: member, value: self.value.and_then(|value| value.get(&member.name)),
                        filled: self.filled, is_wrong: self.is_wrong,
                    };
                    @let is_there = member.when.holds(&with_default(&counted, self.field));
                    span.member data-when=[conditions(&member.when, &prefix)] hidden[!is_there] {
                        @if has_one_input(member) {
                            label for=(id) { bdi { (member.label) } }
                        } @else {
                            span id={ (id) "-label" } { bdi { (member.label) } }
                        }
                        (drawn.inputs())
                        @if let Some(address) = self.filled.uploads.filter(|_| member.name == UPLOAD && !self.is_locked()) {
                            label.button.small.needs-script {
                                (icon("i-upload")) span data-progress { "Upload…" }
                                input.sr type="file" data-upload=(address) data-into=(id);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The members of a storage with the default of its type, on which the others depend.
fn with_default(members: &Value, field: &Field) -> Value {
    let mut members = members.clone();
    if let (Some(members), Some(kind)) = (members.as_object_mut(), field.members.first()) {
        if let (false, Some(default)) = (members.contains_key(&kind.name), &kind.default) {
            members.insert(kind.name.clone(), default.clone());
        }
    }
    members
}

fn label_of(choices: &[(String, String)], text: &str) -> String {
    choices
        .iter()
        .find(|(known, _)| known == text)
        .map_or_else(|| text.to_owned(), |(_, label)| label.clone())
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

/// Whether a text is a day as a browser's own input takes it.
fn is_day(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}
