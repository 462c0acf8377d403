//! How a connector file changes the layout that its job has without it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::condition::Condition;
use super::layout::{
    Describer, EntryLayout, FieldLayout, FieldOptions, FormLayout, GroupLayout, TabLayout, is_required, names,
};
use super::rights::TabRight;
use super::widget::Icon;

/// What a connector file says about the form of a job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FormChanges {
    /// New tabs, and tabs of the extended job that change.
    pub tabs: Vec<TabChange>,
    /// The parameters that a launch may change; `None` leaves them as they are.
    pub launch: Option<BTreeSet<String>>,
}

/// A new tab, or what changes in a tab.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TabChange {
    /// Its code.
    pub code: String,
    /// A label for people; a new tab without one is called as its code.
    pub label: Option<String>,
    /// The tab beside which it stands; a new tab without one comes last.
    pub place: Option<Place>,
    /// A picture beside the label.
    pub icon: Option<Icon>,
    /// Who sees and changes its fields.
    pub right: Option<TabRight>,
    /// When it is there.
    pub when: Option<Condition>,
    /// The component that says what stands in it.
    pub described_by: Option<Describer>,
    /// Whether it is not drawn.
    pub hide: Option<bool>,
    /// Fields and groups that come, change or move here.
    pub entries: Vec<EntryChange>,
}

/// A field or a group that comes, changes or moves.
#[derive(Debug, Clone, PartialEq)]
pub enum EntryChange {
    /// A field.
    Field(FieldChange),
    /// A group.
    Group(GroupChange),
}

/// A group with fields that come, change or move into it.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupChange {
    /// For people. A group of that label in the tab is meant, or else a new one.
    pub label: String,
    /// Whether it is closed at first.
    pub folded: Option<bool>,
    /// The fields.
    pub fields: Vec<FieldChange>,
}

/// A field that comes, changes or moves.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// The name of the parameter.
    pub name: String,
    /// The field beside which it stands.
    pub place: Option<Place>,
    /// Its options.
    pub options: FieldOptions,
}

/// A place beside another thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Directly after it.
    After(String),
    /// Directly before it.
    Before(String),
}

impl Place {
    /// The name of the other thing.
    pub fn name(&self) -> &str {
        match self {
            Self::After(name) | Self::Before(name) => name,
        }
    }

    /// The place in a list where the other thing is at `at`.
    fn index(&self, at: usize) -> usize {
        match self {
            Self::After(_) => at + 1,
            Self::Before(_) => at,
        }
    }
}

impl TabChange {
    /// Its fields, also those in groups.
    pub fn fields(&self) -> impl Iterator<Item = &FieldChange> {
        self.entries.iter().flat_map(|entry| match entry {
            EntryChange::Field(field) => std::slice::from_ref(field),
            EntryChange::Group(group) => &group.fields[..],
        })
    }
}

impl FormLayout {
    /// The layout with the changes of a connector file. `schema` has all parameters of the job.
    ///
    /// Listed fields come in the order of the list. Then the parameters that nobody has placed go to the end of the
    /// first tab. Fields with a place of their own move last, so that they find each other.
    #[must_use]
    pub fn changed(base: Option<&Self>, changes: &FormChanges, schema: &Value) -> Self {
        let mut layout = base.cloned().unwrap_or_default();
        let mut moves = Vec::new();
        for change in &changes.tabs {
            layout.change_tab(change, &mut moves);
        }
        let moved: BTreeSet<&str> = moves.iter().map(|(_, field)| field.name.as_str()).collect();
        let placed: BTreeSet<String> = layout.fields().map(|(_, field)| field.name.clone()).collect();
        for name in names(schema).filter(|name| !placed.contains(*name) && !moved.contains(name)) {
            layout.append(FieldLayout::plain(name), is_required(schema, name));
        }
        for (tab, field) in moves {
            layout.move_field(tab, field);
        }
        layout.move_tabs(&changes.tabs);
        for tab in &mut layout.tabs {
            tab.entries.retain(
                |entry| !matches!(entry, EntryLayout::Group(group) if group.fields.is_empty() && !group.collects_rest),
            );
        }
        if changes.launch.is_some() {
            layout.launch.clone_from(&changes.launch);
        }
        layout
    }

