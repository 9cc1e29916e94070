//! Forms: fields, what is wrong with them, and the changes that they stand for.
//!
//! `Form::changes` is the one builder: validation, the COMMAND line and the submit all use it. Pure.

use super::change::{Change, Source};
use super::clock::Ms;
use super::data::Data;
use super::event::Ticket;
use super::input::Input;
use super::item::{Item, Kind};
use super::units;

/// The longest name that Cinder keeps.
const NAME_CHARS_MAX: usize = 255;

/// What a form is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A volume, empty or from a source.
    Create(Source),
    /// A larger volume: id.
    Extend(String),
    /// Snapshots of volumes: ids.
    Snapshot(Vec<String>),
    /// Volume to a host: id.
    Attach(String),
}

/// What a field takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Text(Input),
    /// Options, the chosen one.
    Choice(Vec<String>, usize),
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// Its label, by which the builder finds it.
    pub(crate) label: &'static str,
    /// What it takes.
    pub(crate) entry: Entry,
    /// What is asked for, in a few words.
    pub(crate) note: &'static str,
}

/// A form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Form {
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// Its title.
    pub(crate) title: String,
    /// Its fields.
    pub(crate) fields: Vec<Field>,
    /// The field with the cursor; one past the last is Cancel, two past is the button.
    pub(crate) focus: usize,
    /// What the daemon said of the last try.
    pub(crate) refused: Option<String>,
    /// Changes under way, and those that went well.
    pub(crate) waiting: Vec<Ticket>,
    /// Where the daemon would place it, in words.
    pub(crate) placement: Option<String>,
    /// The question about the placement that is open.
    pub(crate) asked: Option<Ticket>,
    /// When to ask about the placement.
    pub(crate) ask_at: Option<Ms>,
    /// Whether anything was typed.
    pub(crate) is_edited: bool,
}

fn text(label: &'static str, value: &str, note: &'static str) -> Field {
    Field {
        label,
        entry: Entry::Text(Input::of(value)),
        note,
    }
}

fn choice(label: &'static str, options: Vec<String>, note: &'static str) -> Field {
    Field {
        label,
        entry: Entry::Choice(options, 0),
        note,
    }
}

impl Form {
    fn new(purpose: Purpose, title: String, fields: Vec<Field>) -> Self {
        Self {
            purpose,
            title,
            fields,
            focus: 0,
            refused: None,
            waiting: Vec::new(),
            placement: None,
            asked: None,
            ask_at: None,
            is_edited: false,
        }
    }

    /// A new volume, empty or with the content of `from`.
    pub(crate) fn create(from: Option<(Kind, &Item)>, data: &Data) -> Self {
        let (source, title, size) = match from {
            Some((Kind::Snapshot, item)) => (
                Source::Snapshot(item.id.clone()),
                format!("New volume from snapshot {}", item.title()),
                item.size_gib,
            ),
            Some((_, item)) => (
                Source::Volume(item.id.clone()),
                format!("New volume, a clone of {}", item.title()),
                item.size_gib,
            ),
            None => (Source::Empty, "New volume".to_owned(), None),
        };
        let size = size
            .map(|size_gib| format!("{size_gib}G"))
            .unwrap_or_default();
        let mut types = vec!["(default)".to_owned()];
        types.extend(data.of(Kind::Type).rows().map(|row| row.name.clone()));
        let fields = vec![
            text("Name", "", "up to 255 characters; may repeat"),
            text("Size", &size, "10G, 1.5T: whole GiB"),
            choice("Type", types, "Left/Right choose"),
            text("Description", "", "what it is for; may be empty"),
        ];
        Self::new(Purpose::Create(source), title, fields)
    }

    /// A larger volume.
    pub(crate) fn extend(volume: &Item) -> Self {
        let title = format!("Extend {}", volume.title());
        let fields = vec![text("New size", "", "1T, or +100G for so much more")];
        Self::new(Purpose::Extend(volume.id.clone()), title, fields)
    }

    /// Snapshots of one or more volumes.
    pub(crate) fn snapshot(volumes: &[&Item]) -> Self {
        let title = match volumes {
            [one] => format!("Snapshot {}", one.title()),
            many => format!("Snapshot {} volumes", many.len()),
        };
        let fields = vec![
            text("Name", "", "may be empty"),
            text("Description", "", "what it is for; may be empty"),
        ];
        let ids = volumes.iter().map(|volume| volume.id.clone()).collect();
        Self::new(Purpose::Snapshot(ids), title, fields)
    }

    /// A volume to a host.
    pub(crate) fn attach(volume: &Item) -> Self {
        let title = format!("Attach {}", volume.title());
        let modes = vec!["read-write".to_owned(), "read-only".to_owned()];
        let fields = vec![
            text(
                "Initiator",
                "",
                "the host's IQN: /etc/iscsi/initiatorname.iscsi",
            ),
            text("Host", "", "the host's name; may be empty"),
            choice("Mode", modes, "Left/Right choose"),
        ];
        Self::new(Purpose::Attach(volume.id.clone()), title, fields)
    }

