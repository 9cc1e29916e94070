//! Where a path leads: the version documents, Cinder's API with or without a project in the path, or our own.

use super::auth::is_id;

/// The first words of Cinder's paths: what stands after `/v3/` and is one of these is no project. Also those that
/// Ashlar does not have (yet), so that `/v3/groups/detail` is a 404 and not a foreign project's.
const COLLECTIONS: &[&str] = &[
    "attachments",
    "backups",
    "capabilities",
    "cgsnapshots",
    "clusters",
    "consistencygroups",
    "default-types",
    "extensions",
    "group_snapshots",
    "group_types",
    "groups",
    "limits",
    "manageable_snapshots",
    "manageable_volumes",
    "messages",
    "os-availability-zone",
    "os-hosts",
    "os-quota-class-sets",
    "os-quota-sets",
    "os-services",
    "os-snapshot-manage",
    "os-volume-manage",
    "os-volume-transfer",
    "qos-specs",
    "resource_filters",
    "scheduler-stats",
    "snapshots",
    "types",
    "volume-transfers",
    "volumes",
    "workers",
];

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// `/`: every version.
    Versions,
    /// `/v3` and `/v3/`: this version.
    Version,
    /// `/healthcheck`.
    Health,
    /// `/metrics`.
    Metrics,
    /// Cinder's API: the project if the path names one, and the path without it.
    V3 {
        /// As in the path.
        project: Option<String>,
        /// `/v3/<collection>...`, as the route table spells it.
        path: String,
    },
    /// Our own API.
    Ashlar,
    /// Nothing of ours.
    Nowhere,
}

/// Where `path` (as sent, still percent-encoded) leads.
pub(super) fn of(path: &str) -> Place {
    match path {
        "" | "/" => return Place::Versions,
        "/v3" | "/v3/" => return Place::Version,
        "/healthcheck" => return Place::Health,
        "/metrics" => return Place::Metrics,
        _ => {}
    }
    if path.starts_with("/ashlar/v1/") {
        return Place::Ashlar;
    }
    let Some(rest) = path.strip_prefix("/v3/") else {
        return Place::Nowhere;
    };
    let (first, after) = rest.split_once('/').unwrap_or((rest, ""));
    if COLLECTIONS.contains(&first) {
        return Place::V3 {
            project: None,
            path: path.to_owned(),
        };
    }
    Place::V3 {
        project: Some(first.to_owned()),
        path: format!("/v3/{after}"),
    }
}

/// Whether a project may be called so: its id stands in paths where a collection's name could stand too.
pub(super) fn is_project_id(text: &str) -> bool {
    is_id(text) && !COLLECTIONS.contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v3(project: Option<&str>, path: &str) -> Place {
        Place::V3 {
            project: project.map(str::to_owned),
            path: path.to_owned(),
        }
    }

    #[test]
    fn with_and_without_a_project() {
        assert_eq!(of("/"), Place::Versions);
        assert_eq!(of("/v3/"), Place::Version);
        assert_eq!(of("/v3/volumes/detail"), v3(None, "/v3/volumes/detail"));
        assert_eq!(
            of("/v3/p/volumes/detail"),
            v3(Some("p"), "/v3/volumes/detail")
        );
        assert_eq!(of("/v3/p/volumes/"), v3(Some("p"), "/v3/volumes/"));
        assert_eq!(of("/v3/p"), v3(Some("p"), "/v3/"));
        assert_eq!(of("/v3//volumes"), v3(Some(""), "/v3/volumes"));
        assert_eq!(of("/ashlar/v1/routes"), Place::Ashlar);
        assert_eq!(of("/metrics"), Place::Metrics);
        for nowhere in [
            "/v2/p/volumes",
            "/v33",
            "/ashlar",
            "/ashlar/v2/x",
            "/healthcheck/",
        ] {
            assert_eq!(of(nowhere), Place::Nowhere, "{nowhere}");
        }
    }

    #[test]
    fn a_collection_is_no_project() {
        assert!(is_project_id("p-1"));
        assert!(!is_project_id("volumes"));
        assert!(!is_project_id("a/b"));
    }

    proptest! {
        #[test]
        fn every_path_leads_somewhere(path in "/[ -~]{0,60}") {
            if let Place::V3 { path, .. } = of(&path) {
                prop_assert!(path.starts_with("/v3/"));
            }
        }
    }
}
