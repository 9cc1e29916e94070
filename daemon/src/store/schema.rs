//! The schema, as an append-only list: index + 1 is the version. A landed entry is never edited.
//!
//! Columns are TEXT and BIGINT only, so that one text serves both engines. Times are TEXT in the wire's spelling
//! (they sort), booleans are 0 and 1, maps are canonical JSON (sorted keys, no spaces).

/// Every migration, oldest first.
pub const MIGRATIONS: &[&str] = &[
    SPINE,
    CONNECTIONS_COME_AND_GO,
    ACTS_OF_A_VOLUME,
    EVENTS,
    SERVICES_AND_MESSAGES,
    POOL_USAGES,
    PACE,
    TYPES_AND_QUOTAS,
    TAKEN_OVER,
    JOURNAL,
    MUTUAL_CHAP,
    MOVES,
    BACKUPS,
];

/// Copies that outlive their volumes: a row refers to none. `volume` is the volume as it was, as JSON. And what the service
/// of each store, `host@store`, last heard of it, with the account of the last import, as JSON.
const BACKUPS: &str = "
CREATE TABLE backups (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    volume_id TEXT NOT NULL,
    snapshot_id TEXT,
    parent_id TEXT,
    name TEXT,
    description TEXT,
    metadata TEXT NOT NULL,
    size_gib BIGINT NOT NULL,
    status TEXT NOT NULL,
    store TEXT NOT NULL,
    host TEXT NOT NULL,
    availability_zone TEXT NOT NULL,
    fail_reason TEXT,
    object_count BIGINT NOT NULL,
    data_bytes BIGINT NOT NULL,
    added_bytes BIGINT NOT NULL,
    data_timestamp TEXT NOT NULL,
    volume TEXT NOT NULL,
    restored_volume_id TEXT,
    verified_at TEXT,
    verified_depth TEXT,
    findings TEXT,
    proven_at TEXT,
    set_id TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT
);
CREATE INDEX backups_by_project ON backups (project_id, created_at, id);
CREATE INDEX backups_by_age ON backups (created_at, id);
CREATE INDEX backups_by_volume ON backups (volume_id, created_at, id);
CREATE INDEX backups_by_store ON backups (store, updated_at, created_at);
CREATE TABLE backup_stores (
    host TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    location TEXT,
    repository_id TEXT,
    used_bytes BIGINT,
    free_bytes BIGINT,
    backups BIGINT,
    reported_at TEXT,
    failure TEXT,
    asked_at TEXT NOT NULL,
    import TEXT
);
CREATE INDEX backups_by_set ON backups (set_id, volume_id, data_timestamp);
CREATE TABLE backup_sets (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    selects TEXT NOT NULL,
    selected TEXT NOT NULL,
    cron TEXT,
    store TEXT,
    is_incremental BIGINT NOT NULL,
    full_every BIGINT NOT NULL,
    may_be_attached BIGINT NOT NULL,
    keep_last BIGINT NOT NULL,
    keep_hourly BIGINT NOT NULL,
    keep_daily BIGINT NOT NULL,
    keep_weekly BIGINT NOT NULL,
    keep_monthly BIGINT NOT NULL,
    keep_yearly BIGINT NOT NULL,
    is_enabled BIGINT NOT NULL,
    next_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT
);
CREATE INDEX backup_sets_by_project ON backup_sets (project_id, created_at, id);
CREATE INDEX backup_sets_by_next ON backup_sets (is_enabled, next_at);
CREATE TABLE backup_runs (
    id TEXT PRIMARY KEY,
    set_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    cause TEXT NOT NULL,
    due_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    finished_at TEXT,
    problem TEXT,
    removed BIGINT NOT NULL
);
CREATE INDEX backup_runs_by_set ON backup_runs (set_id, created_at, id);
CREATE INDEX backup_runs_by_project ON backup_runs (project_id, due_at, id);
CREATE INDEX backup_runs_by_end ON backup_runs (finished_at, created_at);
CREATE TABLE backup_run_volumes (
    run_id TEXT NOT NULL,
    volume_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    state TEXT NOT NULL,
    backup_id TEXT,
    tries BIGINT NOT NULL,
    again_at TEXT,
    why TEXT,
    PRIMARY KEY (run_id, volume_id)
);
CREATE INDEX backup_run_volumes_by_state ON backup_run_volumes (state, position);
";

