//! Where the objects of each noun are found: path, key of the list, how one is named. Data only.

/// Which of the two APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    /// Cinder's, below `/v3/{project_id}`.
    Cinder,
    /// Ashlar's own, below `/ashlar/v1`.
    Ashlar,
    /// None: it is on this machine.
    Local,
}

/// An option of a list that the server answers to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Param {
    /// The option's name, and the field's in the filter language.
    pub(crate) option: &'static str,
    /// What the server calls it.
    pub(crate) query: &'static str,
    /// For the help.
    pub(crate) help: &'static str,
    /// How its value is to be read.
    pub(crate) kind: ParamKind,
}

/// How the value of a list's option is read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ParamKind {
    /// As it stands.
    Text,
    /// The name or id of an object of that place; its id is sent.
    Object(&'static Place),
    /// There is no value; the option's presence sends this one.
    Flag(&'static str),
}

impl Param {
    const fn text(option: &'static str, query: &'static str, help: &'static str) -> Self {
        Self {
            option,
            query,
            help,
            kind: ParamKind::Text,
        }
    }

    const fn flag(
        option: &'static str,
        query: &'static str,
        value: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            option,
            query,
            help,
            kind: ParamKind::Flag(value),
        }
    }

    const fn object(
        option: &'static str,
        query: &'static str,
        place: &'static Place,
        help: &'static str,
    ) -> Self {
        Self {
            option,
            query,
            help,
            kind: ParamKind::Object(place),
        }
    }
}

/// Where the objects of a noun are found.
#[derive(Debug)]
pub(crate) struct Place {
    /// What people call it.
    pub(crate) noun: &'static str,
    /// Whose API it is in.
    pub(crate) api: Api,
    /// The list with all fields.
    pub(crate) list: &'static str,
    /// The key of the list in its answer.
    pub(crate) collection: &'static str,
    /// The path of one object, to which `/id` is added; empty where objects are only in the list.
    pub(crate) path: &'static str,
    /// The key of the one object in its answer.
    pub(crate) key: &'static str,
    /// The field that tells one object from another.
    pub(crate) id: &'static str,
    /// The field that people call it by; empty where there is none.
    pub(crate) name: &'static str,
    /// Whether the list comes in pages.
    pub(crate) is_paged: bool,
    /// Whether the list can be filtered by name at the server.
    pub(crate) has_name_filter: bool,
    /// What else it can be filtered by at the server.
    pub(crate) params: &'static [Param],
}

const CINDER: Place = Place {
    noun: "",
    api: Api::Cinder,
    list: "",
    collection: "",
    path: "",
    key: "",
    id: "id",
    name: "name",
    is_paged: false,
    has_name_filter: false,
    params: &[],
};

const ASHLAR: Place = Place {
    api: Api::Ashlar,
    name: "",
    ..CINDER
};

const ALL_PROJECTS: Param = Param::flag(
    "all-projects",
    "all_tenants",
    "1",
    "of every project (admin)",
);
const STATUS: Param = Param::text("status", "status", "only those in this status");
const NAME: Param = Param::text("name", "name", "only those of this name");

