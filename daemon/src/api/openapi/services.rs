//! Services, hosts, zones, pools, capabilities and extensions.

use super::describe::{Described, get, put};
use super::schema::{
    Field, any_of, anything, boolean, exactly, field, integer, list, named, null, object, one_of,
    or_null, said_text, text, time, wrapped,
};
use serde_json::{Value, json};

/// A number of any kind.
fn number() -> Value {
    json!({"type": "number"})
}

pub(super) fn routes() -> Vec<Described> {
    let set = |path, what, extra: &[Field]| {
        let said = which()
            .into_iter()
            .chain([reason_said()].into_iter().take(extra.len()));
        put(path, what).body(object(said)).answers(
            200,
            object(set_view().into_iter().chain(extra.iter().cloned())),
        )
    };
    let cold = |path, what| put(path, what).body(object(backend())).answers_nothing(200);
    let mut all = vec![
        get("/v3/os-services", "Lists the services.")
            .query("binary", text(), "Only of this program.")
            .query("host", text(), "Only on this host.")
            .answers(200, wrapped("services", list(&named("Service"))))
            .refuses(&[403]),
        set(
            "/v3/os-services/enable",
            "Takes a service into placement again.",
            &[],
        ),
        set(
            "/v3/os-services/disable",
            "Takes a service out of placement.",
            &[],
        ),
        set(
            "/v3/os-services/disable-log-reason",
            "Takes a service out of placement, with a reason.",
            &[field("disabled_reason", or_null(text()))],
        ),
        cold(
            "/v3/os-services/freeze",
            "Lets nothing be changed that a volume service has.",
        ),
        cold("/v3/os-services/thaw", "Lets it be changed again."),
    ];
    all.extend(hosts_and_pools());
    all
}

fn hosts_and_pools() -> Vec<Described> {
    vec![
        get("/v3/os-hosts", "Lists the hosts of services.")
            .query("zone", text(), "Only in this zone.")
            .answers(200, wrapped("hosts", list(&host())))
            .refuses(&[403]),
        get(
            "/v3/os-hosts/{id}",
            "What projects have on a volume service's host.",
        )
        .variable("id", text())
        .answers(200, wrapped("host", list(&wrapped("resource", resource()))))
        .refuses(&[403]),
        put(
            "/v3/os-hosts/{id}",
            "Enables or disables every service of a host.",
        )
        .variable("id", text())
        .body(object([field("status", one_of(&["enable", "disable"]))]))
        .answers(
            200,
            object([
                field("host", text()),
                field("status", one_of(&["enabled", "disabled"])),
            ]),
        ),
        get("/v3/os-availability-zone", "Lists the availability zones.")
            .answers(200, wrapped("availabilityZoneInfo", list(&zone()))),
        get("/v3/scheduler-stats/get_pools", "Lists the pools.")
            .query(
                "detail",
                one_of(&["true", "false"]),
                "Also what each can do.",
            )
            .query("name", text(), "A filter, from 3.28.")
            .query("volume_type", text(), "A filter, from 3.35.")
            .answers(200, wrapped("pools", list(&pool())))
            .refuses(&[403]),
        get(
            "/v3/capabilities/{id}",
            "What a backend can do, and what types may ask of it.",
        )
        .variable("id", text())
        .answers(200, capabilities())
        .refuses(&[403]),
        get("/v3/extensions", "Lists Cinder's extensions that are here.")
            .answers(200, wrapped("extensions", list(&named("Extension")))),
        get("/v3/extensions/{id}", "Shows an extension by its alias.")
            .variable("id", text())
            .answers(200, wrapped("extension", named("Extension"))),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let extension = object([
        field("name", text()),
        field("alias", text()),
        field("description", text()),
        field("updated", text()),
        field("links", list(&anything())),
    ]);
    vec![("Service", service()), ("Extension", extension)]
}

fn service() -> Value {
    object([
        field(
            "binary",
            one_of(&["cinder-backup", "cinder-scheduler", "cinder-volume"]),
        ),
        field("host", text()),
        field("zone", text()),
        field("status", one_of(&["enabled", "disabled"])),
        field("state", one_of(&["up", "down"])),
        field("updated_at", time()),
        field("disabled_reason", or_null(text())),
        field("cluster", null()).since(7),
        field("replication_status", exactly("disabled"))
            .says("Of a volume service, as all that follow.")
            .optional(),
        field("active_backend_id", null()).optional(),
        field("frozen", boolean()).optional(),
        field("backend_state", one_of(&["up", "down"]))
            .since(49)
            .optional(),
    ])
}

fn which() -> Vec<Field> {
    vec![
        field("host", said_text()),
        field("binary", said_text()).optional(),
        field("service", said_text())
            .says("The older name of `binary`; one of the two is needed.")
            .optional(),
        field("cluster", or_null(said_text())).optional(),
    ]
}

fn reason_said() -> Field {
    field("disabled_reason", said_text()).optional()
}

fn backend() -> Vec<Field> {
    vec![
        field("host", said_text()),
        field("cluster", or_null(said_text())).optional(),
    ]
}

fn set_view() -> Vec<Field> {
    vec![
        field("host", text()),
        field("service", text()),
        field("binary", text()),
        field("status", one_of(&["enabled", "disabled"])),
        field("disabled", boolean()),
    ]
}

fn host() -> Value {
    object([
        field("host_name", text()),
        field("service", text()),
        field("zone", text()),
        field("service-status", one_of(&["available", "unavailable"])),
        field("service-state", one_of(&["enabled", "disabled"])),
        field("last-update", time()),
    ])
}

fn resource() -> Value {
    let digits = || json!({"type": "string", "pattern": "^[0-9]+$"});
    object([
        field("host", text()),
        field("project", text()),
        field("volume_count", digits()),
        field("total_volume_gb", digits()),
        field("snapshot_count", digits()),
        field("total_snapshot_gb", digits()),
    ])
}

fn zone() -> Value {
    object([
        field("zoneName", text()),
        field("zoneState", wrapped("available", boolean())),
    ])
}

fn pool() -> Value {
    // What a driver adds of its own (vendor, backend name, protocol) has no fixed list.
    let mut said = object([
        field("pool_name", text()),
        field("total_capacity_gb", number()),
        field("free_capacity_gb", number()),
        field("allocated_capacity_gb", integer()),
        field("provisioned_capacity_gb", integer()),
        field("reserved_percentage", integer()),
        field("max_over_subscription_ratio", text()),
        field("thin_provisioning_support", boolean()),
        field("thick_provisioning_support", boolean()),
        field("online_extend_support", boolean()),
        field("multiattach", boolean()),
        field("total_volumes", integer()),
        field("QoS_support", boolean()),
        field("replication_enabled", boolean()),
        field("filter_function", null()),
        field("goodness_function", null()),
        field("location_info", null()),
        field("backend_state", one_of(&["up", "down"])),
        field("timestamp", time()),
    ]);
    said["additionalProperties"] = any_of([text(), boolean()]);
    object([
        field("name", text()),
        field("capabilities", said).optional(),
    ])
}

fn capabilities() -> Value {
    object([
        field("namespace", text()),
        field("vendor_name", or_null(text())),
        field("volume_backend_name", or_null(text())),
        field("pool_name", or_null(text())),
        field("driver_version", or_null(text())),
        field("storage_protocol", or_null(text())),
        field("display_name", null()),
        field("description", null()),
        field("visibility", null()),
        field("replication_targets", list(&anything())),
        field("properties", json!({"type": "object"})),
    ])
}