    fn change_tab<'a>(&mut self, change: &'a TabChange, moves: &mut Vec<(&'a str, &'a FieldChange)>) {
        let TabChange { code, label, icon, right, when, described_by, hide, entries, .. } = change;
        let at = self.tabs.iter().position(|tab| tab.code == *code).unwrap_or_else(|| {
            let new = TabLayout { code: code.clone(), label: label_of(code), ..TabLayout::default() };
            self.tabs.push(new);
            self.tabs.len() - 1
        });
        let tab = &mut self.tabs[at];
        tab.label = label.clone().unwrap_or_else(|| std::mem::take(&mut tab.label));
        tab.icon = icon.or(tab.icon);
        tab.right = right.clone().unwrap_or_else(|| std::mem::take(&mut tab.right));
        tab.when = when.clone().unwrap_or_else(|| std::mem::take(&mut tab.when));
        tab.described_by = described_by.clone().or_else(|| tab.described_by.take());
        tab.hide = hide.unwrap_or(tab.hide);
        for entry in entries {
            match entry {
                EntryChange::Field(field) => self.change_field(at, None, field, moves, code),
                EntryChange::Group(group) => {
                    let group_at = self.group(at, group);
                    for field in &group.fields {
                        self.change_field(at, Some(group_at), field, moves, code);
                    }
                }
            }
        }
    }

    /// The place of a group in its tab; it is made if it is not there.
    fn group(&mut self, tab: usize, change: &GroupChange) -> usize {
        let entries = &mut self.tabs[tab].entries;
        let is_it =
            |entry: &EntryLayout| matches!(entry, EntryLayout::Group(group) if group.label == change.label);
        let at = entries.iter().position(is_it).unwrap_or_else(|| {
            entries.push(EntryLayout::Group(GroupLayout {
                label: change.label.clone(),
                folded: false,
                collects_rest: false,
                fields: Vec::new(),
            }));
            entries.len() - 1
        });
        if let EntryLayout::Group(group) = &mut entries[at] {
            group.folded = change.folded.unwrap_or(group.folded);
        }
        at
    }

    fn change_field<'a>(
        &mut self,
        tab: usize,
        group: Option<usize>,
        change: &'a FieldChange,
        moves: &mut Vec<(&'a str, &'a FieldChange)>,
        code: &'a str,
    ) {
        if change.place.is_some() {
            moves.push((code, change));
            return;
        }
        let stays = match group {
            None => self.tabs[tab].fields().any(|field| field.name == change.name),
            Some(group) => matches!(
                &self.tabs[tab].entries[group],
                EntryLayout::Group(group) if group.fields.iter().any(|field| field.name == change.name)
            ),
        };
        if stays {
            self.overlay(&change.name, change.options.clone());
            return;
        }
        // Its old place is emptied without moving the entries of this tab, whose places are known by number.
        let is_in_this_tab = self.tabs[tab].fields().any(|field| field.name == change.name);
        let mut field = match is_in_this_tab {
            true => self.take_keeping_places(tab, &change.name),
            false => self.take(&change.name),
        }
        .unwrap_or_else(|| FieldLayout::plain(&change.name));
        field.options = field.options.overlaid(change.options.clone());
        let entries = &mut self.tabs[tab].entries;
        match group {
            Some(at) => {
                if let EntryLayout::Group(group) = &mut entries[at] {
                    group.fields.push(field);
                }
            }
            None => entries.push(EntryLayout::Field(field)),
        }
    }

    /// Takes a field out of a tab, and leaves an empty group in its place, which is removed in the end.
    fn take_keeping_places(&mut self, tab: usize, name: &str) -> Option<FieldLayout> {
        for entry in &mut self.tabs[tab].entries {
            match entry {
                EntryLayout::Field(field) if field.name == name => {
                    let empty = EntryLayout::Group(GroupLayout {
                        label: String::new(),
                        folded: false,
                        collects_rest: false,
                        fields: Vec::new(),
                    });
                    let EntryLayout::Field(field) = std::mem::replace(entry, empty) else { return None };
                    return Some(field);
                }
                EntryLayout::Group(group) => {
                    if let Some(at) = group.fields.iter().position(|field| field.name == name) {
                        return Some(group.fields.remove(at));
                    }
                }
                EntryLayout::Field(_) => {}
            }
        }
        None
    }

    /// Puts a field beside another one of the tab, or at the end of the tab if that is not there.
    fn move_field(&mut self, code: &str, change: &FieldChange) {
        let mut field = self.take(&change.name).unwrap_or_else(|| FieldLayout::plain(&change.name));
        field.options = field.options.overlaid(change.options.clone());
        let (Some(tab), Some(place)) = (self.tabs.iter_mut().find(|tab| tab.code == code), &change.place)
        else {
            return;
        };
        for at in 0..tab.entries.len() {
            match &mut tab.entries[at] {
                EntryLayout::Field(other) if other.name == place.name() => {
                    tab.entries.insert(place.index(at), EntryLayout::Field(field));
                    return;
                }
                EntryLayout::Group(group) => {
                    if let Some(within) = group.fields.iter().position(|other| other.name == place.name()) {
                        group.fields.insert(place.index(within), field);
                        return;
                    }
                }
                EntryLayout::Field(_) => {}
            }
        }
        tab.entries.push(EntryLayout::Field(field));
    }

    fn move_tabs(&mut self, changes: &[TabChange]) {
        for TabChange { code, place, .. } in changes {
            let Some(place) = place.as_ref().filter(|place| place.name() != code) else { continue };
            let Some(from) = self.tabs.iter().position(|tab| tab.code == *code) else { continue };
            let tab = self.tabs.remove(from);
            let at = self.tabs.iter().position(|tab| tab.code == place.name());
            self.tabs.insert(at.map_or(from, |at| place.index(at)), tab);
        }
    }
}

/// A label made of a code: `by_day` is `By day`.
fn label_of(code: &str) -> String {
    let spaced = code.replace(['_', '-'], " ");
    let mut characters = spaced.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