/// What the target proves to hosts in turn. Exports that were made before have none, as their hosts were told.
const MUTUAL_CHAP: &str = "
ALTER TABLE exports ADD COLUMN mutual_user TEXT;
ALTER TABLE exports ADD COLUMN mutual_secret TEXT;
";

/// Where a volume moves to with its retype, and where bytes of volumes may lie beside those that count.
const MOVES: &str = "
ALTER TABLE retypes ADD COLUMN host TEXT;
CREATE TABLE strays (
    volume_id TEXT NOT NULL,
    host TEXT NOT NULL,
    PRIMARY KEY (volume_id, host)
);
";

/// Who began an operation and whose its object was, in which other objects' journals it stands, and the indexes by which
/// what is over is found and removed. Claims are released by their operation.
const JOURNAL: &str = "
ALTER TABLE operations ADD COLUMN user_id TEXT NOT NULL DEFAULT '';
ALTER TABLE operations ADD COLUMN owner_id TEXT NOT NULL DEFAULT '';
CREATE TABLE journal_objects (
    object_id TEXT NOT NULL,
    operation_id TEXT NOT NULL REFERENCES operations (id),
    PRIMARY KEY (object_id, operation_id)
);
CREATE INDEX journal_objects_by_operation ON journal_objects (operation_id);
CREATE INDEX operations_by_end ON operations (finished_at, id);
CREATE INDEX claims_by_operation ON claims (operation_id);
";

/// Which operation let an initiator in, and which shuts it out: the one takes back no other's, and the other's intent
/// stays in the record until the target has followed it.
const CONNECTIONS_COME_AND_GO: &str = "
ALTER TABLE connections ADD COLUMN made_by TEXT NOT NULL DEFAULT '';
ALTER TABLE connections ADD COLUMN left_by TEXT;
";