/// Volumes.
pub(crate) static VOLUME: Place = Place {
    noun: "volume",
    list: "/volumes/detail",
    collection: "volumes",
    path: "/volumes",
    key: "volume",
    is_paged: true,
    has_name_filter: true,
    params: &[
        STATUS,
        NAME,
        Param::text("host", "host", "only those in this pool: host@backend#pool"),
        Param::text("bootable", "bootable", "only those that are (true) or not"),
        Param::text(
            "project",
            "project_id",
            "only those of this project (admin)",
        ),
        ALL_PROJECTS,
    ],
    ..CINDER
};
/// Snapshots.
pub(crate) static SNAPSHOT: Place = Place {
    noun: "snapshot",
    list: "/snapshots/detail",
    collection: "snapshots",
    path: "/snapshots",
    key: "snapshot",
    is_paged: true,
    has_name_filter: true,
    params: &[
        Param::object("volume", "volume_id", &VOLUME, "only those of this volume"),
        STATUS,
        NAME,
        ALL_PROJECTS,
    ],
    ..CINDER
};
/// Backups.
pub(crate) static BACKUP: Place = Place {
    noun: "backup",
    list: "/backups/detail",
    collection: "backups",
    path: "/backups",
    key: "backup",
    is_paged: true,
    has_name_filter: true,
    params: &[
        // The volume may be gone: its id is taken as it stands.
        Param::text("volume", "volume_id", "only those of the volume of this id"),
        STATUS,
        NAME,
        ALL_PROJECTS,
    ],
    ..CINDER
};
/// Attachments, which have no name.
pub(crate) static ATTACHMENT: Place = Place {
    noun: "attachment",
    list: "/attachments/detail",
    collection: "attachments",
    path: "/attachments",
    key: "attachment",
    name: "",
    is_paged: true,
    params: &[
        Param::object("volume", "volume_id", &VOLUME, "only those of this volume"),
        STATUS,
        Param::text("instance", "instance_id", "only those of this server"),
        ALL_PROJECTS,
    ],
    ..CINDER
};
/// Volume types.
pub(crate) static TYPE: Place = Place {
    noun: "type",
    list: "/types",
    collection: "volume_types",
    path: "/types",
    key: "volume_type",
    is_paged: true,
    params: &[Param::flag(
        "all",
        "is_public",
        "None",
        "private ones too (admin)",
    )],
    ..CINDER
};
/// QoS specs.
pub(crate) static QOS: Place = Place {
    noun: "qos",
    list: "/qos-specs",
    collection: "qos_specs",
    path: "/qos-specs",
    key: "qos_specs",
    is_paged: true,
    ..CINDER
};
/// Transfers of volumes between projects.
pub(crate) static TRANSFER: Place = Place {
    noun: "transfer",
    list: "/volume-transfers/detail",
    collection: "transfers",
    path: "/volume-transfers",
    key: "transfer",
    is_paged: true,
    params: &[ALL_PROJECTS],
    ..CINDER
};
/// Messages: why something failed.
pub(crate) static MESSAGE: Place = Place {
    noun: "message",
    list: "/messages",
    collection: "messages",
    path: "/messages",
    key: "message",
    name: "",
    is_paged: true,
    params: &[
        Param::text(
            "object",
            "resource_uuid",
            "only those about the object with this id",
        ),
        Param::text("level", "message_level", "only those of this level"),
        Param::text("request", "request_id", "only those of this request"),
    ],
    ..CINDER
};
/// Services: which process runs where.
pub(crate) static SERVICE: Place = Place {
    noun: "service",
    list: "/os-services",
    collection: "services",
    id: "host",
    name: "binary",
    params: &[
        Param::text("host", "host", "only those on this host"),
        Param::text("binary", "binary", "only those of this program"),
    ],
    ..CINDER
};
/// Pools.
pub(crate) static POOL: Place = Place {
    noun: "pool",
    list: "/scheduler-stats/get_pools?detail=true",
    collection: "pools",
    id: "name",
    ..CINDER
};
/// Hosts as Cinder counts them: one a backend.
pub(crate) static HOST: Place = Place {
    noun: "host",
    list: "/os-hosts",
    collection: "hosts",
    id: "host_name",
    name: "host_name",
    ..CINDER
};
/// Availability zones.
pub(crate) static ZONE: Place = Place {
    noun: "zone",
    list: "/os-availability-zone",
    collection: "availabilityZoneInfo",
    id: "zoneName",
    name: "zoneName",
    ..CINDER
};
/// Quotas, found by project.
pub(crate) static QUOTA: Place = Place {
    noun: "quota",
    path: "/os-quota-sets",
    key: "quota_set",
    ..CINDER
};
/// Operations: what the daemon is doing and has done.
pub(crate) static OPERATION: Place = Place {
    noun: "operation",
    list: "/operations",
    collection: "operations",
    path: "/operations",
    key: "operation",
    is_paged: true,
    params: &[
        Param::text(
            "object",
            "object_id",
            "only those of the object with this id",
        ),
        Param::text("verb", "verb", "only those that do this"),
        Param::text("phase", "phase", "only those in this phase"),
        Param::flag("live", "live", "true", "only those that have not ended"),
    ],
    ..ASHLAR
};
/// Backup stores, by their services: two hosts may have stores of one name.
pub(crate) static BACKUP_STORE: Place = Place {
    noun: "backup-store",
    list: "/backup-stores",
    collection: "backup_stores",
    path: "/backup-stores",
    key: "backup_store",
    id: "host",
    name: "name",
    ..ASHLAR
};
/// Sessions of the own target: which host reads and writes now.
pub(crate) static SESSION: Place = Place {
    noun: "session",
    list: "/sessions",
    collection: "sessions",
    path: "/sessions",
    key: "session",
    ..ASHLAR
};
/// The journal of an object.
pub(crate) static JOURNAL: Place = Place {
    noun: "journal",
    list: "/journal",
    collection: "journal",
    id: "operation_id",
    params: &[],
    ..ASHLAR
};
/// The stream of changes.
pub(crate) static EVENT: Place = Place {
    noun: "event",
    list: "/events",
    collection: "events",
    ..ASHLAR
};
/// Backup sets.
pub(crate) static BACKUP_SET: Place = Place {
    noun: "backup-set",
    list: "/backup-sets",
    collection: "backup_sets",
    path: "/backup-sets",
    key: "backup_set",
    name: "name",
    is_paged: true,
    has_name_filter: true,
    params: &[NAME, ALL_PROJECTS],
    ..ASHLAR
};
/// Tokens of Ashlar's own.
pub(crate) static TOKEN: Place = Place {
    noun: "token",
    list: "/tokens",
    collection: "tokens",
    path: "/tokens",
    key: "token",
    name: "name",
    ..ASHLAR
};
/// What is not at any server.
pub(crate) static LOCAL: Place = Place {
    noun: "",
    api: Api::Local,
    ..CINDER
};