    /// The text of a field.
    pub(crate) fn value(&self, label: &str) -> String {
        match self
            .fields
            .iter()
            .find(|field| field.label == label)
            .map(|field| &field.entry)
        {
            Some(Entry::Text(input)) => input.text().trim().to_owned(),
            Some(Entry::Choice(options, at)) => options.get(*at).cloned().unwrap_or_default(),
            None => String::new(),
        }
    }

    /// What the form stands for, or the field that is wrong and why.
    pub(crate) fn changes(&self, data: &Data) -> Result<Vec<Change>, (&'static str, String)> {
        match &self.purpose {
            Purpose::Create(source) => self.create_change(source, data).map(|change| vec![change]),
            Purpose::Extend(id) => self.extend_change(id, data).map(|change| vec![change]),
            Purpose::Snapshot(ids) => {
                name_fits(&self.value("Name"))?;
                let change = |id: &String| Change::CreateSnapshot {
                    volume_id: id.clone(),
                    title: data.volume_title(id),
                    name: self.value("Name"),
                    description: self.value("Description"),
                };
                Ok(ids.iter().map(change).collect())
            }
            Purpose::Attach(id) => {
                let initiator = self.value("Initiator");
                if let Some(why) = initiator_fault(&initiator) {
                    return Err(("Initiator", why.to_owned()));
                }
                Ok(vec![Change::CreateAttachment {
                    volume_id: id.clone(),
                    title: data.volume_title(id),
                    initiator,
                    host: self.value("Host"),
                    is_read_only: self.value("Mode") == "read-only",
                }])
            }
        }
    }

    fn create_change(
        &self,
        source: &Source,
        data: &Data,
    ) -> Result<Change, (&'static str, String)> {
        let name = self.value("Name");
        name_fits(&name)?;
        let size_gib = units::read_gib(&self.value("Size"), None).map_err(|why| ("Size", why))?;
        let least = match source {
            Source::Empty => None,
            Source::Snapshot(id) => data.get(Kind::Snapshot, id).and_then(|item| item.size_gib),
            Source::Volume(id) => data.get(Kind::Volume, id).and_then(|item| item.size_gib),
        };
        if let Some(least) = least.filter(|least| size_gib < *least) {
            return Err((
                "Size",
                format!("at least {}: the size of its source", units::gib(least)),
            ));
        }
        quota_allows(data, "volumes", 1).map_err(|why| ("Name", why))?;
        quota_allows(data, "gigabytes", size_gib).map_err(|why| ("Size", why))?;
        let volume_type = match self.value("Type").as_str() {
            "(default)" => String::new(),
            named => named.to_owned(),
        };
        let description = self.value("Description");
        Ok(Change::CreateVolume {
            name,
            size_gib,
            volume_type,
            description,
            source: source.clone(),
        })
    }

    fn extend_change(&self, id: &str, data: &Data) -> Result<Change, (&'static str, String)> {
        let gone = || ("New size", "the volume is gone".to_owned());
        let volume = data.get(Kind::Volume, id).ok_or_else(gone)?;
        let size_gib = units::read_gib(&self.value("New size"), volume.size_gib)
            .map_err(|why| ("New size", why))?;
        let now_gib = volume.size_gib.unwrap_or(0);
        if size_gib <= now_gib {
            return Err((
                "New size",
                format!("more than {}: volumes do not shrink", units::gib(now_gib)),
            ));
        }
        quota_allows(data, "gigabytes", size_gib - now_gib).map_err(|why| ("New size", why))?;
        Ok(Change::ExtendVolume {
            id: id.to_owned(),
            title: volume.title(),
            size_gib,
        })
    }

    /// What will be, from what the console knows; nothing is guessed.
    pub(crate) fn after(&self, data: &Data) -> Vec<String> {
        let mut lines: Vec<String> = self.placement.iter().cloned().collect();
        let Ok(changes) = self.changes(data) else {
            return lines;
        };
        match changes.first() {
            Some(Change::CreateVolume { size_gib, .. }) => {
                lines.extend(quota_line(data, *size_gib, 1))
            }
            Some(Change::ExtendVolume { id, size_gib, .. }) => {
                let now_gib = data
                    .get(Kind::Volume, id)
                    .and_then(|volume| volume.size_gib)
                    .unwrap_or(0);
                lines.push(format!(
                    "{} > {}, {} bytes",
                    units::gib(now_gib),
                    units::gib(*size_gib),
                    units::grouped(size_gib.saturating_mul(1 << 30))
                ));
                lines.extend(quota_line(data, size_gib.saturating_sub(now_gib), 0));
            }
            Some(Change::CreateSnapshot { .. }) => {
                lines.push(format!(
                    "{} more; the volumes stay in use",
                    plural(changes.len(), "snapshot")
                ));
            }
            Some(Change::CreateAttachment { .. }) => {
                lines.push("exported to this initiator alone; H on the attachment says that the host has it".to_owned());
            }
            _ => {}
        }
        lines
    }
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

fn name_fits(name: &str) -> Result<(), (&'static str, String)> {
    let count = name.chars().count();
    if count > NAME_CHARS_MAX {
        return Err((
            "Name",
            format!("{count} characters; at most {NAME_CHARS_MAX}"),
        ));
    }
    Ok(())
}

fn initiator_fault(initiator: &str) -> Option<&'static str> {
    if initiator.is_empty() {
        return Some("the host's initiator name is needed: nobody else may log in");
    }
    let is_known = ["iqn.", "eui.", "naa."]
        .iter()
        .any(|start| initiator.starts_with(start));
    if !is_known || initiator.contains(char::is_whitespace) {
        return Some("an initiator name begins with iqn., eui. or naa. and has no spaces");
    }
    None
}

