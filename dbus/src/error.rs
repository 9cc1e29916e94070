//! Why udisks2 could not, named by what the caller can do about it.

use std::time::Duration;

/// What udisks2, LVM behind it, or the way to it answered. `subject` is `group` or `group/volume`.
#[derive(Debug, thiserror::Error)]
pub enum UdisksError {
    /// The group or volume is not there.
    #[error("{subject} does not exist: {text}")]
    NotFound {
        /// What was asked for.
        subject: String,
        /// The answer.
        text: String,
    },
    /// The name is taken.
    #[error("{subject} exists already: {text}")]
    Exists {
        /// What was to be made.
        subject: String,
        /// The answer.
        text: String,
    },
    /// It is open, mounted, or others depend on it; nothing was changed.
    #[error("{subject} is in use: {text}")]
    Busy {
        /// What was to be changed.
        subject: String,
        /// The answer.
        text: String,
    },
    /// The group, or the pool, has not enough room.
    #[error("no room for {subject}: {text}")]
    NoSpace {
        /// What was to be made.
        subject: String,
        /// The answer.
        text: String,
    },
    /// The bus or polkit refuses this caller.
    #[error("not allowed to change {subject}: {text}; run as root, or allow it by a polkit rule")]
    NotAuthorized {
        /// What was to be changed.
        subject: String,
        /// The answer.
        text: String,
    },
    /// There is no bus, or no udisks2 on it; whether the act was done is not known.
    #[error("udisks2 does not answer about {subject}: {text}")]
    Unavailable {
        /// What was asked.
        subject: String,
        /// What was noticed.
        text: String,
    },
    /// No answer in time; udisks2 may still do what it was asked.
    #[error("no answer about {subject} within {} s", waited.as_secs())]
    TimedOut {
        /// What was asked.
        subject: String,
        /// How long was waited.
        waited: Duration,
    },
    /// Anything else that LVM said.
    #[error("{subject}: {text}")]
    Other {
        /// What was asked.
        subject: String,
        /// The answer.
        text: String,
    },
}

/// What LVM writes when it fails, and the error that it stands for; the first that is found counts. The texts are
/// those of lvm2 2.03, which udisks2 passes on within an error named only `Failed`.
const LVM_SAYS: &[(&str, Kind)] = &[
    ("already exists", Kind::Exists),
    ("insufficient free space", Kind::NoSpace),
    ("insufficient suitable", Kind::NoSpace),
    ("no space left", Kind::NoSpace),
    ("not enough free", Kind::NoSpace),
    ("out of data space", Kind::NoSpace),
    ("free extents", Kind::NoSpace),
    ("over-provisioning", Kind::NoSpace),
    ("failed to find", Kind::NotFound),
    ("not found", Kind::NotFound),
    ("in use", Kind::Busy),
    ("is used by", Kind::Busy),
    ("busy", Kind::Busy),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    NotFound,
    Exists,
    Busy,
    NoSpace,
    NotAuthorized,
    Unavailable,
    Other,
}

/// What is kept of an answer: LVM may warn at length about other devices.
const TEXT_LEN_MAX: usize = 2000;

impl UdisksError {
    pub(crate) fn from_bus(subject: &str, error: &zbus::Error) -> Self {
        if let zbus::Error::MethodError(name, text, _) = error {
            let text = text.clone().unwrap_or_else(|| name.to_string());
            return Self::new(kind_of(name.as_str(), &text), subject, text);
        }
        let kind = if let zbus::Error::FDO(error) = error {
            kind_of_fdo(error)
        } else {
            Kind::Unavailable
        };
        Self::new(kind, subject, error.to_string())
    }

    fn new(kind: Kind, subject: &str, mut text: String) -> Self {
        if let Some((at, _)) = text.char_indices().nth(TEXT_LEN_MAX) {
            text.truncate(at);
        }
        let (subject, text) = (subject.to_owned(), text.trim().to_owned());
        match kind {
            Kind::NotFound => Self::NotFound { subject, text },
            Kind::Exists => Self::Exists { subject, text },
            Kind::Busy => Self::Busy { subject, text },
            Kind::NoSpace => Self::NoSpace { subject, text },
            Kind::NotAuthorized => Self::NotAuthorized { subject, text },
            Kind::Unavailable => Self::Unavailable { subject, text },
            Kind::Other => Self::Other { subject, text },
        }
    }
}

fn kind_of(name: &str, text: &str) -> Kind {
    let name = name.rsplit('.').next().unwrap_or(name);
    if name.starts_with("NotAuthorized") {
        return Kind::NotAuthorized;
    }
    if name == "DeviceBusy" {
        return Kind::Busy;
    }
    let text = text.to_lowercase();
    let known = LVM_SAYS.iter().find(|(said, _)| text.contains(said));
    known.map_or(Kind::Other, |(_, kind)| *kind)
}

fn kind_of_fdo(error: &zbus::fdo::Error) -> Kind {
    use zbus::fdo::Error;
    // An object that is not published has neither interface nor method.
    let is_absent = matches!(
        error,
        Error::UnknownObject(_) | Error::UnknownInterface(_) | Error::UnknownMethod(_)
    );
    let is_refused = matches!(
        error,
        Error::AccessDenied(_) | Error::AuthFailed(_) | Error::InteractiveAuthorizationRequired(_)
    );
    let is_unanswered = matches!(
        error,
        Error::ServiceUnknown(_)
            | Error::NameHasNoOwner(_)
            | Error::NoReply(_)
            | Error::NoServer(_)
            | Error::Disconnected(_)
            | Error::SpawnFailed(_)
            | Error::SpawnExecFailed(_)
            | Error::SpawnServiceNotFound(_)
            | Error::TimedOut(_)
            | Error::Timeout(_)
    );
    match (is_absent, is_refused, is_unanswered) {
        (true, ..) => Kind::NotFound,
        (_, true, _) => Kind::NotAuthorized,
        (.., true) => Kind::Unavailable,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lvm_says_becomes_what_can_be_done_about_it() {
        let failed = "org.freedesktop.UDisks2.Error.Failed";
        let cases = [
            (
                failed,
                "Logical Volume \"volume-1\" already exists in volume group \"vg0\"",
                Kind::Exists,
            ),
            (
                failed,
                "Volume group \"vg0\" has insufficient free space (1023 extents): 2048 required.",
                Kind::NoSpace,
            ),
            (
                failed,
                "Failed to find logical volume \"vg0/volume-1\"",
                Kind::NotFound,
            ),
            (failed, "Logical volume vg0/volume-1 in use.", Kind::Busy),
            (failed, "Cannot process volume group vg0", Kind::Other),
            (
                "org.freedesktop.UDisks2.Error.NotAuthorizedCanObtain",
                "no",
                Kind::NotAuthorized,
            ),
            (
                "org.freedesktop.UDisks2.Error.DeviceBusy",
                "open",
                Kind::Busy,
            ),
        ];
        for (name, text, kind) in cases {
            assert_eq!(kind_of(name, text), kind, "{name} {text}");
        }
    }

    #[test]
    fn a_long_answer_is_cut() {
        let error = UdisksError::new(Kind::Other, "vg0", "ä".repeat(TEXT_LEN_MAX * 2));
        assert!(error.to_string().chars().count() <= TEXT_LEN_MAX + "vg0: ".len());
    }
}