/// What is said of a volume beside its size and name, and offers of volumes to other projects. `readonly` is NULL until
/// somebody said so, as in Cinder. A key of a transfer is kept as a salted hash.
const ACTS_OF_A_VOLUME: &str = "
ALTER TABLE volumes ADD COLUMN readonly BIGINT;
ALTER TABLE volumes ADD COLUMN image_metadata TEXT NOT NULL DEFAULT '{}';
CREATE TABLE transfers (
    id TEXT PRIMARY KEY,
    volume_id TEXT NOT NULL UNIQUE REFERENCES volumes (id),
    project_id TEXT NOT NULL,
    name TEXT,
    with_snapshots BIGINT NOT NULL,
    salt TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX transfers_by_project ON transfers (project_id, created_at, id);
CREATE INDEX transfers_by_age ON transfers (created_at, id);
";

/// How fast a running step moves bytes, and when it last moved any.
const PACE: &str = "
ALTER TABLE operations ADD COLUMN bytes_per_s BIGINT NOT NULL DEFAULT 0;
ALTER TABLE operations ADD COLUMN progress_at TEXT;
";

/// What changed, for those who look; written by triggers (`watched.rs`). `audience` is a project, `*` for everybody, or
/// empty for administrators.
const EVENTS: &str = "
CREATE TABLE events (
    id BIGINT PRIMARY KEY,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    audience TEXT NOT NULL,
    change TEXT NOT NULL,
    status TEXT
);
CREATE TABLE event_triggers (made_from TEXT NOT NULL);
";

/// Who is there, and what went wrong, as Cinder's clients ask for them.
const SERVICES_AND_MESSAGES: &str = "
CREATE TABLE services (
    id TEXT PRIMARY KEY,
    binary_name TEXT NOT NULL,
    host TEXT NOT NULL,
    availability_zone TEXT NOT NULL,
    disabled BIGINT NOT NULL,
    disabled_reason TEXT,
    frozen BIGINT NOT NULL,
    created_at TEXT NOT NULL,
    heard_at TEXT NOT NULL,
    changed_at TEXT,
    UNIQUE (binary_name, host)
);
CREATE TABLE messages (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_uuid TEXT NOT NULL,
    event_id TEXT NOT NULL,
    message_level TEXT NOT NULL,
    user_message TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
);
CREATE INDEX messages_by_project ON messages (project_id, created_at, id);
CREATE INDEX messages_by_age ON messages (created_at, id);
CREATE INDEX messages_by_resource ON messages (resource_uuid, created_at, id);
CREATE INDEX messages_by_end ON messages (expires_at);
";

/// What lies in each pool, kept by triggers (`pool_usages.rs`).
const POOL_USAGES: &str = "
CREATE TABLE pool_usages (
    address TEXT PRIMARY KEY,
    volumes BIGINT NOT NULL DEFAULT 0,
    volumes_gib BIGINT NOT NULL DEFAULT 0,
    snapshots_gib BIGINT NOT NULL DEFAULT 0
);
INSERT INTO pool_usages (address, volumes, volumes_gib, snapshots_gib)
SELECT h.host, CAST(SUM(h.volumes) AS BIGINT), CAST(SUM(h.volumes_gib) AS BIGINT), CAST(SUM(h.snapshots_gib) AS BIGINT)
FROM (
    SELECT host, 1 AS volumes, size_gib AS volumes_gib, 0 AS snapshots_gib FROM volumes WHERE host IS NOT NULL
    UNION ALL SELECT host, 0, 0, size_gib FROM snapshots
) h GROUP BY h.host;
";

/// Who may use a private type, default types, QoS specs, encryption as a record, limits of projects and classes, and the
/// counters by type of what is there already. An extend that is under way is counted by type when it ends.
const TYPES_AND_QUOTAS: &str = "
CREATE TABLE volume_type_projects (
    volume_type_id TEXT NOT NULL REFERENCES volume_types (id),
    project_id TEXT NOT NULL,
    PRIMARY KEY (volume_type_id, project_id)
);
CREATE TABLE default_types (
    project_id TEXT PRIMARY KEY,
    volume_type_id TEXT NOT NULL REFERENCES volume_types (id)
);
CREATE INDEX default_types_by_type ON default_types (volume_type_id);
CREATE TABLE qos_specs (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    consumer TEXT NOT NULL,
    specs TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT
);
ALTER TABLE volume_types ADD COLUMN qos_specs_id TEXT REFERENCES qos_specs (id);
CREATE INDEX volume_types_by_qos_specs ON volume_types (qos_specs_id);
ALTER TABLE volume_types ADD COLUMN encryption TEXT;
ALTER TABLE quota_usages ADD COLUMN hard_limit BIGINT;
CREATE TABLE quota_class_limits (
    class_name TEXT NOT NULL,
    resource TEXT NOT NULL,
    hard_limit BIGINT NOT NULL,
    PRIMARY KEY (class_name, resource)
);
INSERT INTO quota_usages (project_id, resource, in_use)
    SELECT v.project_id, 'volumes:' || v.volume_type_id, COUNT(*)
    FROM volumes v GROUP BY v.project_id, v.volume_type_id;
INSERT INTO quota_usages (project_id, resource, in_use)
    SELECT s.project_id, 'snapshots:' || v.volume_type_id, COUNT(*)
    FROM snapshots s JOIN volumes v ON v.id = s.volume_id GROUP BY s.project_id, v.volume_type_id;
INSERT INTO quota_usages (project_id, resource, in_use)
    SELECT a.project_id, 'gigabytes:' || a.volume_type_id, CAST(SUM(a.size_gib) AS BIGINT)
    FROM (SELECT v.project_id, v.volume_type_id, v.size_gib FROM volumes v
          UNION ALL
          SELECT s.project_id, v.volume_type_id, s.size_gib FROM snapshots s JOIN volumes v ON v.id = s.volume_id) a
    GROUP BY a.project_id, a.volume_type_id;
";

/// What is being taken over from a pool, answers on their way, and volumes between two types.
const TAKEN_OVER: &str = "
CREATE TABLE adoptions (
    object_id TEXT PRIMARY KEY,
    source_name TEXT NOT NULL
);
CREATE TABLE listings (
    operation_id TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE TABLE retypes (
    volume_id TEXT PRIMARY KEY,
    volume_type_id TEXT NOT NULL
);
CREATE INDEX retypes_by_type ON retypes (volume_type_id);
";

const SPINE: &str = "
CREATE TABLE volume_types (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT,
    is_public BIGINT NOT NULL,
    extra_specs TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT
);
CREATE TABLE volumes (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT,
    description TEXT,
    size_gib BIGINT NOT NULL,
    status TEXT NOT NULL,
    host TEXT,
    availability_zone TEXT NOT NULL,
    volume_type_id TEXT NOT NULL REFERENCES volume_types (id),
    snapshot_id TEXT,
    source_volid TEXT,
    multiattach BIGINT NOT NULL,
    bootable BIGINT NOT NULL,
    metadata TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT
);
CREATE INDEX volumes_by_project ON volumes (project_id, created_at, id);
CREATE INDEX volumes_by_age ON volumes (created_at, id);
CREATE INDEX volumes_by_host ON volumes (host, size_gib);
CREATE INDEX volumes_by_type ON volumes (volume_type_id);
CREATE TABLE snapshots (
    id TEXT PRIMARY KEY,
    volume_id TEXT NOT NULL REFERENCES volumes (id),
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT,
    description TEXT,
    size_gib BIGINT NOT NULL,
    status TEXT NOT NULL,
    host TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT
);
CREATE INDEX snapshots_by_project ON snapshots (project_id, created_at, id);
CREATE INDEX snapshots_by_age ON snapshots (created_at, id);
CREATE INDEX snapshots_by_volume ON snapshots (volume_id, created_at, id);
CREATE INDEX snapshots_by_host ON snapshots (host, size_gib);
CREATE TABLE attachments (
    id TEXT PRIMARY KEY,
    volume_id TEXT NOT NULL REFERENCES volumes (id),
    project_id TEXT NOT NULL,
    instance_uuid TEXT,
    attached_host TEXT,
    mountpoint TEXT,
    attach_mode TEXT NOT NULL,
    status TEXT NOT NULL,
    initiator TEXT,
    connector TEXT,
    attached_at TEXT,
    detached_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT
);
CREATE INDEX attachments_by_volume ON attachments (volume_id, status);
CREATE INDEX attachments_by_project ON attachments (project_id, created_at, id);
CREATE INDEX attachments_by_age ON attachments (created_at, id);
CREATE TABLE exports (
    volume_id TEXT PRIMARY KEY REFERENCES volumes (id),
    chap_user TEXT NOT NULL,
    chap_secret TEXT NOT NULL,
    iqn TEXT,
    portals TEXT,
    lun BIGINT
);
CREATE TABLE connections (
    volume_id TEXT NOT NULL REFERENCES exports (volume_id),
    initiator TEXT NOT NULL,
    attachment_id TEXT NOT NULL,
    read_only BIGINT NOT NULL,
    PRIMARY KEY (volume_id, initiator, attachment_id)
);
CREATE TABLE pools (
    address TEXT PRIMARY KEY,
    availability_zone TEXT NOT NULL,
    report TEXT NOT NULL,
    reported_at TEXT NOT NULL
);
CREATE TABLE placements (
    volume_id TEXT NOT NULL,
    operation_id TEXT NOT NULL,
    explanation TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (volume_id, operation_id)
);
CREATE TABLE quota_usages (
    project_id TEXT NOT NULL,
    resource TEXT NOT NULL,
    in_use BIGINT NOT NULL,
    PRIMARY KEY (project_id, resource)
);
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT
);
CREATE TABLE operations (
    id TEXT PRIMARY KEY,
    verb TEXT NOT NULL,
    queue TEXT NOT NULL,
    phase TEXT NOT NULL,
    project_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    object_id TEXT NOT NULL,
    input TEXT NOT NULL,
    steps_done BIGINT NOT NULL,
    bytes_done BIGINT NOT NULL,
    bytes_total BIGINT NOT NULL,
    cancel_requested BIGINT NOT NULL,
    error TEXT,
    created_at TEXT NOT NULL,
    finished_at TEXT,
    deadline_at TEXT NOT NULL
);
CREATE INDEX operations_by_queue ON operations (queue, phase, created_at, id);
CREATE INDEX operations_by_phase ON operations (phase, created_at, id);
CREATE INDEX operations_by_object ON operations (object_id, created_at, id);
CREATE INDEX operations_by_age ON operations (created_at, id);
CREATE TABLE operation_steps (
    operation_id TEXT NOT NULL REFERENCES operations (id),
    position BIGINT NOT NULL,
    name TEXT NOT NULL,
    direction TEXT NOT NULL,
    started_at TEXT NOT NULL,
    finished_at TEXT NOT NULL,
    PRIMARY KEY (operation_id, position, direction)
);
CREATE TABLE claims (
    object_id TEXT NOT NULL,
    operation_id TEXT NOT NULL REFERENCES operations (id),
    mode TEXT NOT NULL,
    PRIMARY KEY (object_id, operation_id)
);
";