fn quota_allows(data: &Data, resource: &str, more: u64) -> Result<(), String> {
    match data.quota.as_ref().and_then(|quota| quota.left(resource)) {
        Some(left) if i64::try_from(more).map_or(true, |more| more > left) => Err(format!(
            "quota: {left} {resource} left in this project; 0 shows it"
        )),
        _ => Ok(()),
    }
}

fn quota_line(data: &Data, more_gib: u64, more_volumes: i64) -> Option<String> {
    let quota = data.quota.as_ref()?;
    let row = |name: &str| quota.rows.iter().find(|(resource, ..)| resource == name);
    let (_, limit, used) = row("gigabytes")?;
    let of = |limit: i64| {
        if limit < 0 {
            "no limit".to_owned()
        } else {
            format!("of {limit}")
        }
    };
    let after = used.saturating_add(i64::try_from(more_gib).unwrap_or(i64::MAX));
    let mut line = format!("quota {used} > {after} {} GiB", of(*limit));
    if let Some((_, limit, used)) = row("volumes").filter(|_| more_volumes > 0) {
        line.push_str(&format!(
            "; volumes {used} > {} {}",
            used + more_volumes,
            of(*limit)
        ));
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::data::Quota;
    use serde_json::json;

    fn data() -> Data {
        let mut data = Data::default();
        let value = json!({"id": "v1", "name": "pg", "status": "available", "size": 10});
        data.of_mut(Kind::Volume)
            .put(Item::read(Kind::Volume, &value).unwrap());
        data.quota = Some(Quota {
            rows: vec![
                ("gigabytes".to_owned(), 100, 60),
                ("volumes".to_owned(), 10, 4),
            ],
        });
        data
    }

    fn fill(form: &mut Form, label: &str, value: &str) {
        let field = form
            .fields
            .iter_mut()
            .find(|field| field.label == label)
            .unwrap();
        field.entry = Entry::Text(Input::of(value));
    }

    #[test]
    fn a_form_says_which_field_is_wrong_before_anything_is_sent() {
        let data = data();
        let mut form = Form::create(None, &data);
        assert_eq!(form.changes(&data).unwrap_err().0, "Size");
        fill(&mut form, "Size", "50G");
        assert_eq!(
            form.changes(&data).unwrap_err().1,
            "quota: 40 gigabytes left in this project; 0 shows it"
        );
        fill(&mut form, "Size", "0.01T");
        let changes = form.changes(&data).unwrap();
        assert!(
            matches!(&changes[0], Change::CreateVolume { size_gib: 11, .. }),
            "{changes:?}"
        );
        assert_eq!(
            form.after(&data),
            ["quota 60 > 71 of 100 GiB; volumes 4 > 5 of 10"]
        );
        fill(&mut form, "Name", &"x".repeat(256));
        assert_eq!(form.changes(&data).unwrap_err().0, "Name");
    }

    #[test]
    fn an_extend_only_grows_and_a_clone_is_no_smaller_than_its_source() {
        let data = data();
        let volume = data.get(Kind::Volume, "v1").unwrap();
        let mut form = Form::extend(volume);
        fill(&mut form, "New size", "10G");
        assert!(form.changes(&data).unwrap_err().1.contains("do not shrink"));
        fill(&mut form, "New size", "+5");
        assert!(matches!(
            form.changes(&data).unwrap()[0],
            Change::ExtendVolume { size_gib: 15, .. }
        ));
        let mut form = Form::create(Some((Kind::Volume, volume)), &data);
        assert_eq!(form.value("Size"), "10G");
        fill(&mut form, "Size", "9G");
        assert!(form.changes(&data).unwrap_err().1.contains("its source"));
    }

    #[test]
    fn an_attach_needs_an_initiator() {
        let data = data();
        let mut form = Form::attach(data.get(Kind::Volume, "v1").unwrap());
        for bad in ["", "db01", "iqn.a b"] {
            fill(&mut form, "Initiator", bad);
            assert_eq!(form.changes(&data).unwrap_err().0, "Initiator", "{bad}");
        }
        fill(&mut form, "Initiator", "iqn.1993-08.org.debian:01:db01");
        assert!(form.changes(&data).is_ok());
    }
}
